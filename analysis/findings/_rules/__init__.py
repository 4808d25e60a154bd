"""What the rules of the findings have in common."""
