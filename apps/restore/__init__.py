"""The restoring half of super-resolution, trained by itself."""
