"""What a plan costs: packs of trials, the time they take, a probe of the machine."""
