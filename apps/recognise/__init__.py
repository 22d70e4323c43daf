"""Recognise the attributes of a face: what the apps' training measures likeness by."""
