"""From an experiment file to a plan: grid, keys, packs, time estimate."""
