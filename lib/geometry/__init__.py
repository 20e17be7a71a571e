"""Where a point of the tomogram falls in the tilt images, and whether it does."""
