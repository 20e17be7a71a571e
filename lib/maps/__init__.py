"""The embedding on paper: clusters, map, patches, colors in the tomogram."""
