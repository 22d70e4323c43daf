"""Pull-push: the classical smooth fill that inpainting starts from, in tensor operations."""

from keras import ops


def _halve(x):
    return ops.average_pool(x, 2, strides=2, padding="same")


def _double(x, like):
    """Twice the size, smoothed, cut to the size of `like`."""
    shape = ops.shape(like)
    x = ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)
    return ops.average_pool(x, 3, strides=1, padding="same")[:, : shape[1], : shape[2]]


def pull_push(image, known, levels: int = 8):
    """Fill the unknown pixels smoothly from the known ones (Gortler et al. 1996, sec. 3.4).

    Pull: average the known pixels down a pyramid. Push: where a level knows nothing take the level
    below it, enlarged.

    Args:
        image: [N, H, W, C]; unknown pixels may hold anything finite.
        known: [N, H, W, 1], 1 where a pixel is known, 0 where it is not.
        levels: halvings; 2 ** levels should reach the image's side.

    Returns:
        [N, H, W, C]: the image where known, the fill elsewhere; grey 0.5 where nothing is known.
    """
    weighted, weight = [image * known], [known]
    for _ in range(levels):
        weighted.append(_halve(weighted[-1]))
        weight.append(_halve(weight[-1]))
    fill = 0.5 * ops.ones_like(weighted[-1])
    for colour, share in zip(reversed(weighted), reversed(weight), strict=True):
        below = fill if colour is weighted[-1] else _double(fill, colour)
        average = colour / ops.maximum(share, 1e-6)
        trust = ops.minimum(1.0, share * 4.0)  # one known pixel of four is enough to go by
        fill = trust * average + (1.0 - trust) * below
    return fill
