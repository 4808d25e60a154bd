"""The live view of a sweep: in its own terminal, and from another one by `status --watch`."""
