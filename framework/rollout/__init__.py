"""How a new version takes over: one pure state machine per strategy, and the analysis that judges it."""
