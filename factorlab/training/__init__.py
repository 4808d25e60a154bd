"""Training: its state, the step of one network or of a pack, and the optimizer."""
