"""pix2pix and CycleGAN: what their losses weigh, what is judged again, and what pairs are."""

import keras
import numpy as np
import pytest
from keras import ops
from models import use_small_networks

from vaekit import images
from vaekit.apps import implied, recipe_path, task
from vaekit.data import DataError
from vaekit.models.cyclegan import CycleGAN
from vaekit.models.pix2pix import Pix2Pix
from vaekit.networks.history import ImageHistory
from vaekit.recipe import load_recipe
from vaekit.training import batches


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        use_small_networks(patch.setattr)
        yield


def flat(*values):
    """Pictures [N, 8, 8, 1] of one value each."""
    return np.array(values, np.float32)[:, None, None, None] * np.ones((1, 8, 8, 1), np.float32)


def values(pictures):
    return [round(float(v), 6) for v in ops.convert_to_numpy(pictures)[:, 0, 0, 0]]


def test_pix2pix_weighs_l1_on_pictures_in_minus_1_to_1():
    """An untrained U-Net draws .5; of .75 that is .25 off, .5 on the paper's range, which 100 makes 50."""
    model = Pix2Pix(1, condition_channels=1, latent_dim=2, widths=(8, 8))
    model.discriminator = lambda pair, training: {"logits": ops.zeros((2, 1))}
    found, terms = model.objective({"condition": flat(0.1, 0.9), "image": flat(0.75, 0.75)})
    assert float(terms["pixel"]) == pytest.approx(0.5)
    assert float(found["generator"]) == pytest.approx(50 + np.log(2), rel=1e-6)


def test_cyclegan_weighs_l1_on_pictures_in_minus_1_to_1():
    """G adds .1, F nothing: both cycles are .1 off, G(y) too, each .2 on the paper's range: 10 (.4 + .5 * .2) = 5."""
    model = CycleGAN((8, 8, 1), widths=(8, 8), kept=0)
    model.forward = lambda inputs, training: 0.1 * ops.ones_like(inputs[0])
    model.backward = lambda inputs, training: ops.zeros_like(inputs[0])
    model.discriminator_x = model.discriminator_y = lambda picture, training: {"logits": ops.ones((2, 1))}
    found, terms = model.objective({"image": flat(0.1, 0.3), "other": flat(0.5, 0.7)})
    assert (float(terms["cycle"]), float(terms["identity"])) == pytest.approx((0.4, 0.2), rel=1e-5)
    # All are taken for real: nothing is left to fool, and each discriminator pays 1/2 for its generated pictures.
    assert (float(found["generator"]), float(found["discriminator"])) == pytest.approx((5.0, 1.0), rel=1e-5)


def test_a_history_hands_out_an_earlier_picture_for_half_of_those_it_is_given():
    history = ImageHistory(3)
    history.build((None, 8, 8, 1))

    def give(pictures, coins, start):
        noise = np.stack([np.array(coins, np.float32), np.full(len(coins), (start + 0.5) / 3, np.float32)], axis=1)
        return values(history(flat(*pictures), noise))

    # Empty places take pictures in, whatever the coin.
    assert give([0.1, 0.2], [0.1, 0.9], start=2) == [0.1, 0.2]
    assert values(history.images) == [0.2, 0.0, 0.1]
    # .3 is given for .2, which is handed out; .4 finds an empty place.
    assert give([0.3, 0.4], [0.1, 0.1], start=0) == [0.2, 0.4]
    assert values(history.images) == [0.3, 0.4, 0.1]
    # The coin is against .5 and for .6; the last two of five are more than are kept.
    assert give([0.5, 0.6, 0.7, 0.8, 0.9], [0.9, 0.1, 0.9, 0.1, 0.1], start=1) == [0.5, 0.1, 0.7, 0.8, 0.9]
    assert values(history.images) == [0.3, 0.4, 0.6]


