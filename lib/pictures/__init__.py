"""Every picture: maps, thumbnails, candidates, slices of the overlay."""
