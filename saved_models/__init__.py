"""The bundles that ship."""