def test_cyclegans_discriminators_judge_earlier_pictures_in_training_alone():
    """The generators' loss is of what they draw now."""
    model = CycleGAN((8, 8, 1), widths=(8, 8), kept=2)
    model.forward = model.backward = lambda inputs, training: ops.zeros_like(inputs[0])
    model.discriminator_x = model.discriminator_y = lambda picture, training: {"logits": 0.5 * picture[:, 0, 0] + 0.5}
    model.random_uniform = ops.zeros  # always exchanged, from the first place on
    model.objective({"image": flat(0.0, 0.0), "other": flat(1.0, 1.0)})
    second = {"image": flat(0.5, 0.5), "other": flat(0.5, 0.5)}
    held = values(model.earlier_x.images)
    found, _ = model.objective(second, training=False)
    assert (float(found["discriminator"]), values(model.earlier_x.images)) == (0.5 * (0.25 + 0.25) * 2, held)
    found, _ = model.objective(second)
    # Earlier pictures were y = 1 for x's judge and x = 0 for y's.
    assert float(found["discriminator"]) == 0.5 * (0.25 + 1.0) + 0.5 * (0.25 + 0.0)
    assert float(found["generator"]) == 0.25 + 0.25
    assert (values(model.earlier_x.images), values(model.earlier_y.images)) == ([0.5, 0.5], [0.5, 0.5])


@pytest.fixture
def pairs(tmp_path):
    """Six photos, and as many maps of the same names in another format: photo N is of grey 10 N, its map of 200 + N."""
    for folder, suffix, first, step in (("photos", "png", 0, 10), ("maps", "bmp", 200, 1)):
        (tmp_path / folder / "x").mkdir(parents=True)
        for number in range(6):
            pixels = np.full((8, 8, 3), first + step * number, np.uint8)
            if suffix == "png":
                images.write(tmp_path / folder / "x" / f"{number}.png", pixels)
            else:
                from PIL import Image

                Image.fromarray(pixels).save(tmp_path / folder / "x" / f"{number}.bmp")
    return tmp_path


def translated(folder, data, other):
    changes = [f"data.other={folder / other}", "train.batch_size=4", "train.steps_per_epoch=2", "data.holdout.every=3"]
    recipe = load_recipe(recipe_path("pix2pix"), [*implied("pix2pix"), *changes], [str(folder / data)])
    return batches(task("pix2pix").complete(recipe), task("pix2pix"), "train")[0]


def test_pix2pix_draws_the_other_picture_of_the_same_name(pairs):
    batch = translated(pairs, "photos", "maps")
    photos, maps = (np.rint(255 * batch[key][:, 0, 0, 0]) for key in ("condition", "image"))
    np.testing.assert_array_equal(maps, 200 + photos / 10)
    assert batch["image"].shape == batch["condition"].shape == (4, 8, 8, 3)


def test_of_arrays_pairs_are_at_the_same_place(tmp_path):
    grey = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    np.savez(tmp_path / "a.npz", images=10 * grey)
    np.savez(tmp_path / "b.npz", images=200 + grey)
    np.savez(tmp_path / "c.npz", images=grey[:3])
    batch = translated(tmp_path, "a.npz", "b.npz")
    photos, maps = (np.rint(255 * batch[key][:, 0, 0, 0]) for key in ("condition", "image"))
    np.testing.assert_array_equal(maps, 200 + photos / 10)
    assert (batch["condition"].shape, batch["image"].shape) == ((4, 8, 8, 3), (4, 8, 8, 1))
    with pytest.raises(DataError, match="as many pictures of both"):
        translated(tmp_path, "a.npz", "c.npz")


def test_a_picture_without_a_pair_is_named(pairs):
    for number in range(6):
        (pairs / "maps" / "x" / f"{number}.bmp").rename(pairs / "maps" / "x" / f"m{number}.bmp")
    with pytest.raises(DataError, match=r"x/\d: no picture of that name"):
        translated(pairs, "photos", "maps")


def test_a_folder_and_an_array_make_no_pairs(pairs):
    np.savez(pairs / "a.npz", images=np.zeros((6, 8, 8), np.uint8))
    with pytest.raises(DataError, match="one of these is a folder"):
        translated(pairs, "photos", "a.npz")


def test_a_history_is_saved_with_its_model(tmp_path):
    model = CycleGAN((8, 8, 1), widths=(8, 8), kept=2)
    model.compile("adam", run_eagerly=True)
    model.train_on_batch({"image": flat(0.25, 0.5), "other": flat(0.75, 1.0)})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.earlier_y.images, model.earlier_y.images)
    assert np.any(ops.convert_to_numpy(loaded.earlier_y.images))
