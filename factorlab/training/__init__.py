"""Training: the state of a run, the step of one network or of a pack, and the optimizer."""
