"""Tell people apart: what identity is measured by, in training and in benchmarks."""
