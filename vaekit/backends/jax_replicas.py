"""JAX has no replicas: a program is written for the whole batch, and split by where its arrays lie."""


def several():
    """No."""
    return False


def add_up(tensor):
    """The tensor itself."""
    return tensor


def own_rows(draw, shape):
    """All rows."""
    return draw(shape)


def all_rows(tensor):
    """The tensor itself."""
    return tensor


def mean(tensor):
    """The tensor itself."""
    return tensor
