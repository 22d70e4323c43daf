"""CVAE-GAN conditioned on attributes: what changes of a picture where some of them change."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from vaekit import losses
from vaekit.faces import NARROW
from vaekit.game import AdversarialModel
from vaekit.networks.autoencoder import map_decoder, map_encoder
from vaekit.networks.convolutional import embedder, projected_discriminator, recogniser

SEEN = 3
"""Stages of the classifier whose features the discriminator sees."""
CHANGED = 1.0
"""How many attributes of an example are drawn to be changed on average; where that is none, it is one."""


@keras.saving.register_keras_serializable("vaekit")
class AttributeCVAEGAN(AdversarialModel):
    """CVAE-GAN (Bao et al. 2017) whose condition is the wanted change of attributes, [N, K] in -1..1.

    As in STGAN (Liu et al. 2019) the generator is told what shall change, not what shall be: G(z, 0) is the
    reconstruction x' and G(z, d) its edited twin. What the discriminator sees is x + G(z, d) - G(z, 0): the picture
    keeps what the latent has lost, and no change leaves it as it is. Of each batch a quarter is decoded from z alone,
    as the paper's is, so that a direction of z can be used too; the rest may use the encoder's features.

    The discriminator has a logit for every attribute and either value of it, as StarGAN v2's (Choi et al. 2020) has
    one a domain: a face that was given glasses is compared with faces that wear some. The classifier alone is content
    with smudges that it takes for them.

    Encoder and generator are one player, the autoencoder: every loss reaches both, and one pull-back serves them.
    The classifier C and, with `identity`, the embedder do not move: a run starts from ones that are trained.

    A batch holds "image" [N, H, W, C] in 0..1, "label" [N, K] of 0 and 1, and "label_mask" [N, K]: 0 where the image
    is no example of how its attribute should look, else 1.

    Args:
        attributes: their names, K of them, in the order of the labels.
        exclusive: groups of names of which at most one holds, such as colours of hair.
        co_occurring: by attribute, those that may come and go with it, as an open mouth does with a smile.
        channels: channels of the picture.
        latent_channels: of z [N, h, w, latent_channels].
        widths: channels of the autoencoder's levels.
        shrink: the recogniser sees the picture so many times smaller, a power of 2.
        crop: (top, left, bottom, right) of what the embedder sees, as shares of the picture's sides.
        recogniser_widths: channels of the classifier's stages.
        embedder_widths: channels of the embedder's stages.
        pixel: weight of the L1 distance of x' to x.
        feature: weight of the distance in the classifier's features, f_C.
        attribute: weight of the classifier's loss on what shall change.
        other: weight of its loss on what shall not.
        identity: weight of the cosine distance between the embeddings of x and of its edit.
        moved: weight of the L1 distance between x and its edit.
        adversarial: weight of the generator's hinge loss.
        kl: weight of L_KL, in nats.
        strength: by attribute, what a change of 1 and what one of -1 is to `edit`, 1 where nothing is said. Above 1
            it goes further than what training asks for, which weighs success against all else and so stops short of
            the typical face that has an attribute.
    """

    terms: tuple[str, ...] = ("kl", "pixel", "feature", "attribute", "other", "moved", "adversarial")
    averaged = ("autoencoder",)

    def __init__(
        self,
        attributes,
        exclusive=(),
        co_occurring=None,
        channels=3,
        latent_channels=32,
        widths=(16, 32, 64, 96),
        shrink=2,
        crop=NARROW,
        recogniser_widths=(24, 48, 96, 128),
        embedder_widths=(32, 64, 128, 192),
        pixel=5.0,
        feature=0.5,
        attribute=0.4,
        other=0.3,
        identity=0.0,
        moved=1.0,
        adversarial=0.5,
        kl=1e-4,
        strength=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.attributes, self.exclusive = list(attributes), [list(group) for group in exclusive]
        self.co_occurring = {name: list(others) for name, others in dict(co_occurring or {}).items()}
        self.channels, self.latent_channels, self.widths = channels, latent_channels, tuple(widths)
        self.shrink, self.crop = shrink, tuple(crop)
        self.recogniser_widths, self.embedder_widths = tuple(recogniser_widths), tuple(embedder_widths)
        self.pixel, self.feature, self.attribute, self.other = pixel, feature, attribute, other
        self.identity, self.moved, self.adversarial, self.kl = identity, moved, adversarial, kl
        self.strength = {name: (added, removed) for name, (added, removed) in dict(strength or {}).items()}
        for table, named in (
            ("strength", self.strength),
            ("co_occurring", [*self.co_occurring, *itertools.chain(*self.co_occurring.values())]),
        ):
            unknown = set(named) - set(self.attributes)
            if unknown:
                raise ValueError(f"{table} of {', '.join(sorted(unknown))}, which is no attribute")
        # === Networks ===
        self.encoder = map_encoder(channels, latent_channels, self.widths)
        self.generator = map_decoder(channels, latent_channels, len(self.attributes), self.widths)
        self.recogniser = recogniser(channels, len(self.attributes), self.recogniser_widths)
        seen = [layer.shape[-1] for layer in self.recogniser.output["layers"][:SEEN]]
        self.discriminator = projected_discriminator(
            channels, seen, skip=int(math.log2(shrink)), outputs=2 * len(self.attributes)
        )
        if identity:
            self.embedder = embedder((64, 64, channels), widths=self.embedder_widths)
            self.terms += ("identity",)
        self.set_players({"autoencoder": [self.encoder, self.generator], "discriminator": [self.discriminator]})
        self.freeze("recogniser", [self.recogniser])
        if identity:
            self.freeze("embedder", [self.embedder])

    # === Objective ===
    def objective(self, batch, training=True):
        """L_KL + L_G + what the classifier, the embedder and the discriminator make of the edit; L_D."""
        x, label = batch["image"], ops.cast(batch["label"], "float32")
        change = self.draw_change(label)
        coded = self.encoder(x, training=training)
        z = self.sample_posterior(coded["mean"], coded["log_variance"])
        use_skips = ops.arange(ops.shape(x)[0]) % 4 > 0
        skips = [s * ops.cast(use_skips, s.dtype)[:, None, None, None] for s in coded["skips"]]
        x_rec, x_dec = self.decode_twice(z, change, skips, training)
        edited = x + x_dec - x_rec

        # L_KL, and L_G (eq. 7) of the reconstruction: pixels and features of C
        l_kl = losses.kl_standard_normal(coded["mean"], coded["log_variance"])
        l_pixel = ops.mean(ops.abs(x - x_rec))
        true, rec, new = (self.recognise(picture) for picture in (x, x_rec, edited))
        l_feature = losses.feature_l1(true["layers"], rec["layers"])
        # What C shall see in the edit: what was asked for, and, but for what co-occurs with that, what it sees in x
        asked = ops.abs(change)
        kept = ops.relu(1.0 - asked - ops.matmul(asked, self.co_occurrence))
        l_attribute = losses.attribute_loss(label + change, new["logits"], asked)
        l_other = losses.attribute_loss(ops.sigmoid(true["logits"]), new["logits"], kept)
        l_moved = ops.mean(ops.abs(edited - x))
        terms = {
            "kl": l_kl, "pixel": l_pixel, "feature": l_feature, "attribute": l_attribute, "other": l_other,
            "moved": l_moved,
        }  # fmt: skip
        l_g = (
            self.kl * l_kl + self.pixel * l_pixel + self.feature * l_feature
            + self.attribute * l_attribute + self.other * l_other + self.moved * l_moved
        )  # fmt: skip
        if self.identity:
            terms["identity"] = losses.cosine_distance(self.embed(x), self.embed(edited))
            l_g += self.identity * terms["identity"]
        # L_D: x as an example of what it is, the edit as one of what was asked for
        real, fake = (
            asked_logits(self.discriminator([2.0 * p - 1.0, *seen["layers"][:SEEN]], training=training), has)
            for p, seen, has in ((x, true, label), (edited, new, label + change))
        )
        label_mask, asked = batch["label_mask"][..., None], asked[..., None]
        l_d = losses.real_hinge_loss(real, label_mask) + losses.fake_hinge_loss(fake, asked)
        terms["adversarial"] = losses.weighted_mean(-fake, asked)
        return {"autoencoder": l_g + self.adversarial * terms["adversarial"], "discriminator": l_d}, terms

    @property
    def groups(self):
        """The exclusive attributes by their places."""
        return [[self.attributes.index(name) for name in group] for group in self.exclusive]

    @property
    def co_occurrence(self):
        """[K, K]: 1 where the attribute of the column may come and go with that of the row."""
        table = [[other in self.co_occurring.get(name, ()) for other in self.attributes] for name in self.attributes]
        return np.array(table, "float32")

    def draw_change(self, label):
        """What to change of attributes [N, K]: -1, 0 or 1, each with the same chance, and at least one.

        Where one of an exclusive group is to come, the others go.
        """
        lots = ops.cast(self.random_uniform(ops.shape(label)), "float32")
        first = ops.one_hot(ops.argmin(lots, axis=1), len(self.attributes), dtype="float32")
        asked = ops.maximum(first, ops.cast(lots < CHANGED / len(self.attributes), "float32"))
        change = asked * (1.0 - 2.0 * label)
        for group in self.groups:
            members = ops.sum(ops.one_hot(group, len(self.attributes), dtype="float32"), axis=0)
            coming = members * ops.cast(change > 0, "float32")
            any_comes = ops.max(coming, axis=1, keepdims=True)
            chosen = ops.one_hot(ops.argmax(coming * (2.0 - lots), axis=1), len(self.attributes), dtype="float32")
            change = change + any_comes * members * (chosen - label - change)
        return change

    def decode_twice(self, z, change, skips, training=False):
        """(G(z, 0), G(z, change)), each [N, H, W, C]."""
        both = [ops.concatenate([t, t]) for t in (z, *skips)]
        changes = ops.concatenate([ops.zeros_like(change), change])
        return ops.split(self.generator([both[0], changes, *both[1:]], training=training), 2)

    def recognise(self, picture):
        """What C sees: logits [N, K] and its features."""
        small = ops.average_pool(picture, self.shrink, strides=self.shrink) if self.shrink > 1 else picture
        return self.recogniser(small, training=False)

    def embed(self, picture):
        """Embeddings [N, D] of the faces."""
        sides = picture.shape[1:3]
        top, left, bottom, right = (
            round(share * side) for share, side in zip(self.crop, (*sides, *sides), strict=True)
        )
        side = self.embedder.input_shape[1:3]
        face = ops.image.resize(picture[:, top:bottom, left:right], side)
        return self.embedder(face, training=False)["embedding"]

    def default_optimizers(self):
        """Adam 2e-4 with betas .5 and .99 for both."""
        return {player: keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.99) for player in self.players}

    # === Use ===
    @property
    def stride(self):
        """Pixels a side to one place of z."""
        return 2 ** len(self.widths)

    def encode(self, image):
        """The posterior's mean z [N, h, w, latent_channels]."""
        return self.encoder(image, training=False)["mean"]

    def scale_change(self, change):
        """The change [N, K] as the generator takes it: times its strength, and of what is beyond 1 a quarter.

        Training asks for changes up to 1; far beyond, pictures fall apart.
        """
        change = ops.convert_to_tensor(change)
        both = np.array([self.strength.get(name, (1.0, 1.0)) for name in self.attributes], "float32")
        near = ops.clip(change, -1.0, 1.0)
        return ops.where(change > 0, both[:, 0], both[:, 1]) * (near + 0.25 * (change - near))

    def edit(self, image, change, direction=None):
        """What the change [N, K] and, where one is given, a direction of z [N, h, w, latent_channels] add.

        Returns:
            A difference [N, H, W, C], 0 where both are 0.
        """
        coded = self.encoder(image, training=False)
        wanted = self.scale_change(change)
        x_rec, x_dec = self.decode_twice(coded["mean"], wanted, coded["skips"])
        added = x_dec - x_rec
        if direction is not None:
            nothing = [ops.zeros_like(s) for s in coded["skips"]]
            unchanged = ops.zeros_like(ops.convert_to_tensor(change))
            before, after = (
                self.generator([z, unchanged, *nothing], training=False)
                for z in (coded["mean"], coded["mean"] + direction)
            )
            added += after - before
        return added


def asked_logits(logits, label):
    """Of the logits for and against every attribute those that a label asks for, [N, K, patches].

    Args:
        logits: [N, h, w, 2 K], first those of faces that have the attributes, then of faces that have not.
        label: [N, K] of 0 and 1.
    """
    present, absent = ops.split(logits, 2, axis=-1)
    asked_for = ops.where(label[:, None, None, :] > 0.5, present, absent)
    return ops.transpose(ops.reshape(asked_for, (ops.shape(label)[0], -1, label.shape[1])), (0, 2, 1))
