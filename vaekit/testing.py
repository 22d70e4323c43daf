"""Small models for tests, with weights that nobody has trained."""

import keras
import numpy as np


def scatter(networks: list[keras.Model], deviation: float, seed: int = 0) -> None:
    """Draw the kernels of networks anew, from N(0, deviation^2).

    Untrained, many networks begin with a last layer of zeros, and then answer with the classical method whatever they
    are given.
    """
    rng = np.random.default_rng(seed)
    for variable in (variable for network in networks for variable in network.variables):
        if variable.ndim > 1:
            variable.assign(rng.normal(0, deviation, variable.shape))
