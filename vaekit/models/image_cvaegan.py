"""CVAE-GAN with an image for its condition: the engine of inpainting and super-resolution.

CVAE-GAN (Bao et al. 2017) draws x' = G(z, c) for a label c. Here c is a picture, what is known of x. It
is given to the encoder and, at every scale, to the generator, which answers with a residual on what a
classical method makes of c; so z picks among the answers that c allows.
"""

import keras
from keras import ops

from vaekit import losses
from vaekit.game import AdversarialModel
from vaekit.networks.centers import MovingCenters
from vaekit.networks.convolutional import patch_discriminator, picture_encoder, recogniser
from vaekit.networks.unet import residual_unet


class ImageCVAEGAN(AdversarialModel):
    """Players encoder, generator and discriminator, conditioned on an image.

    A subclass says in `given` what is known. In one forward pass a quarter of a batch is reconstructed
    through the posterior, z ~ q(z | x, c), half is answered with z = 0, which is held to be the faithful
    answer, and a quarter drawn from the prior; of a batch with less than 4 examples some are seen more than
    once. All is counted where something was missing. Where neither `feature`, `center` nor `adversarial` has a
    weight, there is no discriminator. With `recognised` there is a recogniser, the paper's classifier, that does
    not move: a run starts from one that is trained.

    Args:
        channels: channels of the picture.
        condition_channels: channels of the condition.
        latent_dim: size of z.
        widths: channels of the U-Net's levels.
        attention: whether far parts of a picture inform each other.
        stride: of the U-Net's first layer.
        activation: of the U-Net.
        pixel: weight of the L1 distance, counted where something was missing.
        feature: weight of the pairwise features of the discriminator, the learned similarity Dis_l.
        recognised: weight of the pairwise features of the recogniser.
        attributes: how many attributes the recogniser knows.
        center: weight of L_GD, the feature centres: what the shipped networks were trained with, a tenth of the
            paper's.
        adversarial: weight of the generator's hinge loss.
        kl: weight of L_KL, in nats.
        prior_pixel: share of `pixel` that also holds for answers drawn from the prior.
    """

    terms: tuple[str, ...] = ("kl", "pixel", "zero_pixel", "prior_pixel")
    averaged = ("generator",)
    multiple = 1
    """Of which a batch has to be; a shorter one is filled up with its first rows."""

    def __init__(
        self,
        channels=3,
        condition_channels=5,
        latent_dim=16,
        widths=(32, 64, 96, 160),
        attention=True,
        stride=2,
        activation="silu",
        pixel=10.0,
        feature=4.0,
        recognised=0.0,
        attributes=25,
        center=1e-4,
        adversarial=0.5,
        kl=0.002,
        prior_pixel=0.2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels, self.condition_channels = channels, condition_channels
        self.latent_dim, self.widths = latent_dim, tuple(widths)
        self.attention, self.stride, self.activation = attention, stride, activation
        self.pixel, self.feature, self.center = pixel, feature, center
        self.adversarial, self.kl, self.prior_pixel = adversarial, kl, prior_pixel
        self.recognised, self.attributes = recognised, attributes
        # === Networks ===
        self.encoder = picture_encoder(channels + condition_channels, latent_dim)
        self.generator = residual_unet(
            condition_channels, channels, latent_dim, self.widths, attention, stride, activation
        )
        players = {"encoder": [self.encoder], "generator": [self.generator]}
        self.has_discriminator = bool(feature or center or adversarial)
        if self.has_discriminator:
            self.discriminator = patch_discriminator(2 * channels + 1)
            self.real_center, self.fake_center = MovingCenters(), MovingCenters()
            feature_shape = (None, self.discriminator.output["layers"][-1].shape[-1])
            self.real_center.build(feature_shape)
            self.fake_center.build(feature_shape)
            players["discriminator"] = [self.discriminator]
            self.terms += ("feature", "zero_feature", "center", "adversarial")
        if recognised:
            self.recogniser = recogniser(channels, attributes)
            self.terms += ("recognised",)
        self.set_players(players)
        if recognised:
            self.freeze("recogniser", [self.recogniser])

    def given(self, batch):
        """What is known: (condition [N, H, W, K], base [N, H, W, C], missing [N, H, W, 1] in 0..1)."""
        raise NotImplementedError

    # === Objective ===
    def objective(self, batch, training=True):
        """L_KL + L_G; L_G + L_GD + the adversarial loss; L_D."""
        order = turns(ops.shape(batch["image"])[0], self.multiple)
        batch = {name: ops.take(value, order, axis=0) for name, value in batch.items()}
        x = batch["image"]
        condition, base, missing = self.given(batch)
        count = ops.shape(x)[0]
        posterior, prior = count // 4, count - count // 4

        known = condition[:posterior]
        added = _added(x[:posterior], base[:posterior])
        mean, log_variance = self.encoder(ops.concatenate([added, known], axis=-1), training=training)
        z = self.sample_posterior(mean, log_variance)
        z_0 = ops.zeros((prior - posterior, self.latent_dim), "float32")
        z_free = ops.concatenate([z_0, ops.cast(self.random_normal((count - prior, self.latent_dim)), "float32")])
        # In a call of its own: the encoder's gradient then has nothing to walk through but the reconstructions.
        residual = [
            self.generator([known, z], training=training),
            self.generator([condition[posterior:], z_free], training=training),
        ]
        x_rec = base[:posterior] + missing[:posterior] * residual[0]
        x_free = base[posterior:] + missing[posterior:] * residual[1]

        l_kl = losses.kl_standard_normal(mean, log_variance)
        zeros = prior - posterior
        l_pixel = losses.masked_l1(x[:posterior], x_rec, missing[:posterior])
        l_zero_pixel = losses.masked_l1(x[posterior:prior], x_free[:zeros], missing[posterior:prior])
        l_prior_pixel = losses.masked_l1(x[prior:], x_free[zeros:], missing[prior:])
        faithful = self.pixel * (l_pixel + 2.0 * l_zero_pixel + self.prior_pixel * l_prior_pixel) / 4
        terms = {"kl": l_kl, "pixel": l_pixel, "zero_pixel": l_zero_pixel, "prior_pixel": l_prior_pixel}
        of = {"encoder": self.kl * l_kl + self.pixel * l_pixel, "generator": faithful}
        if self.recognised:
            true = self.recogniser(x[:prior], training=False)["layers"]
            found = self.recogniser(ops.concatenate([x_rec, x_free[:zeros]]), training=False)["layers"]
            terms["recognised"] = losses.feature_l1(true, found, missing[:prior])
            of = {player: loss + self.recognised * terms["recognised"] for player, loss in of.items()}
        if not self.has_discriminator:
            return of, terms

        def discriminate(picture, base, missing):
            seen = ops.concatenate([2.0 * picture - 1.0, _added(picture, base), missing], axis=-1)
            return self.discriminator(seen, training=training)

        real = discriminate(x, base, missing)
        rec = discriminate(x_rec, base[:posterior], missing[:posterior])
        free = discriminate(x_free, base[posterior:], missing[posterior:])
        logits = ops.concatenate([rec["logits"], free["logits"]])
        # Logits of places where nothing is missing say nothing of the generator.
        places = losses.pool_mask(missing, logits)
        l_d = losses.real_hinge_loss(real["logits"], places) + losses.fake_hinge_loss(logits, places)
        l_fool = losses.weighted_mean(-logits, places)
        l_feature = losses.feature_l1([f[:posterior] for f in real["layers"]], rec["layers"], missing[:posterior])
        l_zero_feature = losses.feature_l1(
            [f[posterior:prior] for f in real["layers"]], [f[:zeros] for f in free["layers"]], missing[posterior:prior]
        )
        l_center = losses.center_loss(
            self.real_center(_pooled(real["layers"][-1]), training=training),
            self.fake_center(_pooled(ops.concatenate([rec["layers"][-1], free["layers"][-1]])), training=training),
        )
        of["encoder"] += self.feature * l_feature
        of["generator"] += self.feature * (l_feature + 2.0 * l_zero_feature) / 3
        of["generator"] += self.center * l_center + self.adversarial * l_fool
        seen = {"feature": l_feature, "zero_feature": l_zero_feature, "center": l_center, "adversarial": l_fool}
        return {**of, "discriminator": l_d}, {**terms, **seen}

    def default_optimizers(self):
        """Adam 2e-4 with betas .5 and .99 for all."""
        return {player: keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.99) for player in self.players}

    # === Use ===
    def answer(self, batch, z):
        """The picture [N, H, W, C] in 0..1 that z [N, latent_dim] picks; untouched where nothing is missing."""
        condition, base, missing = self.given(batch)
        filled = base + missing * self.generator([condition, ops.convert_to_tensor(z)], training=False)
        return ops.clip(filled, 0.0, 1.0)


def _added(picture, base):
    """What a picture adds to the classical one, made about as large as a picture in -1..1.

    A discriminator that has to find so small a difference in the picture takes five times as long to learn.
    """
    return 10.0 * (picture - base)


def _pooled(features):
    """[N, h, w, F] -> [N, F]."""
    return ops.mean(ops.cast(features, "float32"), axis=(1, 2))


def turns(given, multiple: int):
    """The order in which the rows of a batch are taken: they join the three parts of the objective, one, two and one
    of four, in turn.

    So parts of a batch that replicas share have the same parts. There are at least 4 rows, a multiple of `multiple`.
    """
    count = max(given, 4) if isinstance(given, int) else ops.maximum(given, 4)
    count += -count % multiple
    whole = count - count % 4
    starts = [ops.arange(turn, whole, 4) for turn in range(4)]
    return ops.concatenate([*starts[:3], ops.arange(whole, count), starts[3]]) % given
