"""Training sets, search, training and judgement on Ray Tune and Ray Train."""
