"""pythae's VAE/GAN with vaekit's networks, layer for layer; `beside_pythae.py` has it take steps.

A process of its own, as PyTorch and TensorFlow bring an LLVM each, and one process takes but one.
"""

import sys
import tempfile
import time

import torch
from pythae import models
from pythae.data.datasets import BaseDataset
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.trainers import CoupledOptimizerAdversarialTrainer, CoupledOptimizerAdversarialTrainerConfig
from torch import nn

SHAPE, BATCH = (64, 64, 3), 64
BASE, LATENTS = 32, 128
WIDTHS = (BASE, 2 * BASE, 4 * BASE, 8 * BASE)
SMALLEST = SHAPE[0] // 16


def downs() -> nn.Sequential:
    """Strided convolutions, normalised but for the first."""
    layers, before = [], SHAPE[2]
    for width in WIDTHS:
        first = before == SHAPE[2]
        layers.append(nn.Conv2d(before, width, 5, stride=2, padding=2, bias=first))
        layers += [] if first else [nn.BatchNorm2d(width)]
        layers.append(nn.LeakyReLU(0.2))
        before = width
    return nn.Sequential(*layers)


class Encoder(BaseEncoder):
    """Of `gaussian_encoder`."""

    def __init__(self):
        super().__init__()
        self.downs = downs()
        self.mean, self.log_variance = (nn.Linear(SMALLEST**2 * WIDTHS[-1], LATENTS) for _ in range(2))

    def forward(self, x):
        """Mean and logarithm of the variance."""
        h = self.downs(2 * x - 1).flatten(1)
        return ModelOutput(embedding=self.mean(h), log_covariance=8 * torch.tanh(self.log_variance(h)))


class Decoder(BaseDecoder):
    """Of `decoder`."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(LATENTS, SMALLEST**2 * WIDTHS[-1], bias=False)
        layers, before = [], WIDTHS[-1]
        for width in WIDTHS[::-1]:
            layers += [nn.BatchNorm2d(before), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False))
            before = width
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, SHAPE[2], 3, padding=1), nn.Sigmoid()]
        self.ups = nn.Sequential(*layers)

    def forward(self, z):
        """Images of latents."""
        return ModelOutput(reconstruction=self.ups(self.dense(z).view(-1, WIDTHS[-1], SMALLEST, SMALLEST)))


class Discriminator(BaseDiscriminator):
    """Of `discriminator`, with the probability that pythae wants."""

    depth = 2

    def __init__(self):
        super().__init__()
        self.downs = downs()
        hidden = nn.Linear(SMALLEST**2 * WIDTHS[-1], 8 * BASE)
        self.head = nn.Sequential(nn.Flatten(), hidden, nn.LeakyReLU(0.2), nn.Linear(8 * BASE, 1), nn.Sigmoid())

    def forward(self, x, output_layer_levels=None):
        """The last convolution's features, where they are asked for, or else the verdict."""
        h = self.downs(2 * x - 1)
        if output_layer_levels is not None:
            return ModelOutput(embedding_layer_1=h)
        return ModelOutput(embedding=self.head(h))


def main(folder: str) -> None:
    """Take a step of pythae's trainer for every line on standard input, and print its seconds."""
    config = models.VAEGANConfig(
        input_dim=(SHAPE[2], *SHAPE[:2]), latent_dim=LATENTS, reconstruction_layer=1, equilibrium=0.68, margin=100.0
    )  # so wide a margin that all three always move, as ours do
    model = models.VAEGAN(config, encoder=Encoder(), decoder=Decoder(), discriminator=Discriminator())
    data = BaseDataset(torch.rand(BATCH, SHAPE[2], *SHAPE[:2]), torch.ones(BATCH))
    told = {
        f"{player}_{key}": value
        for player in ("encoder", "decoder", "discriminator")
        for key, value in (("optimizer_cls", "RMSprop"), ("learning_rate", 3e-4))
    }
    trainer = CoupledOptimizerAdversarialTrainer(
        model,
        data,
        training_config=CoupledOptimizerAdversarialTrainerConfig(
            output_dir=folder, num_epochs=1, per_device_train_batch_size=BATCH, no_cuda=True, **told
        ),
    )
    trainer.prepare_training()

    for _ in range(2):  # to warm up
        trainer.train_step(1)
    print(torch.__version__, flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        trainer.train_step(1)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        main(empty)
