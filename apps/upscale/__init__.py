"""The faithful half of super-resolution, trained by itself."""
