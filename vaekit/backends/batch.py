"""What Keras hands to a step, as a dict."""

import keras


def as_batch(data) -> dict:
    """What `fit` hands over, as a dict: {"image": ...} and, where there is one, "label"."""
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    batch = dict(x) if isinstance(x, dict) else {"image": x}
    return batch if y is None else {**batch, "label": y}
