"""Face attribute editing."""

PLACE = 3
