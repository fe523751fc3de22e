"""Pure planning: what changed, what it costs, what to do, in which order. No clock, disk, network or vendor."""
