"""Candidate positions: scale space, maxima, non-maximum suppression, masks."""
