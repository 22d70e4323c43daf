"""CPU time of a training step of VAE/GAN on JAX and on TensorFlow, each in a process of its own.

    python benchmarks/backends.py

Both train VAEGAN((64, 64, 3)) on the same batches. CPU time is that of all threads, so that other processes on the
machine matter little; the first steps, in which the step is compiled, are left out. Medians over the steps.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

SHAPE, BATCH = (64, 64, 3), 32


def measure(steps: int, size: int) -> float:
    """Median CPU-seconds of a step on this process's backend."""
    import numpy as np

    from vaekit import VAEGAN

    model = VAEGAN(SHAPE)
    model.compile(average=0)
    images = np.random.default_rng(0).uniform(size=(size, *SHAPE)).astype("float32")
    for _ in range(2):
        model.train_on_batch(images)
    seconds = []
    for _ in range(steps):
        started = time.process_time()
        model.train_on_batch(images)
        seconds.append(time.process_time() - started)
    return statistics.median(seconds)


def main(steps: int, size: int) -> None:
    """Print the table."""
    found = {}
    for backend in ("tensorflow", "jax"):
        command = [sys.executable, __file__, "--one", "--steps", str(steps), "--batch", str(size)]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        found[backend] = float(done.stdout)
        print(f"{backend:12} {found[backend]:8.2f} CPU-seconds a step of {size} images of {SHAPE}")
    print(f"jax takes {found['jax'] / found['tensorflow']:.2f} x as much")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(measure(arguments.steps, arguments.batch))
    else:
        main(arguments.steps, arguments.batch)
