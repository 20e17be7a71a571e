"""Mining of molecular patterns in cryo-electron tomograms."""

__version__ = "0.4.0"
