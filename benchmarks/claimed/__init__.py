"""One claim a file; each has `main(trial)`."""
