"""What is read back from a sweep: status, tables, figures, the replication report."""
