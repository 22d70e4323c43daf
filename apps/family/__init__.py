"""Every model of the family, trained on pictures of any kind."""

PLACE = 6
