"""One claim a file; each has `main(data, share)`."""
