"""Evaluation: accuracy, failure modes, losses, sample grids and layer activations."""
