"""What the claims share: the data, training on arrays, and a classifier that no model has seen."""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers, ops

from vaekit.data.captions import NAMED
from vaekit.metrics import accuracy


@dataclass(frozen=True)
class Trial:
    """How a claim is tried.

    Attributes:
        data: the folder of mnist.npz, celeb, celeba64, cfp.
        share: of the training steps.
        inception: whether Frechet distances are InceptionV3's.
        pictures: the folder that pictures of what came out are written to, or None.
    """

    data: Path
    share: float = 1.0
    inception: bool = False
    pictures: Path | None = None

    def steps(self, count: int) -> int:
        """That share of `count`."""
        return max(1, round(count * self.share))

    def picture(self, name: str, pixels: np.ndarray) -> None:
        """Write pixels [h, w, 3] uint8 as a picture of this name, where pictures are wanted."""
        if self.pictures is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(self.pictures / f"{name}.png"), pixels[..., ::-1])

    def features(self, own):
        """What Frechet distances are taken in: `own`, unless InceptionV3's were asked for."""
        if not self.inception:
            return own
        from claimed.inception import Inception

        return Inception()


def mnist(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(images [60000, 28, 28, 1] float32 in 0..1, labels, those of the test)."""
    with np.load(data / "mnist.npz") as arrays:
        x, y, x_test, y_test = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    return _unit(x)[..., None], y.astype("int32"), _unit(x_test)[..., None], y_test.astype("int32")


SIDE = 32
"""Of the faces that generators are trained on, in pixels: at 64 they would take five times as long."""


def celeba64(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
    """(images for training [N, SIDE, SIDE, 3] float32 in 0..1, of validation, which are of it [all], the table's rows).

    Validation is every file whose number 20 divides.
    """
    with (data / "celeba64.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = np.stack([_read(data / "celeba64" / row["file"], SIDE) for row in rows])
    held = np.array([int("".join(filter(str.isdigit, row["file"]))) % 20 == 0 for row in rows])
    return images[~held], images[held], held, rows


def people(data: Path, folder: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces of a folder [N, side, side, 3] float32 in 0..1, and who they are [N]."""
    with (data / f"{folder}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = np.stack([_read(data / folder / row["file"], side) for row in rows])
    return images, np.array([int(row["identity"]) for row in rows], "int32")


def described_people(data: Path, side: int) -> tuple[np.ndarray, list[dict[str, int]], np.ndarray]:
    """Faces of `celeb` and `celeb2` [N, side, side, 3], what captions may name of them, and which are kept [N].

    Kept from training are the people whose number 15 divides.
    """
    images, attributes, kept = [], [], []
    for folder in ("celeb", "celeb2"):
        faces, who = people(data, folder, side)
        with (data / f"{folder}.csv").open(encoding="utf-8") as file:
            attributes += [{name: int(row[name]) for name in NAMED} for row in csv.DictReader(file)]
        images.append(faces)
        kept.append(who % 15 == 0)
    return np.concatenate(images), attributes, np.concatenate(kept)


def _read(path: Path, side: int) -> np.ndarray:
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return _unit(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255.0


class Draws(keras.utils.PyDataset):
    """`steps` batches drawn at random from arrays; "image" is mirrored half the time where `flip`."""

    def __init__(self, arrays: dict[str, np.ndarray], batch_size: int, steps: int, seed: int, flip: bool):
        super().__init__()
        self.arrays, self.batch_size, self.steps, self.seed, self.flip = arrays, batch_size, steps, seed, flip

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, index))
        rows = rng.integers(0, len(self.arrays["image"]), self.batch_size)
        batch = {name: values[rows] for name, values in self.arrays.items()}
        if self.flip:
            batch["image"] = np.where(
                rng.random((self.batch_size, 1, 1, 1)) < 0.5, batch["image"][:, :, ::-1], batch["image"]
            )
        return batch


def train(
    make, arrays: dict[str, np.ndarray], steps: int, *,
    batch_size=64, seed=0, flip=False, batches=Draws, optimizers=None,
):  # fmt: skip
    """A model that `make()` makes, trained on arrays; the averaged weights are swapped in. Prints images a second.

    `optimizers(model)` are taken instead of its own, where they are given.
    """
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_bfloat16")  # 1.5 times as quick or more where a processor has it
    model = make()
    keras.config.set_dtype_policy("float32")
    model.compile(optimizers and optimizers(model), average=0.999 if steps > 4000 else 0.99)
    started = time.monotonic()
    history = model.fit(batches(arrays, batch_size, steps, seed, flip), epochs=1, verbose=0).history
    rate = steps * batch_size / (time.monotonic() - started)
    model.averages().__enter__()  # for good: it is only looked at from here on
    logs = ", ".join(f"{name} {values[-1]:.3f}" for name, values in history.items())
    print(f"  {type(model).__name__}: {steps} steps of {batch_size}, {rate:.0f} images/s ({logs})", flush=True)
    return model


RATE = 6e-4
"""Of learning: at the 1e-4 and 2e-4 of the papers, models are not yet good after the few steps there is time for."""


def adam(model) -> dict:
    """Adam for every player, in place of the model's own optimizers."""
    return {player: keras.optimizers.Adam(RATE, beta_1=0.5) for player in model.players}


def drawn(model, count: int, labels=None) -> np.ndarray:
    """`count` samples as an array, drawn 250 at a time."""
    parts = []
    for start in range(0, count, 250):
        few = min(250, count - start)
        told = None if labels is None else labels[start : start + few]
        parts.append(ops.convert_to_numpy(model.sample(few, told)))
    return np.concatenate(parts).clip(0.0, 1.0)


def in_parts(call, *arrays) -> np.ndarray:
    """What a function of batches makes of arrays, 250 rows at a time."""
    parts = [call(*(a[i : i + 250] for a in arrays)) for i in range(0, len(arrays[0]), 250)]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])


