"""Reporting on sweeps: live view, status, tables, figures and the replication report."""
