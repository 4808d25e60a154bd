"""Shared code of all figures: style, axis labels, and writing a figure with its data."""
