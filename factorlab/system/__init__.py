"""What this machine provides: cores, and a folder for caches."""
