"""Coordinates of the user's own: files read into voxels of the tomograms of a list."""
