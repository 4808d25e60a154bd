"""What all figures share: style, axis labels, and writing a figure with its data."""
