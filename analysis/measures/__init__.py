"""Measures of representations: dimension, factorization, topology, embedding, phases."""
