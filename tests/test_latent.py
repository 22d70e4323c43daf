"""Directions, against numbers worked by hand, and their files."""

import io
import zipfile

import numpy as np
import pytest

from vaekit import latent
from vaekit.latent import Direction, DirectionError, least_squares, load_direction, mean_difference, save_direction
from vaekit.models.aegan import AEGAN
from vaekit.models.gan import GAN


def codes_of(attributes, directions, offset=5.0):
    """Codes that are a constant and the sum of their attributes' directions."""
    return (offset + attributes @ directions.reshape(len(directions), -1)).reshape(-1, *directions.shape[1:])


def test_mean_difference():
    positive = np.array([[[[1.0]]], [[[3.0]]]])
    negative = np.array([[[[0.5]]], [[[0.5]]], [[[0.5]]]])
    np.testing.assert_allclose(mean_difference(positive, negative), [[[1.5]]])


def test_least_squares_tell_apart_what_comes_together_and_the_mean_difference_does_not():
    directions = np.array([[[[2.0, 0.0]]], [[[0.0, 3.0]]]])
    attributes = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    codes = codes_of(attributes, directions)
    np.testing.assert_allclose(least_squares(codes, attributes), directions, atol=5e-3)
    having = attributes[:, 0] > 0
    # Of three that have the first two have the second; of three that have it not, one: 3 (2/3 - 1/3) = 1 leaks in.
    np.testing.assert_allclose(mean_difference(codes[having], codes[~having]), [[[2.0, 1.0]]])


def test_an_attribute_that_never_changes_has_no_direction():
    attributes = np.array([[1.0, 0.7], [0.0, 0.7], [1.0, 0.7]])
    codes = codes_of(attributes[:, :1], np.array([[[[4.0]]]]))
    np.testing.assert_allclose(least_squares(codes, attributes).ravel(), [4.0, 0.0], atol=1e-2)


def test_a_file_gives_the_direction_back_and_is_not_written_over(tmp_path):
    path = tmp_path / "grïn.npz"
    step = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    save_direction(Direction(step, "edit/1"), path)
    loaded = load_direction(path)
    np.testing.assert_array_equal(loaded.step, step)
    assert loaded.bundle == "edit/1"
    with pytest.raises(DirectionError, match="already exists"):
        save_direction(Direction(2 * step, "edit/1"), path)
    save_direction(Direction(2 * step, "edit/1"), path, overwrite=True)
    np.testing.assert_array_equal(load_direction(path).step, 2 * step)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def saved(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        saved(other=np.zeros(3)),
        saved(step=np.zeros((2, 2), np.float32), bundle=np.array("edit/1")),
        saved(step=np.full((1, 1, 1), np.nan, np.float32), bundle=np.array("edit/1")),
        saved(step=np.array([{"a": 1}], object), bundle=np.array("edit/1")),
    ],
    ids=["empty", "no archive", "other arrays", "flat", "NaN", "pickled"],
)
def test_what_is_no_direction_is_one_line(tmp_path, content):
    path = tmp_path / "hat.npz"
    path.write_bytes(content)
    with pytest.raises(DirectionError, match=r"hat.npz: not a direction: [^\n]+$"):
        load_direction(path)


def test_a_direction_that_unpacks_to_too_much_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "hat.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("step.npy", bytes(1_000_000))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(latent, "LARGEST", 100_000)
    with pytest.raises(DirectionError, match="too large"):
        load_direction(path)


class Cubic:
    """A model of one pixel, z^3 - 3 z: it has a top of 2 at z = -1, and is 18 at z = 3 alone."""

    drawn_dim = 1

    def from_noise(self, noise, label):
        return (noise**3 - 3.0 * noise)[:, :, None, None]


def test_inversion_keeps_the_best_of_several_starts():
    target = np.full((2, 1, 1, 1), 18.0)
    ends = [latent.invert(Cubic(), target[:1], starts=1, rate=0.1, seed=seed)[0].item() for seed in (3, 4)]
    np.testing.assert_allclose(ends, [3.0, -1.0], atol=1e-2)  # it depends on where it begins
    shares = []
    found, distance = latent.invert(Cubic(), target, starts=8, rate=0.1, progress=shares.append)
    np.testing.assert_allclose(found, [[3.0], [3.0]], atol=1e-3)
    np.testing.assert_allclose(distance, 0.0, atol=1e-2)
    assert (len(shares), shares[0], shares[-1]) == (200, 1 / 200, 1.0)


def test_a_model_that_samples_finds_its_own_samples_again():
    """AEGAN's z is found behind G1 and the decoder, and a conditional model's with its class."""
    for model, labels in (
        (AEGAN((8, 8, 1), latent_dim=2, base=4, width=8), None),
        (GAN((8, 8, 1), latent_dim=2, base=4, classes=3), np.array([2, 0])),
    ):
        pictures = np.asarray(model.from_noise(np.array([[0.5, -1.0], [1.5, 0.3]], np.float32), labels))
        before = [np.array(weight) for weight in model.get_weights()]
        _, far = latent.invert(model, pictures, labels, steps=0)
        noise, near = latent.invert(model, pictures, labels, steps=60)
        assert np.all(near < 0.05 * far)
        drawn = np.asarray(model.from_noise(noise, labels))
        np.testing.assert_allclose(((drawn - pictures) ** 2).sum(axis=(1, 2, 3)), near, rtol=1e-3, atol=1e-6)
        for weight, held in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, held)
