"""The equations of the VAE-GAN family, each once, as pure functions of tensors.

Every function takes batch-first tensors, works in float32 whatever the compute precision, and
returns a scalar. Unless a docstring says otherwise the reduction is a **sum over the dimensions of
one example and a mean over the batch**: with a mean over dimensions instead, the weight of a KL
term would depend on the size of the image.
"""

import math

from keras import ops


def _examples(x):
    """View a batch of any rank as float32 [N, D]."""
    x = ops.cast(x, "float32")
    return ops.reshape(x, (ops.shape(x)[0], -1))


def _sum_mean(x):
    """Sum over the dimensions of an example, mean over the batch."""
    return ops.mean(ops.sum(_examples(x), axis=1))


# --- Likelihoods and priors ---


def kl_standard_normal(mean, log_variance):
    """KL(N(mean, diag exp(log_variance)) || N(0, I)), in nats.

    1/2 sum(mean^2 + s^2 - log s^2 - 1) with log s^2 = log_variance; Kingma & Welling 2014, appendix B.

    Args:
        mean: [N, D] posterior means.
        log_variance: [N, D] logarithms of the posterior variances.
    """
    mean, log_variance = _examples(mean), _examples(log_variance)
    return 0.5 * _sum_mean(mean**2 + ops.exp(log_variance) - log_variance - 1.0)


def half_squared_distance(a, b, weight=None):
    """1/2 ||a - b||^2, each example's times its weight [N], where there are weights.

    With the features of a discriminator's layer it is the learned similarity L_like of VAE/GAN
    (Larsen et al. 2016, eq. 7, constant dropped); with images, features f_D and features f_C it is each
    part of CVAE-GAN's L_G (Bao et al. 2017, eq. 7).
    """
    squares = (_examples(a) - _examples(b)) ** 2
    return 0.5 * _sum_mean(squares if weight is None else ops.cast(weight, "float32")[:, None] * squares)


def gaussian_nll(x, mean, sigma=1.0):
    """-log N(x; mean, sigma^2 I) without its constant: ||x - mean||^2 / (2 sigma^2), in nats."""
    return half_squared_distance(x, mean) / sigma**2


def learned_gaussian_nll(x, mean, log_variance):
    """-log N(x; mean, diag exp(log_variance)), in nats, with its constant: 1/2 sum((x - mean)^2 / s^2 + log 2 pi s^2).

    What a decoder that answers with a variance too minimises (Kingma & Welling 2014, appendix C.2).

    Args:
        x: [N, ...].
        mean: [N, ...].
        log_variance: [N, ...], or what spreads over it.
    """
    x, mean, log_variance = (ops.cast(tensor, "float32") for tensor in (x, mean, log_variance))
    return 0.5 * _sum_mean((x - mean) ** 2 * ops.exp(-log_variance) + log_variance + math.log(2.0 * math.pi))


def bernoulli_nll(x, logits):
    """-log p(x) of independent Bernoulli pixels, in nats.

    Args:
        x: [N, ...] targets in 0..1.
        logits: [N, ...] log odds of each pixel being 1.
    """
    x, logits = _examples(x), _examples(logits)
    return _sum_mean(ops.softplus(logits) - x * logits)


def mean_squared_error(a, b):
    """Mean over everything of (a - b)^2."""
    return ops.mean((_examples(a) - _examples(b)) ** 2)


def mean_absolute_error(a, b):
    """Mean over everything of |a - b|."""
    return ops.mean(ops.abs(_examples(a) - _examples(b)))


def soft_dice_loss(mask, probability, smooth=1.0):
    """1 - (2 sum(p m) + smooth) / (sum(p^2) + sum(m^2) + smooth), mean over the batch.

    Milletari et al. 2016 (V-Net), eq. 3, with `smooth` for examples that have nothing to be found: what is found in
    them costs the more the smaller it is.

    Args:
        mask: [N, ...] targets in 0..1.
        probability: [N, ...] in 0..1.
        smooth: above 0, in pixels.
    """
    mask, probability = _examples(mask), _examples(probability)
    both = 2.0 * ops.sum(mask * probability, axis=1) + smooth
    return ops.mean(1.0 - both / (ops.sum(mask**2, axis=1) + ops.sum(probability**2, axis=1) + smooth))


# --- Games ---


