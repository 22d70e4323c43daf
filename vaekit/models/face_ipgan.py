"""IP-GAN for photos of faces: who a face is, is told by a network that was taught to tell people apart."""

import keras
from keras import ops

from vaekit import losses
from vaekit.backends import replicas
from vaekit.game import AdversarialModel
from vaekit.networks.blocks import perceptron
from vaekit.networks.convolutional import embedder, place_encoder, projected_discriminator, styled_decoder

SEEN = 3
"""Stages of the embedder whose features are compared, and seen by the discriminator."""
DECAY = 2e-3
"""Of the identity adapter's kernel W."""
CLOSER = 16
"""This part of a side is cut from either end for the closer crop that I(x) sees too."""


@keras.saving.register_keras_serializable("vaekit")
class FaceIPGAN(AdversarialModel):
    """IP-GAN (Bao et al. 2018) whose I and C are one embedder e that does not move: x' = G(I(x_s), A(x_a)).

    A few thousand photos cannot teach a network who people are, and a recogniser that saw millions can (vaekit train
    embed). L_I and L_C fall away with it, and L_GC is the cosine distance of its embeddings. L_GR asks for x_a where
    x_s shows the same person, be it in another picture: the paper has only the same picture. A and G move as one, by
    the sum of their losses, which takes a pass back through G less.

    Two players learn from people who were photographed both ways. Embeddings of profiles lie close together, and a
    generator that is told who somebody is by them draws fronts of nobody. So G is told by the embedding of a frontal
    photo, and the identity adapter s learns what that is from any other, a closer crop of it and both's mirror images:
    I(x) = s(sum of e), linear, by L_who = 1 - cos(I(x), e(front)) + the contrastive loss of the two, as the first
    term alone makes all people alike, + |W|^2, as e knows people it was taught better than it will know others.
    The pose mapper t learns what A(x) would be from the front, L_front = |t(A(x)) - A(front)|^2 / 2. It is not told by
    pictures: no profile knows the light of a frontal photo, and the mean of all pictures that it may be is a blur,
    where their codes' is a face.

    A batch holds "image" and "partner", another picture of the same person or the same one, [N, H, W, C] in 0..1,
    "front" [N, H, W, C], the same person from the front, and "fronted" [N], 1 where there is such a picture; elsewhere
    "front" is the image itself. Of every four rows the first is its own x_a. The second's is its front, or where that
    is not known its partner. With `mixed`, the third's and the fourth's x_a are each other's partners.

    Args:
        image_shape: (H, W, C), sides that are multiples of the embedder's.
        attribute_dim: length of A(x).
        identity_dim: length of I(x).
        side: of what the embedder sees.
        embedder_widths, encoder_widths, decoder_widths: channels of the networks' levels.
        style_dim: length of the vector that G makes of both codes before it draws.
        mixed: whether people are shown as others are.
        kl: weight of L_KL, in nats.
        pixel: weight of L_GR, the mean absolute difference.
        squared: half the squared difference in its place, as the paper has it: exacter on average, and blurred where
            two answers are as likely.
        feature: weight of the same of the embedder's first features.
        different: lambda, what L_GR counts where x_a is another person's.
        identity: weight of L_GC.
        adversarial: weight of the generator's hinge loss; with 0 there is no discriminator.
    """

    terms: tuple[str, ...] = ("kl", "pixel", "feature", "identity", "who", "front")
    averaged = ("generator", "identity_adapter", "pose_mapper")

    def __init__(
        self,
        image_shape=(128, 128, 3),
        attribute_dim=64,
        identity_dim=128,
        side=64,
        embedder_widths=(32, 64, 128, 192),
        encoder_widths=(24, 48, 96, 128),
        decoder_widths=(128, 128, 112, 64, 32),
        style_dim=128,
        mixed=True,
        kl=1e-3,
        pixel=10.0,
        squared=False,
        feature=1.0,
        different=0.1,
        identity=1.0,
        adversarial=0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.attribute_dim, self.identity_dim = tuple(image_shape), attribute_dim, identity_dim
        self.side, self.embedder_widths, self.encoder_widths = side, tuple(embedder_widths), tuple(encoder_widths)
        self.decoder_widths, self.style_dim = tuple(decoder_widths), style_dim
        self.mixed, self.kl, self.pixel, self.squared = mixed, kl, pixel, squared
        self.feature, self.different, self.identity, self.adversarial = feature, different, identity, adversarial
        # === Networks ===
        channels = self.image_shape[2]
        self.embedder = embedder((side, side, channels), identity_dim, self.embedder_widths)
        self.encoder = place_encoder(self.image_shape, attribute_dim, self.encoder_widths)
        self.generator = styled_decoder(self.image_shape, attribute_dim + identity_dim, self.decoder_widths, style_dim)
        self.shrink = self.image_shape[0] // side
        skip = self.shrink.bit_length() - 1
        correction = keras.layers.Dense(identity_dim, kernel_initializer="zeros", dtype="float32")
        self.identity_adapter = keras.Sequential([keras.Input((identity_dim,)), correction], name="identity_adapter")
        self.pose_mapper = perceptron(attribute_dim, attribute_dim, depth=2, name="pose_mapper")
        players = {
            "generator": [self.encoder, self.generator],
            "identity_adapter": [self.identity_adapter],
            "pose_mapper": [self.pose_mapper],
        }
        if adversarial:
            self.discriminator = projected_discriminator(channels, self.embedder_widths[:SEEN], skip=skip)
            players["discriminator"] = [self.discriminator]
            self.terms += ("adversarial",)
        self.set_players(players)
        self.freeze("embedder", [self.embedder])

    # === Objective ===
    def objective(self, batch, training=True):
        """L_KL + L_GR + L_GC + the adversarial loss; L_who; L_front; L_D."""
        x_s = batch["image"]
        x_a, same, fronts = self.pair(batch)
        who = self.look(batch["front"])["embedding"]
        mean, log_variance = self.encoder(2.0 * x_a - 1.0, training=training)
        l_kl = losses.kl_standard_normal(mean, log_variance)
        x_new = self.decode(who, self.sample_posterior(mean, log_variance), training)
        # L_GR
        shown, seen = self.look(x_a), self.look(x_new)
        weight = (same + self.different * (1.0 - same))[:, None, None, None]
        miss = x_a - x_new
        l_pixel = ops.mean(weight * (0.5 * miss**2 if self.squared else ops.abs(miss)))
        pairs = zip(shown["layers"][:SEEN], seen["layers"][:SEEN], strict=True)
        l_feature = sum(ops.mean(weight * ops.abs(ops.cast(a, "float32") - ops.cast(b, "float32"))) for a, b in pairs)
        l_gr = self.pixel * l_pixel + self.feature * l_feature
        # L_GC
        l_identity = losses.cosine_distance(who, self.straighten(seen["embedding"]))
        # L_who
        told = self.identify(x_s)
        queries, keys = replicas.all_gather(told), replicas.all_gather(who)
        l_who = losses.cosine_distance(told, who) + losses.contrastive_loss(queries, keys)
        l_who = l_who + DECAY * ops.sum(self.identity_adapter.layers[-1].kernel ** 2)
        # L_front
        turned = self.to_front(self.encode(x_s))
        l_front = losses.half_squared_distance(ops.stop_gradient(mean), turned, fronts)
        players = {
            "generator": self.kl * l_kl + l_gr + self.identity * l_identity,
            "identity_adapter": l_who,
            "pose_mapper": l_front,
        }
        terms = {
            "kl": l_kl,
            "pixel": l_pixel,
            "feature": l_feature,
            "identity": l_identity,
            "who": l_who,
            "front": l_front,
        }
        # L_D
        if self.adversarial:
            real, fake = (
                self.discriminator([2.0 * picture - 1.0, *found["layers"][:SEEN]], training=training)
                for picture, found in ((x_a, shown), (x_new, seen))
            )
            players["discriminator"] = losses.real_hinge_loss(real) + losses.fake_hinge_loss(fake)
            terms["adversarial"] = losses.weighted_mean(-fake)
            players["generator"] += self.adversarial * terms["adversarial"]
        return players, terms

    def pair(self, batch):
        """(x_a, [N] 1 where it shows the person of x_s, [N] 1 where it is known to do so from the front).

        Within four, so that replicas which share a batch pair as one does.
        """
        x_s, partner = batch["image"], batch["partner"]
        count = ops.shape(x_s)[0]
        rows = ops.arange(count)
        turn = rows % 4
        moves = ops.logical_and(turn >= 2, rows < count - count % 4) if self.mixed else ops.zeros_like(rows, "bool")
        others = ops.take(partner, ops.where(moves, rows + 5 - 2 * turn, rows), axis=0)
        moves, own = ops.cast(moves, "float32"), ops.cast(turn == 0, "float32")
        fronts = ops.cast(turn == 1, "float32") * ops.cast(batch["fronted"], "float32")
        return _where(own, x_s, _where(fronts, batch["front"], others)), 1.0 - moves, fronts

    def look(self, images):
        """What the embedder makes of images: {"embedding": [N, identity_dim] of unit length, "layers": features}."""
        small = ops.average_pool(images, self.shrink, strides=self.shrink) if self.shrink > 1 else images
        return self.embedder(small, training=False)

    def default_optimizers(self):
        """Adam 2e-4 with betas .5 and .99 for all."""
        return {player: keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.99) for player in self.players}

    # === Use ===
    def identify(self, images):
        """I(x): [N, identity_dim] of unit length, of images [N, H, W, C] in 0..1."""
        height, width = self.image_shape[:2]
        top, left = height // CLOSER, width // CLOSER
        closer = ops.image.resize(images[:, top : height - top, left : width - left], (height, width))
        views = (view for face in (images, closer) for view in (face, ops.flip(face, axis=2)))
        return self.straighten(ops.normalize(sum(self.look(view)["embedding"] for view in views)))

    def encode(self, images):
        """A(x), its mean: [N, attribute_dim]."""
        return self.encoder(2.0 * images - 1.0, training=False)[0]

    def decode(self, identities, attributes, training=False):
        """G: images [N, H, W, C] in 0..1."""
        scaled = ops.cast(identities, "float32") * self.identity_dim**0.5  # numbers about as large as the attributes'
        codes = ops.concatenate([scaled, ops.cast(attributes, "float32")], axis=-1)
        return self.generator(codes, training=training)

    def straighten(self, embeddings):
        """Embeddings [N, identity_dim] of faces as they would be of frontal ones, of unit length."""
        embeddings = ops.cast(embeddings, "float32")
        return ops.normalize(embeddings + self.identity_adapter(embeddings))

    def to_front(self, attributes):
        """A(x) as it would be from the front, [N, attribute_dim]."""
        attributes = ops.cast(attributes, "float32")
        return attributes + self.pose_mapper(attributes)

    def frontalize(self, images):
        """The same people in the same light, from the front."""
        return self.decode(self.identify(images), self.to_front(self.encode(images)))

    def transfer(self, x_s, x_a):
        """The people of x_s, shown as those of x_a are."""
        return self.decode(self.identify(x_s), self.encode(x_a))


def _where(rows, a, b):
    """Rows of a where `rows` [N] is 1, of b where it is 0."""
    return ops.where(ops.reshape(rows, (-1, *[1] * (len(a.shape) - 1))) > 0, a, b)
