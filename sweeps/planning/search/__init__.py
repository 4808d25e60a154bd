"""Searches: axes with ranges, and the trials that a search has picked."""
