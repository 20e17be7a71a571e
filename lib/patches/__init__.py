"""Candidates and patches of tomograms: made once, cached, and read."""
