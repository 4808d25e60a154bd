"""Provenance: the source files and the commit that trained a run."""
