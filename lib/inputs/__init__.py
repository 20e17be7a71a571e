"""What the user gives: the list, tomograms, tilt series and tilt angles."""
