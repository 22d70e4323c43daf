"""A critic's estimate on two parallel lines at distance t is t, where Jensen-Shannon's is log 2 (WGAN, example 1)."""

import keras
import numpy as np
import tensorflow as tf

from claimed.common import Trial, say
from vaekit import losses
from vaekit.backends.gradients import input_gradient
from vaekit.networks.blocks import perceptron

STEPS = 1500


def main(trial: Trial) -> None:
    """Points (0, y) against (t, y), y uniform in 0..1."""
    found = {t: estimates(t, trial.steps(STEPS)) for t in (0.1, 0.25, 0.5, 1.0)}
    say(
        "W = t and JS = log 2 = 0.693 for every t > 0",
        "; ".join(f"t {t:g}: W {w:.4f} ({w / t - 1:+.1%}), JS {js:.3f}" for t, (w, js) in found.items()),
    )


def estimates(t: float, steps: int) -> tuple[float, float]:
    """The critic's estimate of the distance, with the gradient penalty, and the discriminator's of JS, in nats."""
    keras.utils.set_random_seed(0)
    critic, judge = perceptron(2, 1, 64), perceptron(2, 1, 64)
    optimizers = keras.optimizers.Adam(1e-3, beta_1=0.5), keras.optimizers.Adam(1e-3, beta_1=0.5)

    def points(count):
        y = tf.random.uniform((2, count, 1))
        return tf.concat([tf.zeros_like(y[0]), y[0]], 1), tf.concat([t * tf.ones_like(y[1]), y[1]], 1)

    @tf.function
    def step():
        real, fake = points(256)
        share = tf.random.uniform((256, 1))
        with tf.GradientTape(persistent=True) as tape:
            slope = losses.gradient_penalty(input_gradient(critic, share * real + (1 - share) * fake))
            l_critic = 10.0 * slope - losses.wasserstein_estimate(critic(real), critic(fake))
            l_judge = losses.real_log_loss(judge(real)) + losses.fake_log_loss(judge(fake))
        for optimizer, network, loss in zip(optimizers, (critic, judge), (l_critic, l_judge), strict=True):
            variables = network.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    for optimizer, network in zip(optimizers, (critic, judge), strict=True):
        optimizer.build(network.trainable_variables)
    for _ in range(steps):
        step()
    real, fake = points(20000)
    distance = losses.wasserstein_estimate(critic(real), critic(fake))
    # The penalty draws the slope to 1 and does not hold it there: scores are counted in units of the slope between.
    slopes = tf.norm(input_gradient(critic, 0.5 * (real + fake)), axis=1)
    l_judge = losses.real_log_loss(judge(real)) + losses.fake_log_loss(judge(fake))
    return float(distance / np.mean(slopes)), float(np.log(2.0) - l_judge / 2)
