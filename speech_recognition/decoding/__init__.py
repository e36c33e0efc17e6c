"""Decoding: log-probabilities to text."""
