"""Training a plan on Ray, or one run in this process."""
