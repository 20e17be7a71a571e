"""Picked candidates as coordinates of other programs."""
