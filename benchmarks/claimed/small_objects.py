"""Small digits are told better where a generator makes their features like large ones' (Li et al. 2017)."""

import cv2
import keras
import numpy as np

from claimed.common import Trial, in_parts, mean_and_spread, mnist, say, train
from vaekit import losses
from vaekit.game import AdversarialModel
from vaekit.metrics import accuracy
from vaekit.models.perceptual_gan import PerceptualGAN
from vaekit.networks.convolutional import feature_classifier, feature_stages

SMALL, STEPS, SEEDS, TRAINED_ON = 7, 2000, (0, 1, 2), 10000
WEIGHTS = (0.0, 0.01, 0.1)
"""Of the adversarial loss: 0 is the generator alone."""


class Plain(AdversarialModel):
    """The same stages and head, trained on large and small digits alike: the network without the generator."""

    terms = ("large", "small")
    averaged = ("classifier",)

    def __init__(self, image_shape, classes):
        super().__init__()
        self.stages = feature_stages(image_shape, 16)
        self.head = feature_classifier(self.stages.output_shape[1][1:], classes)
        self.set_players({"classifier": [self.stages, self.head]})

    def objective(self, batch, training=True):
        """L_cls of both."""
        large, small = (
            losses.class_loss(batch[label], self.logits(batch[image], training))
            for image, label in (("image", "label"), ("small", "small_label"))
        )
        return {"classifier": large + small}, {"large": large, "small": small}

    def logits(self, images, training=False):
        """[N, classes]."""
        return self.head(self.stages(images, training=training)[1], training=training)

    def default_optimizers(self):
        """As PerceptualGAN's."""
        return {"classifier": keras.optimizers.Adam(1e-3)}


def main(trial: Trial) -> None:
    """Accuracy on MNIST test digits shrunk to 7x7, of which the training has seen as many."""
    x, y, x_test, y_test = mnist(trial.data)
    large, small = np.arange(TRAINED_ON), np.arange(TRAINED_ON, 2 * TRAINED_ON)
    arrays = {"image": x[large], "label": y[large], "small": shrunk(x[small]), "small_label": y[small]}
    test = shrunk(x_test)
    found: dict[str, list] = {"one network for both": [], **{f"Perceptual GAN, adversary x {w:g}": [] for w in WEIGHTS}}
    for seed in SEEDS:
        plain = train(lambda: Plain((28, 28, 1), 10), arrays, trial.steps(STEPS), seed=seed)
        found["one network for both"].append(accuracy(y_test, in_parts(plain.logits, test)))
        for weight in WEIGHTS:
            model = train(
                lambda weight=weight: PerceptualGAN((28, 28, 1), 10, adversarial=weight),
                arrays, trial.steps(STEPS), seed=seed,
            )  # fmt: skip
            found[f"Perceptual GAN, adversary x {weight:g}"].append(
                accuracy(y_test, in_parts(model.classify_small, test))
            )
    lines = [f"{name} {mean_and_spread([100.0 * value for value in values])} %" for name, values in found.items()]
    say("above the network's without it", f"{', '.join(lines)} of {len(test)} digits of 7x7 pixels, 3 seeds")


def shrunk(images: np.ndarray) -> np.ndarray:
    """Pictures [N, 28, 28, 1] shrunk to 7x7 and enlarged again."""
    sizes = ((SMALL, SMALL), cv2.INTER_AREA), (images.shape[2:0:-1], cv2.INTER_LINEAR)
    for size, kind in sizes:
        images = np.stack([cv2.resize(image, size, interpolation=kind) for image in images])
    return images[..., None]
