"""The judge of edited faces: whether a face has an attribute, and whose face it is.

A network that no training of an app has seen, taught the 40 attributes of CelebA and, by distillation, a face
recogniser's embeddings (`identity_embeddings.npz`), on `celeb` and `celeba64` without the people of `celeb`'s
validation.

    python benchmarks/judge.py --data ../shared/data

trains it, prints what it knows on validation, and writes judge.onnx.
"""

import argparse
from pathlib import Path

import cv2
import features
import numpy as np

PATH = Path(__file__).with_name("judge.onnx")
SIDE = 80
"""Side of the aligned faces (template W) that it looks at, in pixels."""


class Judge:
    """The loaded judge.

    Attributes:
        names: of the 40 attributes.
    """

    def __init__(self):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(PATH, providers=["CPUExecutionProvider"])
        self.names = self.session.get_modelmeta().custom_metadata_map["attributes"].split()

    def __call__(self, images) -> tuple[np.ndarray, np.ndarray]:
        """Attributes' probabilities [N, 40] and embeddings [N, 128], of [h, w, 3] float pictures in 0..1."""
        rows = np.stack([resized(image) for image in images])
        parts = [
            self.session.run(["attributes", "identity"], {"image": rows[i : i + 64]}) for i in range(0, len(rows), 64)
        ]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def resized(image: np.ndarray) -> np.ndarray:
    """To SIDE, averaged where it is larger."""
    kind = cv2.INTER_AREA if image.shape[0] > SIDE else cv2.INTER_LINEAR
    return cv2.resize(np.asarray(image, np.float32), (SIDE, SIDE), interpolation=kind)


def _network(attributes: int, identity: int):
    from keras import Model, layers

    def convolution(x, width, strides=1):
        x = layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = layers.Input((SIDE, SIDE, 3), name="image")
    x = convolution(image, 24, 2)
    for width in (48, 96, 144, 192):
        x = convolution(x, width, 2)
        x = layers.Add()([x, convolution(x, width)])
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    x = layers.BatchNormalization()(layers.Dense(256, use_bias=False)(x))
    heads = {
        "attributes": layers.Dense(attributes, activation="sigmoid", name="attributes")(x),
        "identity": layers.UnitNormalization(name="identity")(layers.Dense(identity)(x)),
    }
    return Model(image, heads)


def _seen(image, rng):
    """A face, a little off, mirrored, lit or blurred."""
    side = image.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.normal(0, 3), rng.uniform(0.94, 1.08) * SIDE / side)
    turn[:, 2] += (SIDE - side) / 2 + rng.normal(0, 0.015 * SIDE, 2)
    face = cv2.warpAffine(image, turn, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    face = face.astype(np.float32) / 255.0
    if rng.random() < 0.3:
        face = cv2.GaussianBlur(face, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.5:
        face = face[:, ::-1]
    return np.clip(face * rng.uniform(0.8, 1.2), 0, 1)


def train(data: Path, epochs: int, seed: int = 1) -> None:
    """Train, print accuracies on validation, write judge.onnx."""
    import keras

    keras.utils.set_random_seed(seed)
    images, attributes, embeddings, validation, names = features.read(data)
    known = np.flatnonzero(~validation)

    class Faces(keras.utils.PyDataset):
        turn = 0

        def __len__(self):
            return len(known) // 64

        def on_epoch_end(self):
            self.turn += 1

        def __getitem__(self, index):
            rng = np.random.default_rng((seed, self.turn, index))
            chosen = rng.choice(known, 64)
            faces = np.stack([_seen(images[i], rng) for i in chosen])
            return faces, {"attributes": attributes[chosen], "identity": embeddings[chosen]}

    network = _network(len(names), embeddings.shape[1])
    rate = keras.optimizers.schedules.CosineDecay(2e-3, len(known) // 64 * epochs)
    network.compile(
        keras.optimizers.AdamW(rate, weight_decay=2e-3),
        loss={"attributes": "binary_crossentropy", "identity": keras.losses.CosineSimilarity()},
        loss_weights={"attributes": 2.0, "identity": 1.0},
    )
    network.fit(Faces(workers=1), epochs=epochs, verbose=2)
    held = [resized(image / 255.0) for image, kept in zip(images, validation, strict=True) if kept]
    report(network.predict(np.stack(held), verbose=0), attributes[validation], embeddings[validation], names)
    save(network, names)


def report(found, attributes, embeddings, names) -> None:
    """Print what is known of the faces of validation."""
    right = (found["attributes"] > 0.5) == (attributes > 0.5)
    common = np.maximum(attributes.mean(axis=0), 1 - attributes.mean(axis=0))
    print(
        f"{len(right)} faces of celeb validation: {right.mean():.1%} right (always the commoner: {common.mean():.1%})"
    )
    for name, share, guess in zip(names, right.mean(axis=0), common, strict=True):
        print(f"  {name:22} {share:6.1%}  ({guess:.1%})")
    cosine = found["identity"] @ embeddings.T
    print(f"cosine to the teacher: same face {np.diag(cosine).mean():.3f}, ", end="")
    print(f"another {(cosine.sum() - np.trace(cosine)) / (cosine.size - len(cosine)):.3f}")


def save(network, names) -> None:
    """Write judge.onnx, weights in float16."""
    import tensorflow as tf
    import tf2onnx

    from vaekit.weights import halve_weights

    spec = [tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, "image")]
    function = tf.function(lambda image: network(image, training=False), spec, autograph=False)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=18)
    proto.metadata_props.add(key="attributes", value=" ".join(names))
    PATH.write_bytes(halve_weights(proto).SerializeToString())
    print(f"{PATH.name}: {PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    train(arguments.data, arguments.epochs)
