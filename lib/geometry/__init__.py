"""Projection into the tilt images; checks of geometry and contrast."""
