"""Colors of the map painted back into the tomograms."""
