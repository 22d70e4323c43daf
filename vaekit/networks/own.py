"""Networks that a model's user brings."""

import keras

FREE = ("features", "similarity", "layers")
"""Outputs whose sizes are the network's own business."""


def fitting(network, name: str, like: keras.Model) -> keras.Model:
    """The network, where it can stand in for another.

    Args:
        network: a functional model, or a Sequential model with an Input.
        name: what it is, for messages.
        like: a network that the model would have made itself.

    Raises:
        ValueError: it takes or returns other tensors.
    """
    if not isinstance(network, keras.Model) or not getattr(network, "inputs", None):
        raise ValueError(f"{name} is a functional model, or a Sequential one that begins with an Input")
    (taken, returned), (takes, returns) = (_shapes(own) for own in (network, like))
    if taken != takes or not _as_asked(returned, returns):
        raise ValueError(f"{name} takes {takes} and returns {returns}; this one takes {taken} and returns {returned}")
    return network


def _shapes(network: keras.Model):
    output = network.outputs[0] if isinstance(network, keras.Sequential) else network.output
    shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape), [network.inputs, output])
    return shapes[0], shapes[1]


def _as_asked(returned, asked) -> bool:
    if isinstance(asked, dict):
        return isinstance(returned, dict) and all(
            key in returned and (key in FREE or returned[key] == shape) for key, shape in asked.items()
        )
    if isinstance(asked, list):  # of shapes
        return isinstance(returned, (list, tuple)) and list(returned) == asked
    return returned == asked
