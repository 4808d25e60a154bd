"""Which source files and which commit trained a run."""
