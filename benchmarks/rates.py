"""How many images a second each model of the family trains on.

    python benchmarks/rates.py

Models as they come, on 64x64x3 images, 64 a batch, float32.
"""

import argparse
import inspect
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from vaekit.models import FAMILY, LABELLED, model_class

SHAPE, BATCH, CLASSES = (64, 64, 3), 64, 10


def main(steps: int) -> None:
    """Print the table."""
    print(f"{SHAPE} float32, batch {BATCH}, median of {steps} steps\n{'model':22}{'images/s':>9}{'weights':>12}")
    for name in FAMILY:
        model = make(name)
        play = stepper(model, batch(name))
        seconds = [play() for _ in range(steps)]
        weights = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
        print(f"{name:22}{BATCH / statistics.median(seconds):9.0f}{weights:12,}", flush=True)


def make(name: str):
    """A model of the family for SHAPE."""
    keras.utils.set_random_seed(0)
    kind = model_class(name)
    takes = inspect.signature(kind).parameters
    given = {"image_shape": SHAPE, "channels": SHAPE[2]}
    if name in LABELLED:
        given |= {"classes": CLASSES, "identities": CLASSES}
    return kind(**{key: value for key, value in given.items() if key in takes})


def batch(name: str) -> dict:
    """What the model is told, drawn at random: its content costs nothing."""
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(BATCH, *SHAPE)).astype("float32")
    told = {"image": image, "label": rng.integers(0, CLASSES, BATCH).astype("int32")}
    match name:
        case "siamese":
            told["partner"] = image[::-1]
        case "srgan":
            told["small"] = image[:, ::4, ::4]
        case "pix2pix":
            told["condition"] = image
        case "cyclegan":
            told["other"] = image[::-1]
    return {key: tf.constant(value) for key, value in told.items()}


def stepper(model, told: dict):
    """A function that takes a step and returns its seconds; steps before it have traced and warmed up."""
    model.compile(average=0)
    step = tf.function(model.train_step)

    def play() -> float:
        started = time.perf_counter()
        logs = step(told)
        float(next(iter(logs.values())))
        return time.perf_counter() - started

    for _ in range(2):
        play()
    return play


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    main(parser.parse_args().steps)
