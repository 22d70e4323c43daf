"""Find the damage of old photos: the mask that `vaekit inpaint --mask auto` repairs."""

PLACE = 5
