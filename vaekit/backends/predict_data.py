"""What Keras hands to a step of `predict`."""

import keras


def predicted(data):
    """x, or (x, y) where there are labels."""
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    return x if y is None else (x, y)
