"""The features of the benchmarks' Frechet distances: train them, or compute them.

A small network looks at a crop of a face and says where the crop was, what the 40 attributes of the face are,
and whose face it is; its last hidden layer, 64 numbers, is the feature. It has to tell an eye from a cheek to
answer, at any crop, which is what the distances are for. Nothing that is measured was trained with it.

    python benchmarks/features.py --data ../shared/data

trains it on `celeb` and `celeba64` (people in `celeb` validation left out), prints its accuracy on validation, and
writes features.onnx.
"""

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np

PATH = Path(__file__).with_name("features.onnx")
SIDE = 64
"""Side of the crops that the network looks at, in pixels."""
SIZE = 64
"""Length of a feature."""
FEWEST = 2 * SIZE
"""Images from which a Frechet distance is taken."""


class Features:
    """Loaded features: features(images) -> [N, 64]. Images are [h, w, 3] float in 0..1, of any size."""

    def __init__(self):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(PATH, providers=["CPUExecutionProvider"])

    def __call__(self, images) -> np.ndarray:
        """Features of a sequence of images."""
        rows = np.stack([_resized(image) for image in images])
        parts = [self.session.run(None, {"image": rows[i : i + 64]})[0] for i in range(0, len(rows), 64)]
        return np.concatenate(parts)


def _resized(image: np.ndarray) -> np.ndarray:
    kind = cv2.INTER_AREA if image.shape[0] > SIDE else cv2.INTER_LINEAR
    return cv2.resize(np.asarray(image, np.float32), (SIDE, SIDE), interpolation=kind)


def _network(attributes: int, identity: int):
    from keras import Model, layers

    def block(x, width):
        x = layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        y = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        return layers.Add()([x, y])

    image = layers.Input((SIDE, SIDE, 3), name="image")
    x = image
    for width in (32, 64, 96, 128):
        x = block(x, width)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    x = feature = layers.BatchNormalization(name="feature")(layers.Dense(SIZE, use_bias=False)(x))
    heads = {
        "place": layers.Dense(3, name="place")(x),
        "attributes": layers.Dense(attributes, name="attributes")(x),
        "identity": layers.UnitNormalization()(layers.Dense(identity)(x)),
    }
    return Model(image, feature), Model(image, heads)


def read(data: Path):
    """(images, uint8 squares; attributes [N, 40]; embeddings [N, 128]; for validation [N]: 0, 1; attributes' names).

    Validation is faces of `celeb`; people who are in it are in no training data.
    """
    images, attributes, embeddings, validation, names = [], [], [], [], []
    teacher = np.load(data / "identity_embeddings.npz")
    for folder in ("celeb", "celeba64"):
        with (data / f"{folder}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = names or list(rows[0])[3:]
        for row, embedding in zip(rows, teacher[folder], strict=True):
            held = int(row["identity"]) % 15 == 0
            if held and folder != "celeb":
                continue
            images.append(cv2.cvtColor(cv2.imread(str(data / folder / row["file"])), cv2.COLOR_BGR2RGB))
            attributes.append([row[name] == "1" for name in names])
            embeddings.append(embedding)
            validation.append(held)
    numbers = np.array(attributes, np.float32), np.array(embeddings, np.float32), np.array(validation)
    return images, *numbers, names


def _crop(image, rng):
    """A square crop of a quarter to all of the face, and where it was: centre and log side as shares of the face."""
    side = image.shape[0]
    # Not below 40 pixels, lest the blur of a small photo told where it was.
    smallest = max(0.25, 40 / side) if rng.random() < 0.5 else 0.9
    if rng.random() < 0.5:
        image = image[:, ::-1]
    length = round(side * np.exp(rng.uniform(np.log(smallest), 0.0)))
    y, x = rng.integers(0, side - length + 1, 2)
    crop = image[y : y + length, x : x + length]
    crop = np.clip(crop.astype(np.float32) / 255.0 * rng.uniform(0.8, 1.2), 0, 1)
    place = [(y + length / 2) / side - 0.5, (x + length / 2) / side - 0.5, np.log(length / side)]
    return _resized(crop), np.array(place, np.float32)


def train(data: Path, epochs: int, seed: int = 0) -> None:
    """Train, print accuracies on validation, write features.onnx."""
    import keras

    keras.utils.set_random_seed(seed)
    images, attributes, embeddings, validation, names = read(data)
    known = np.flatnonzero(~validation)

    class Crops(keras.utils.PyDataset):
        def __init__(self, rows, steps):
            super().__init__()
            self.rows, self.steps, self.turn = rows, steps, 0

        def __len__(self):
            return self.steps

        def on_epoch_end(self):
            self.turn += 1

        def __getitem__(self, index):
            rng = np.random.default_rng((seed, self.turn, index))
            chosen = rng.choice(self.rows, 64)
            crops, places = zip(*(_crop(images[i], rng) for i in chosen), strict=True)
            targets = {"place": np.stack(places), "attributes": attributes[chosen], "identity": embeddings[chosen]}
            return np.stack(crops), targets

    feature, heads = _network(len(names), embeddings.shape[1])
    steps = len(known) // 64
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps * epochs)
    heads.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3),
        loss={
            "place": "mse",
            "attributes": keras.losses.BinaryCrossentropy(from_logits=True),
            "identity": keras.losses.CosineSimilarity(),
        },
        loss_weights={"place": 2.0, "attributes": 1.0, "identity": 1.0},
    )
    heads.fit(Crops(known, steps), epochs=epochs, verbose=2)
    held = [image for image, kept in zip(images, validation, strict=True) if kept]
    report(heads, held, attributes[validation], embeddings[validation])
    save(feature)


def report(heads, images, attributes, embeddings) -> None:
    """Print what the heads know on whole faces and on crops of validation."""
    rng = np.random.default_rng(1)
    whole = heads.predict(np.stack([_resized(image / 255.0) for image in images]), verbose=0)
    crops, places = (np.stack(part) for part in zip(*(_crop(image, rng) for image in images), strict=True))
    cropped = heads.predict(crops, verbose=0)
    majority = np.maximum(attributes.mean(axis=0), 1 - attributes.mean(axis=0)).mean()
    correct = ((whole["attributes"] > 0) == (attributes > 0.5)).mean()
    cosine = (whole["identity"] * embeddings).sum(axis=-1).mean()
    error = np.abs(cropped["place"][:, :2] - places[:, :2]).mean()
    guess = np.abs(places[:, :2] - places[:, :2].mean(axis=0)).mean()
    print(
        f"{len(images)} faces of celeb validation: attributes {correct:.1%} right (always the commoner: {majority:.1%})"
    )
    print(f"cosine to the identity teacher {cosine:.3f}")
    print(f"crops: centre off by {error:.3f} of the face's side (always the middle: {guess:.3f})")


def save(feature) -> None:
    """Write features.onnx, weights in float16."""
    import tensorflow as tf
    import tf2onnx

    from vaekit.weights import halve_weights

    spec = [tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, "image")]
    function = tf.function(lambda image: {"feature": feature(image, training=False)}, spec, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=18)
    PATH.write_bytes(halve_weights(proto).SerializeToString())
    print(f"{PATH.name}: {PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=25)
    arguments = parser.parse_args()
    train(arguments.data, arguments.epochs)