def real_log_loss(logits):
    """-E log D(x) with D = sigmoid(logits); mean over everything. Goodfellow et al. 2014, eq. 1."""
    return ops.mean(ops.softplus(-ops.cast(logits, "float32")))


def fake_log_loss(logits):
    """-E log(1 - D(x)) with D = sigmoid(logits); mean over everything. Goodfellow et al. 2014, eq. 1."""
    return ops.mean(ops.softplus(ops.cast(logits, "float32")))


def real_hinge_loss(logits, weight=None):
    """E [1 - D(x)]+; mean over everything, weighted where a weight is given. Lim & Ye 2017."""
    return weighted_mean(ops.relu(1.0 - logits), weight)


def fake_hinge_loss(logits, weight=None):
    """E [1 + D(x)]+; mean over everything, weighted where a weight is given. Lim & Ye 2017."""
    return weighted_mean(ops.relu(1.0 + logits), weight)


def real_square_loss(logits):
    """E (D(x) - 1)^2; mean over everything. Least squares GAN (Mao et al. 2017, eq. 9 with a = 0, b = c = 1)."""
    return ops.mean((ops.cast(logits, "float32") - 1.0) ** 2)


def fake_square_loss(logits):
    """E D(x)^2; mean over everything. Least squares GAN (Mao et al. 2017, eq. 9)."""
    return ops.mean(ops.cast(logits, "float32") ** 2)


def wasserstein_estimate(real, fake):
    """E f(x) - E f(G(z)) of a critic's scores: what it maximises, and where f is 1-Lipschitz at most the distance.

    Arjovsky et al. 2017 (WGAN), eq. 2.
    """
    return ops.mean(ops.cast(real, "float32")) - ops.mean(ops.cast(fake, "float32"))


def gradient_penalty(gradient):
    """E (||grad||_2 - 1)^2, the norm over all dimensions of an example (Gulrajani et al. 2017, eq. 3).

    Args:
        gradient: [N, ...] of the critic's score by its input.
    """
    # Inside the root: at a gradient of 0 the root itself has none.
    lengths = ops.sqrt(ops.sum(_examples(gradient) ** 2, axis=1) + 1e-12)
    return ops.mean((lengths - 1.0) ** 2)


def energy(x, x_rec):
    """EBGAN's D(x) [N]: an autoencoder's mean squared error on each example (Zhao et al. 2017, eq. 4)."""
    return ops.mean((_examples(x) - _examples(x_rec)) ** 2, axis=1)


def energy_margin_loss(real, fake, margin=1.0):
    """E D(x) + E [margin - D(G(z))]+ of energies [N] (Zhao et al. 2017, eq. 1)."""
    return ops.mean(real) + ops.mean(ops.relu(margin - fake))


def pull_away(codes):
    """Mean of the squared cosines of all pairs of codes [N, D] (Zhao et al. 2017, eq. 5); 0 where none are alike.

    One code makes no pair: 0.
    """
    codes = _examples(codes)
    codes = codes / ops.sqrt(ops.sum(codes**2, axis=1, keepdims=True) + 1e-12)
    cosines = ops.matmul(codes, ops.transpose(codes))
    count = ops.cast(ops.shape(codes)[0], "float32")
    # The diagonal is 1, of codes that are not all zero.
    return (ops.sum(cosines**2) - ops.sum(ops.diagonal(cosines) ** 2)) / ops.maximum(count * (count - 1.0), 1.0)


def equilibrium(real_loss, fake_loss, target=0.68, margin=0.35):
    """(whether the discriminator plays, whether the generator plays), 0 or 1: who is far ahead rests.

    The discriminator is ahead where either of its losses is below target - margin, behind where either is above
    target + margin; log 2 is about .69, of three classes log 3 about 1.10. Where both would rest, both play (Larsen et
    al. 2016, their code).
    """
    least, most = ops.minimum(real_loss, fake_loss), ops.maximum(real_loss, fake_loss)
    ahead = ops.cast(least < target - margin, "float32")
    behind = ops.cast(most > target + margin, "float32")
    both = ahead * behind
    return 1.0 - ahead + both, 1.0 - behind + both


# --- Classes and features ---


def class_loss(labels, logits):
    """-E log P(c | x), softmax over the last axis: CVAE-GAN's L_C (Bao et al. 2017, eq. 1).

    Args:
        labels: [N] integers.
        logits: [N, C].
    """
    logits = ops.cast(logits, "float32")
    rows = ops.logsumexp(logits, axis=-1) - ops.sum(
        ops.one_hot(labels, ops.shape(logits)[-1], dtype="float32") * logits, axis=-1
    )
    return ops.mean(rows)


