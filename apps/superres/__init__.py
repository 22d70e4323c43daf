"""Super-resolution."""

PLACE = 2
