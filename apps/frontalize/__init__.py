"""Faces turned to the front, and shown as others are."""

PLACE = 4
