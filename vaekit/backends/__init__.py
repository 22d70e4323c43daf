"""How a step of the game is played on each Keras backend."""
