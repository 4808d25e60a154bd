"""Planning: experiment files, the grid of trials with their keys, packs and time estimates."""
