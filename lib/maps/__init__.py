"""The embedding on paper: clusters, map, patches, colours in the tomogram."""