def attribute_loss(attributes, logits, weight=1.0):
    """Sum over attributes of the binary cross-entropy, mean over the batch: L_C for multi-hot conditions.

    Args:
        attributes: [N, K] in 0..1.
        logits: [N, K].
        weight: of every attribute, anything that spreads over [N, K].
    """
    attributes, logits, weight = (ops.cast(t, "float32") for t in (attributes, logits, weight))
    return _sum_mean(weight * (ops.softplus(logits) - attributes * logits))


def label_loss(labels, logits):
    """`class_loss` of labels [N], `attribute_loss` of labels [N, K]."""
    return (class_loss if len(labels.shape) == 1 else attribute_loss)(labels, logits)


def cosine_distance(a, b):
    """1 - cos(a, b) of two embeddings [N, D]; mean over the batch. Their lengths do not matter."""
    a, b = _examples(a), _examples(b)
    lengths = ops.sqrt(ops.sum(a**2, axis=1) * ops.sum(b**2, axis=1) + 1e-12)
    return ops.mean(1.0 - ops.sum(a * b, axis=1) / lengths)


def center_loss(real_center, fake_center):
    """Feature-centre matching, 1/2 ||E f(x) - E f(G(z))||^2: L_GD of CVAE-GAN (Bao et al. 2017, eq. 4).

    Args:
        real_center: [F], or [C, F] with one centre a class (L_GC, eq. 6: summed over the classes).
        fake_center: as real_center.
    """
    real_center, fake_center = ops.cast(real_center, "float32"), ops.cast(fake_center, "float32")
    return 0.5 * ops.sum((real_center - fake_center) ** 2)


def contrastive_loss(queries, keys, temperature=0.1):
    """InfoNCE, -log softmax_j(cos(q_i, k_j) / temperature)_i (van den Oord et al. 2018, eq. 4); mean over the batch.

    Args:
        queries, keys: embeddings [N, D] of unit length.
        temperature: what cosines are divided by (.1: Chen et al. 2020, table 5).
    """
    queries, keys = _examples(queries), _examples(keys)
    scores = ops.matmul(queries, ops.transpose(keys)) / temperature
    return ops.mean(ops.logsumexp(scores, axis=1) - ops.diagonal(scores))


def triplet_loss(anchor, positive, negative, margin=0.2):
    """E [||a - p||^2 - ||a - n||^2 + margin]+ of embeddings [N, D] (Schroff et al. 2015, eq. 3)."""
    anchor, positive, negative = (_examples(t) for t in (anchor, positive, negative))
    near = ops.sum((anchor - positive) ** 2, axis=1)
    far = ops.sum((anchor - negative) ** 2, axis=1)
    return ops.mean(ops.relu(near - far + margin))


# --- Distances of sets ---


def squared_distances(a, b):
    """||a_i - b_j||^2 of all pairs: [N, M] of [N, ...] and [M, ...]."""
    a, b = _examples(a), _examples(b)
    products = ops.matmul(a, ops.transpose(b))
    return ops.relu(ops.sum(a**2, axis=1)[:, None] + ops.sum(b**2, axis=1)[None] - 2.0 * products)


SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Of the kernels that `maximum_mean_discrepancy` adds up."""


def maximum_mean_discrepancy(a, b, variance=1.0):
    """Unbiased estimate of MMD^2 between two sets of codes [N, D] (Tolstikhin et al. 2018, algorithm 2).

    The kernel is the inverse multiquadric C / (C + ||a - b||^2), C = 2 D variance s summed over SCALES s. One code
    tells nothing of a distribution: 0.

    Args:
        a: [N, D].
        b: [N, D].
        variance: of the prior.
    """
    count = ops.cast(ops.shape(a)[0], "float32")
    aa, bb, ab = squared_distances(a, a), squared_distances(b, b), squared_distances(a, b)
    apart = 1.0 - ops.eye(ops.shape(a)[0])
    total = 0.0
    for scale in SCALES:
        c = 2.0 * a.shape[-1] * variance * scale
        within = ops.sum(apart * (c / (c + aa) + c / (c + bb))) / ops.maximum(count * (count - 1.0), 1.0)
        total += within - 2.0 * ops.mean(c / (c + ab))
    return total * ops.cast(count > 1.0, "float32")


def pairwise_log_distance(x, z):
    """How differently far apart examples are in x [N, ...] and in z [N, ...] (Sainburg et al. 2018, GAIA, eq. 6).

    1/N sum over pairs of (log2(1 + d_x / mean d_x) - log2(1 + d_z / mean d_z))^2, d being squared distances and the
    mean their sum over pairs by N.
    """
    count = ops.cast(ops.shape(x)[0], "float32")

    def logarithms(values):
        distances = squared_distances(values, values)
        return ops.log2(1.0 + distances / (ops.sum(distances) / count + 1e-12))

    return ops.sum((logarithms(x) - logarithms(z)) ** 2) / count


# --- Distances counted where it matters ---


def gradient_difference(a, b):
    """Sum over the neighbours of | |a - a'| - |b - b'| |, rows and columns, divided by the number of pixels.

    Mathieu et al. 2016, eq. 6 with alpha = 1: it counts edges that are softer or sharper, where squares of differences
    favour the soft ones.

    Args:
        a: pictures [N, H, W, C].
        b: pictures [N, H, W, C].
    """
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    down = ops.abs(ops.abs(a[:, 1:] - a[:, :-1]) - ops.abs(b[:, 1:] - b[:, :-1]))
    right = ops.abs(ops.abs(a[:, :, 1:] - a[:, :, :-1]) - ops.abs(b[:, :, 1:] - b[:, :, :-1]))
    pixels = ops.cast(ops.prod(ops.shape(a)[1:]), "float32")
    return (_sum_mean(down) + _sum_mean(right)) / pixels


def pixel_class_loss(maps, logits):
    """-log of the probability of each pixel's class, mean over the pixels.

    Args:
        maps: [N, H, W, K] one-hot.
        logits: [N, H, W, K].
    """
    maps, logits = ops.cast(maps, "float32"), ops.cast(logits, "float32")
    return -ops.mean(ops.sum(maps * ops.log_softmax(logits, axis=-1), axis=-1))


def masked_l1(a, b, mask):
    """Mean absolute difference over the pixels that mask selects, each example counted alike.

    Args:
        a: [N, H, W, C].
        b: [N, H, W, C].
        mask: [N, H, W, 1] in 0..1; an example whose mask is empty counts 0.
    """
    a, b, mask = (ops.cast(t, "float32") for t in (a, b, mask))
    error = ops.sum(ops.mean(ops.abs(a - b), axis=-1, keepdims=True) * mask, axis=(1, 2, 3))
    area = ops.sum(mask, axis=(1, 2, 3))
    return ops.mean(error / ops.maximum(area, 1.0))


def feature_l1(real, fake, mask=None):
    """Sum over layers of the mean absolute difference of a discriminator's features (Wang et al. 2018, eq. 4).

    Args:
        real: list of tensors [N, h, w, F], one a layer.
        fake: list of tensors of the same shapes.
        mask: [N, H, W, 1] in 0..1; each place of a layer then counts by the share of it that is masked, and
            each example alike, however small its hole. H and W are the same multiples of h and w.
    """
    total = 0.0
    for r, f in zip(real, fake, strict=True):
        weight = None if mask is None else pool_mask(mask, r)
        total += weighted_mean(ops.abs(ops.cast(r, "float32") - ops.cast(f, "float32")), weight)
    return total


def pool_mask(mask, like):
    """The share of a mask [N, H, W, 1] in each place of a feature map [N, h, w, F]: [N, h, w, 1]."""
    factor = mask.shape[1] // like.shape[1]
    return ops.average_pool(ops.cast(mask, "float32"), factor, strides=factor, padding="same")


def weighted_mean(values, weight=None):
    """Mean over examples of sum(weight * values) / sum(weight), so that each counts alike; the plain mean for None.

    Args:
        values: [N, ..., F].
        weight: [N, ..., 1], not negative, spread over the last axis. An example with less than a weight of 1
            counts by what it has.
    """
    values = ops.cast(values, "float32")
    if weight is None:
        return ops.mean(values)
    weight = ops.cast(weight, "float32")
    of_example = tuple(range(1, len(values.shape)))
    total = ops.sum(ops.mean(values, axis=-1, keepdims=True) * weight, axis=of_example)
    return ops.mean(total / ops.maximum(ops.sum(weight, axis=of_example), 1.0))
