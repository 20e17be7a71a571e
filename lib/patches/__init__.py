"""Candidates of a tomogram, and what the network sees of them."""
