"""Mining of molecular patterns in cryo-electron tomograms."""
