"""Ray itself: start or join it, what it has room for, where its messages go."""
