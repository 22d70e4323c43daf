"""A training step of VAE/GAN, against steps written by hand with the same networks.

    python benchmarks/step.py

One is the textbook's, with a tape and a forward pass for each player, as tutorials write it; the other has one tape and
one forward pass for all of them. All train the same networks on the same batches (64x64x3) with the same losses and
optimizers. Rounds alternate, medians are printed, and a ratio is the median of the ratios within a round.
"""

import argparse
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from vaekit import losses
from vaekit.models.vaegan import VAEGAN

SHAPE, BATCH = (64, 64, 3), 64


class Textbook(keras.Model):
    """Three tapes: each player runs the networks for itself, and is given the gradient of its own loss."""

    def __init__(self, twin: VAEGAN):
        super().__init__()
        self.encoder, self.decoder, self.discriminator = (
            keras.models.clone_model(n) for n in (twin.encoder, twin.decoder, twin.discriminator)
        )
        self.latent_dim, self.gamma = twin.latent_dim, twin.gamma
        self.adams = {p: keras.optimizers.RMSprop(3e-4) for p in ("encoder", "decoder", "discriminator")}
        self.built = True

    def _forward(self, x):
        mean, log_variance = self.encoder(x, training=True)
        z = mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))
        reconstructed = self.decoder(z, training=True)
        return (
            mean,
            log_variance,
            self.discriminator(x, training=True),
            self.discriminator(reconstructed, training=True),
        )

    def _draw(self, x):
        z = tf.random.normal((tf.shape(x)[0], self.latent_dim))
        return self.discriminator(self.decoder(z, training=True), training=True)

    def train_step(self, data):
        """One step of every player, in turn."""
        x = data["image"]
        with tf.GradientTape() as tape:
            _, _, real, fake = self._forward(x)
            drawn = self._draw(x)
            loss = losses.real_log_loss(real["logits"]) + losses.fake_log_loss(fake["logits"])
            d_loss = loss + losses.fake_log_loss(drawn["logits"])
        self._apply("discriminator", tape, d_loss)
        with tf.GradientTape() as tape:
            mean, log_variance, real, fake = self._forward(x)
            like = losses.half_squared_distance(real["similarity"], fake["similarity"])
            e_loss = losses.kl_standard_normal(mean, log_variance) + like
        self._apply("encoder", tape, e_loss)
        with tf.GradientTape() as tape:
            _, _, real, fake = self._forward(x)
            drawn = self._draw(x)
            like = losses.half_squared_distance(real["similarity"], fake["similarity"])
            fool = losses.real_log_loss(fake["logits"]) + losses.real_log_loss(drawn["logits"])
            g_loss = self.gamma * like + fool
        self._apply("decoder", tape, g_loss)
        return {"encoder_loss": e_loss, "decoder_loss": g_loss, "discriminator_loss": d_loss}

    def _apply(self, player, tape, loss):
        variables = getattr(self, player).trainable_variables
        self.adams[player].apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))


class ByHand(Textbook):
    """One persistent tape over one forward pass, as somebody who cares for speed writes it."""

    def train_step(self, data):
        """One step of every player at once."""
        x = data["image"]
        with tf.GradientTape(persistent=True) as tape:
            mean, log_variance, real, fake = self._forward(x)
            drawn = self._draw(x)
            like = losses.half_squared_distance(real["similarity"], fake["similarity"])
            found = {
                "encoder": losses.kl_standard_normal(mean, log_variance) + like,
                "decoder": self.gamma * like
                + losses.real_log_loss(fake["logits"])
                + losses.real_log_loss(drawn["logits"]),
                "discriminator": losses.real_log_loss(real["logits"])
                + losses.fake_log_loss(fake["logits"])
                + losses.fake_log_loss(drawn["logits"]),
            }
        variables = {player: getattr(self, player).trainable_variables for player in found}
        gradients = {player: tape.gradient(loss, variables[player]) for player, loss in found.items()}
        for player, own in gradients.items():
            self.adams[player].apply_gradients(zip(own, variables[player], strict=True))
        return {f"{player}_loss": loss for player, loss in found.items()}


def main(rounds: int, steps: int, size: int) -> None:
    """Print the table."""
    keras.utils.set_random_seed(0)
    ours = VAEGAN(SHAPE)
    textbook, by_hand = Textbook(ours), ByHand(ours)
    for twin in (textbook, by_hand):
        for player, optimizer in twin.adams.items():
            optimizer.build(getattr(twin, player).trainable_variables)
        twin.compile(optimizer="sgd")  # never used: Keras wants one
    ours.compile(average=0)
    images = np.random.default_rng(0).uniform(size=(size, *SHAPE)).astype("float32")
    batch = {"image": tf.constant(images)}
    models = {"vaekit": ours, "by hand, one tape": by_hand, "textbook, three tapes": textbook}
    step = {name: tf.function(lambda data, model=model: model.train_step(data)) for name, model in models.items()}
    for play in step.values():
        play(batch)
    times: dict[str, list[float]] = {name: [] for name in step}
    for _ in range(rounds):
        for name, play in step.items():
            started = time.perf_counter()
            for _ in range(steps):
                play(batch)
            times[name].append((time.perf_counter() - started) / steps)
    print(f"VAE/GAN, {SHAPE}, batch {size}, {rounds} rounds of {steps} steps")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        ratio = statistics.median(other / own for own, other in zip(times["vaekit"], seconds, strict=True))
        print(
            f"{name:24} {1000 * median:8.1f} ms a step {size / median:8.1f} images/s; vaekit is {ratio:.2f} x as fast"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=BATCH)
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.steps, arguments.batch)
