"""The `factorlab` command line."""
