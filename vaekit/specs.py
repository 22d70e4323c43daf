"""What a model takes: pictures, labels and vectors, brought to the form that `objective` sees, or refused.

What can be told from a tensor's type and shape is checked wherever data come from, values where `fit`, `evaluate` or
`train_on_batch` can look at them: in arrays before the first step, in data sets and generators batch by batch.
"""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

TOLERANCE = 1e-3
"""By how much a picture's values may leave 0..1: resizing overshoots."""
LOOKED_AT = 1024
"""Rows of an array of pictures whose values are looked at."""


@dataclass(frozen=True)
class Images:
    """Pictures [N, *shape]: uint8, which is divided by 255, or floats in 0..1.

    Args:
        shape: (H, W, C), None for any size.
    """

    shape: tuple[int | None, int | None, int | None]

    def cast(self, name: str, x):
        """The pictures as floats in 0..1.

        Raises:
            ValueError: another type or shape.
        """
        dtype = _dtype(x)
        _check_shape(name, x, self.shape, f"found {dtype} {_rows(x)}")
        if dtype in ("uint8", "bool"):
            return ops.cast(x, "float32") / (255.0 if dtype == "uint8" else 1.0)
        if "float" not in dtype:
            raise ValueError(f"{name}: pictures are uint8, or floats in 0..1; found {dtype}")
        return x

    def check(self, name: str, values: np.ndarray) -> None:
        """Raise ValueError where floats are not in 0..1."""
        values = values[:LOOKED_AT]
        if values.size and values.dtype.kind == "f":
            low, high = float(values.min()), float(values.max())
            if low < -TOLERANCE or high > 1.0 + TOLERANCE:
                raise ValueError(f"{name}: floats are pictures in 0..1; found {low:g}..{high:g} (uint8 is 0..255)")


@dataclass(frozen=True)
class Labels:
    """Integers [N] or [N, 1], one-hot rows [N, count], or with `attributes` numbers in 0..1 of that shape.

    Args:
        count: number of classes or attributes; None for integers without a bound.
        attributes: whether [N, count] is taken as it is, instead of as the class of its largest number.
        lowest: the smallest label.
    """

    count: int | None = None
    attributes: bool = False
    lowest: int = 0

    def cast(self, name: str, x):
        """[N] int32, or [N, count] float32.

        Raises:
            ValueError: another type or shape.
        """
        dtype, shape = _dtype(x), _shape(x)
        if not dtype.startswith(("int", "uint", "float", "bfloat", "bool")):
            raise ValueError(
                f"{name}: labels are numbers, found {dtype}; np.unique(labels, return_inverse=True) numbers them"
            )
        if shape is None or len(shape) == 1:
            return ops.cast(x, "int32")
        if len(shape) == 2 and shape[1] == 1 and self.count != 1:
            return ops.cast(x[:, 0], "int32")
        if len(shape) != 2 or (self.count and shape[1] != self.count):
            rows = f" or [N, {self.count}]" if self.count else ""
            raise ValueError(f"{name}: labels are integers [N]{rows}; found {_rows(x)}")
        return ops.cast(x, "float32") if self.attributes else ops.cast(ops.argmax(x, axis=-1), "int32")

    def check(self, name: str, values: np.ndarray) -> None:
        """Raise ValueError where a label is no whole number or out of range."""
        if not values.size:
            return
        low, high = values.min(), values.max()
        if values.ndim == 2 and (values.shape[1] > 1 or self.count == 1):
            if low < 0 or high > 1:
                raise ValueError(f"{name}: rows of labels are numbers in 0..1; found {low:g}..{high:g}")
            return
        if values.dtype.kind == "f" and np.any(values != np.rint(values)):
            raise ValueError(f"{name}: labels are whole numbers; found {values[values != np.rint(values)][0]:g}")
        if low < self.lowest or (self.count and high >= self.count):
            bound = f"{self.lowest}..{self.count - 1}" if self.count else f"at least {self.lowest}"
            raise ValueError(f"{name}: labels are {bound}; found {low:g}..{high:g}")


@dataclass(frozen=True)
class Vectors:
    """Numbers [N, *shape], such as latents."""

    shape: tuple[int | None, ...]

    def cast(self, name: str, x):
        """The numbers as floats.

        Raises:
            ValueError: another type or shape.
        """
        dtype = _dtype(x)
        if not dtype.startswith(("int", "uint", "float", "bfloat", "bool")):
            raise ValueError(f"{name}: numbers are asked for, found {dtype}")
        _check_shape(name, x, self.shape, f"found {_rows(x)}")
        return x if "float" in dtype and dtype != "float64" else ops.cast(x, "float32")

    def check(self, name: str, values: np.ndarray) -> None:
        """Any number will do."""


Specs = Mapping[str, Images | Labels | Vectors]


def as_images(x):
    """Pictures [N, H, W, C] as floats: uint8 is divided by 255.

    Raises:
        ValueError: another type or shape.
    """
    return Images((None, None, None)).cast("images", ops.convert_to_tensor(x))


