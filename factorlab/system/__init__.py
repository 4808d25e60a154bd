"""Resources of this machine: usable cores, and a folder for caches."""