class Classifier:
    """A classifier of its own: `answers` are probabilities [N, C], `features` [N, 64]; its accuracy is printed."""

    def __init__(self, x, y, x_test, y_test, epochs: int, flip: bool = False):
        keras.utils.set_random_seed(99)
        image = layers.Input(x.shape[1:])
        z = layers.RandomFlip("horizontal")(image) if flip else image
        z = layers.RandomTranslation(0.06, 0.06, fill_mode="nearest")(z)
        for width in (32, 64, 96) if x.shape[1] < 40 else (32, 64, 96, 128):
            z = layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(z)
            z = layers.ReLU()(layers.BatchNormalization()(z))
            z = layers.ReLU()(layers.Conv2D(width, 3, padding="same")(z))
        z = layers.Dropout(0.3)(layers.Flatten()(z))
        features = layers.Dense(64, activation="relu")(z)
        answers = layers.Dense(int(y.max()) + 1, activation="softmax")(features)
        self.network = keras.Model(image, [answers, features])
        head = keras.Model(image, answers)
        rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(x) // 64)
        head.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        head.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
        print(f"  classifier: {accuracy(y_test, self.answers(x_test)):.2%} of {len(x_test)} test images right")

    def answers(self, images) -> np.ndarray:
        """Probabilities [N, C]."""
        return in_parts(lambda part: self.network(part, training=False)[0], images)

    def features(self, images) -> np.ndarray:
        """[N, 64]."""
        return in_parts(lambda part: self.network(part, training=False)[1], images)


def mean_and_spread(values) -> str:
    """The mean of what several seeds gave, and the least and the largest of it."""
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def say(claimed: str, found: str) -> None:
    """One line of a claim."""
    print(f"  claimed: {claimed}\n  found:   {found}", flush=True)


INKS = np.array(
    [
        (31, 120, 181), (255, 128, 13), (43, 161, 43), (214, 38, 41), (148, 102, 189),
        (140, 87, 74), (227, 120, 194), (128, 128, 128), (189, 189, 33), (23, 191, 207),
    ]
)  # fmt: skip
"""Colours of the ten digits, and of curves."""


def scatter(points: np.ndarray, labels: np.ndarray, side: int = 360) -> np.ndarray:
    """Points [N, 2] as dots, a colour a label, within three standard deviations; [side, side, 3]."""
    picture = np.full((side, side, 3), 255, np.uint8)
    reach = 3.0 * np.maximum(points.std(axis=0), 1e-6)
    places = np.rint((0.5 + 0.5 * (points - points.mean(axis=0)) / reach) * (side - 1)).astype(int)
    for place, label in zip(places, labels, strict=True):
        cv2.circle(picture, place.tolist(), 1, INKS[label % len(INKS)].tolist(), -1, cv2.LINE_AA)
    return picture


def plot(x: np.ndarray, pairs, low: float, high: float, size=(360, 720)) -> np.ndarray:
    """Pairs of curves over x, the first of each grey and broad, the second coloured and thin; [h, w, 3]."""
    picture = np.full((*size, 3), 255, np.uint8)
    across = (x - x[0]) / (x[-1] - x[0]) * (size[1] - 1)
    for number, curves in enumerate(pairs):
        for values, colour, width in zip(curves, ((204, 204, 204), INKS[number].tolist()), (5, 1), strict=True):
            up = (1.0 - (values - low) / (high - low)) * (size[0] - 9) + 4
            shown = ~np.isnan(up)
            line = np.rint(np.stack([across[shown], up[shown]], axis=-1)).astype(np.int32)
            cv2.polylines(picture, [line], False, colour, width, cv2.LINE_AA)
    return picture