def as_batch(owner: str, specs: Specs, data) -> dict:
    """What `fit` hands over, as the dict that `objective` takes.

    Args:
        owner: the model's name, for messages.
        specs: what it takes. An array x is the first of them; y is "label" where it takes labels, else the last.
        data: x, (x, y) or a dict.

    Raises:
        ValueError: something is missing, is of the wrong type or shape, or would be ignored.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    if weight is not None:
        raise ValueError(f"{owner}: its losses are means over a batch, which take no sample_weight or class_weight")
    batch = _named(owner, specs, x, y)
    return {**batch, **{name: spec.cast(name, batch[name]) for name, spec in specs.items()}}


def _named(owner: str, specs: Specs, x, y=None) -> dict:
    names = list(specs) or ["image", "label"]
    if isinstance(x, dict):
        batch = dict(x)
    elif isinstance(x, (list, tuple)):
        batch = dict(zip(names, x, strict=False))
    else:
        batch = {names[0]: x}
    if y is not None:
        if len(names) == 1:
            raise ValueError(f"{owner} takes {names[0]} alone: y would be ignored")
        batch["label" if "label" in names else names[-1]] = y
    missing = [name for name in specs if name not in batch]
    if missing:
        raise ValueError(f"{owner} takes {', '.join(names)}: {', '.join(missing)} missing")
    return batch


def check(owner: str, specs: Specs, x, y=None, images: bool = True) -> None:
    """Check the values of a batch of arrays.

    Args:
        owner: the model's name, for messages.
        specs: what it takes.
        x: an array or a dict of arrays.
        y: an array or None.
        images: whether pictures are looked at too.

    Raises:
        ValueError: values that the model would misunderstand.
    """
    batch = _named(owner, specs, x, y)
    for name, spec in specs.items():
        spec.cast(name, batch[name][:1])
        if images or not isinstance(spec, Images):
            spec.check(name, np.asarray(batch[name]))


def checked(owner: str, specs: Specs, x, y=None):
    """x as `fit` takes it, with its values checked: arrays now, batches as they come.

    Data sets that others share out, such as tf.distribute's, stay as they are.

    Raises:
        ValueError: as check.
    """
    if isinstance(x, keras.utils.PyDataset):
        return _CheckedDataset(owner, specs, x)
    if inspect.isgenerator(x):
        return _generated(owner, specs, x)
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        if isinstance(x, tf.data.Dataset):
            return _mapped(owner, specs, x)
    parts = list(x.values()) if isinstance(x, dict) else [x]
    if all(hasattr(part, "shape") and hasattr(part, "dtype") for part in parts):
        check(owner, specs, x, y)
    return x


def _check_data(owner: str, specs: Specs, data, first: bool) -> None:
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    check(owner, specs, x, y, images=first)


class _CheckedDataset(keras.utils.PyDataset):
    """A data set whose batches are checked as they are made."""

    def __init__(self, owner: str, specs: Specs, data: keras.utils.PyDataset):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self.owner, self.specs, self.data = owner, specs, data

    @property
    def num_batches(self):
        return self.data.num_batches

    def __getitem__(self, index):
        batch = self.data[index]
        _check_data(self.owner, self.specs, batch, first=index == 0)
        return batch

    def on_epoch_begin(self):
        """As the data set does."""
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        """As the data set does."""
        self.data.on_epoch_end()


def _generated(owner: str, specs: Specs, batches):
    for number, batch in enumerate(batches):
        _check_data(owner, specs, batch, first=number == 0)
        yield batch


def _mapped(owner: str, specs: Specs, dataset):
    import tensorflow as tf

    def look(number, *parts):
        data = parts if len(parts) > 1 else parts[0]
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        batch = _named(owner, specs, x, y)
        taken = [batch[name] for name in specs]

        def values(number, *arrays):
            check(owner, specs, dict(zip(specs, arrays, strict=True)), images=number == 0)
            return np.int32(0)

        done = tf.numpy_function(values, [number, *taken], tf.int32)
        with tf.control_dependencies([done]):
            return tf.nest.map_structure(tf.identity, data)

    return dataset.enumerate().map(lambda number, data: look(number, *(data if isinstance(data, tuple) else (data,))))


def _dtype(x) -> str:
    try:
        return keras.backend.standardize_dtype(x.dtype)
    except (ValueError, AttributeError):
        kind = str(getattr(x, "dtype", type(x).__name__))
        return "strings" if kind.startswith(("<U", "|S", "object")) else kind


def _shape(x) -> tuple | None:
    """None where not even the rank is known."""
    return None if getattr(x.shape, "rank", 0) is None else tuple(x.shape)


def _rows(x) -> str:
    return f"[{', '.join(['N', *map(str, (_shape(x) or ())[1:])])}]"


def _check_shape(name: str, x, expected: tuple, found: str) -> None:
    shape = _shape(x)
    if shape is None:
        return
    own = shape[1:]
    if len(shape) != len(expected) + 1 or any(a != b for a, b in zip(own, expected, strict=True) if a and b):
        sizes = ", ".join("any" if size is None else str(size) for size in expected)
        raise ValueError(f"{name}: [N, {sizes}] is asked for; {found}")
