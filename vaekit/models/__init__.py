"""The family, one model a file."""
