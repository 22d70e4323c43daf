"""Face attribute editing."""
