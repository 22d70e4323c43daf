"""Bundles over HTTP, by the contract of TensorFlow Serving's REST API, without TensorFlow."""
