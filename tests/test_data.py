"""Sources, holes and batches."""

from dataclasses import replace

import numpy as np
import pytest

from vaekit import images
from vaekit.apps.edit import training as edit
from vaekit.apps.embed import training as embed
from vaekit.apps.frontalize import training as frontalize
from vaekit.apps.inpaint.training import TASK
from vaekit.data import Batches, DataError, Holdout, JoinedSource, crop_resize, erase, holes, open_source, shrink
from vaekit.data.degrade import degrade, gaussian
from vaekit.data.rendered import TRAITS, Identity, Look, RenderedFaces, render
from vaekit.recipe import Data
from vaekit.resample import bicubic


def plain(value, shape=(8, 6, 3)):
    return np.full(shape, value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """10.png, 2.png, ... of grey levels that are their numbers, and a table beside them."""
    place = tmp_path / "faces"
    place.mkdir()
    for number in (1, 2, 3, 10, 20):
        images.write(place / f"{number}.png", plain(number))
    rows = ["file,identity,mood", "1.png,7,sad", "2.png,7,glad", "3.png,8,sad", "10.png,9,wild", "20.png,15,glad"]
    (tmp_path / "faces.csv").write_text("\n".join(rows), "utf-8")
    return place


def levels(source):
    return [int(source[i]["image"][0, 0, 0]) for i in range(len(source))]


def test_a_folder_is_read_in_natural_order(folder):
    assert levels(open_source(str(folder))) == [1, 2, 3, 10, 20]


def test_words_in_a_label_column_are_numbered_in_sorted_order(folder):
    source = open_source(str(folder), labels="mood")
    assert [source[i]["label"] for i in range(5)] == [1, 0, 1, 2, 0]  # glad, sad, wild


def test_columns_of_0_and_1_are_attributes(folder):
    rows = ["file,hat,grin", "1.png,0,1", "2.png,1,1", "3.png,0,0", "10.png,1,0", "20.png,0,0"]
    (folder / "labels.csv").write_text("\n".join(rows), "utf-8")
    folder.with_name("faces.csv").unlink()
    source = open_source(str(folder), labels=["grin", "hat"])
    np.testing.assert_array_equal([source[i]["label"] for i in range(5)], [[1, 0], [1, 1], [0, 0], [0, 1], [0, 0]])


def test_an_exclamation_mark_asks_for_the_opposite(folder):
    (folder.with_name("faces.csv")).write_text("file,young\n1.png,1\n2.png,0\n3.png,0\n10.png,1\n20.png,0", "utf-8")
    source = open_source(str(folder), labels=["!young", "young"])
    np.testing.assert_array_equal([source[i]["label"] for i in range(5)], [[0, 1], [1, 0], [1, 0], [0, 1], [1, 0]])


def test_rows_of_an_array_go_with_the_rows_of_the_table(folder):
    """The table's order is not the files': 20.png is its first row here."""
    order = ["20.png", "1.png", "2.png", "3.png", "10.png"]
    folder.with_name("faces.csv").write_text("file,identity\n" + "\n".join(f"{name},1" for name in order), "utf-8")
    rows = np.array([[20, 0.5], [1, 0.5], [2, 0.5], [3, 0.5], [10, 0.5]], np.float16)
    np.savez(folder.with_name("teacher.npz"), faces=rows, short=rows[:3])
    source = open_source(str(folder), labels="teacher.npz:faces")
    np.testing.assert_array_equal([source[i]["label"][0] for i in range(5)], [1, 2, 3, 10, 20])
    assert source[0]["label"].dtype == np.float32
    with pytest.raises(DataError, match="no array other; there are faces, short"):
        open_source(str(folder), labels="teacher.npz:other")
    with pytest.raises(DataError, match="not a row for each of the CSV's 5"):
        open_source(str(folder), labels="teacher.npz:short")


def test_rare_labels_are_met_as_often_as_is_asked(folder):
    rows = ["file,hat,grin", "1.png,1,0", "2.png,0,1", "3.png,0,0", "10.png,0,1", "20.png,0,1"]
    folder.with_name("faces.csv").write_text("\n".join(rows), "utf-8")
    source = open_source(str(folder), split="train", holdout=Holdout("file", 20), labels=["hat", "grin"], balance=0.4)
    # 20.png is kept. A hat is worn in 1 of 4: .4 / .25, rounded, is 2 times; a grin in 2 of 4: once.
    assert levels(source) == [1, 1, 2, 3, 10]
    with pytest.raises(DataError, match="balance needs labels"):
        open_source(str(folder), split="train", holdout=Holdout("file", 20), balance=0.4)


def test_a_column_of_other_numbers_is_no_attribute(folder):
    with pytest.raises(DataError, match="column identity holds other values than 0 and 1"):
        open_source(str(folder), labels=["identity"])


def test_people_kept_for_validation_are_not_trained_on(folder):
    holdout = Holdout("identity", 8)
    assert levels(open_source(str(folder), split="validation", holdout=holdout)) == [3]
    assert levels(open_source(str(folder), split="train", holdout=holdout)) == [1, 2, 10, 20]
    assert levels(open_source(str(folder), split="validation", holdout=Holdout("file", 10))) == [10, 20]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: open_source(str(f / "nowhere")), "no such folder"),
        (lambda f: open_source(str(f), labels="colour"), "colour"),
        (lambda f: open_source(str(f), split="validation", holdout=Holdout("mood", 2)), "does not hold numbers"),
        (lambda f: open_source(str(f), split="train", holdout=Holdout("file", 1)), "nothing is left for train"),
        (lambda f: open_source(str(f / "x.npz")), "x.npz"),
        (lambda f: open_source("rendered:many"), "many"),
        (lambda f: open_source("rendered:40", labels="mood"), "traits"),
        (lambda f: open_source("tfds:no_such_dataset_at_all"), "no_such_dataset_at_all"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(folder, make, message):
    with pytest.raises(DataError, match=message) as caught:
        make(folder)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no images in it"):
        open_source(str(tmp_path))


def test_damaged_files_are_counted_and_stood_in_for(folder):
    (folder / "2.png").write_bytes(b"not a picture")
    source = open_source(str(folder))
    assert levels(source) == [1, 3, 3, 10, 20]
    assert [path.name for path in source.damaged] == ["2.png"]
    for file in folder.iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match="every image is damaged"):
        open_source(str(folder))[0]


def test_npz_with_mnist_names_and_with_plain_ones(tmp_path):
    digits = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    np.savez(tmp_path / "digits.npz", x_train=digits, y_train=np.array([4, 5, 6]))
    source = open_source(str(tmp_path / "digits.npz"))
    assert (len(source), source[1]["image"].shape, source[1]["label"]) == (3, (4, 5, 1), 5)
    np.testing.assert_array_equal(source[2]["image"][..., 0], digits[2])
    np.savez(tmp_path / "plain.npz", images=plain(3)[None])
    assert "label" not in open_source(str(tmp_path / "plain.npz"))[0]
    np.savez(tmp_path / "pickled.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"pickled\.npz"):
        open_source(str(tmp_path / "pickled.npz"))


def test_labels_of_an_npz_are_classes_however_they_are_shaped(tmp_path):
    pictures, classes = np.zeros((4, 6, 5, 3), np.uint8), np.array([2, 0, 1, 2])
    for labels in (classes, classes[:, None].astype(np.uint8), np.eye(3)[classes], classes.astype(np.float32)):
        np.savez(tmp_path / "a.npz", x_train=pictures, y_train=labels)
        source = open_source(str(tmp_path / "a.npz"))
        assert [source[i]["label"] for i in range(4)] == [2, 0, 1, 2]
        assert source.labels.shape == (4,)


@pytest.mark.parametrize(
    ("images_", "labels", "message"),
    [
        ((4, 6, 5, 3), np.array(["cat", "dog", "cat", "cat"]), "y_train is of <U3; expected whole numbers"),
        ((4, 6, 5, 3), np.array([0.5, 1, 0, 1]), "expected whole numbers"),
        ((4, 6, 5, 3), np.array([0, 1, 0]), r"y_train is \(3,\), not a label for each of 4 images"),
        ((4, 6, 5, 3), np.array(3), "not a label for each of 4 images"),
        ((4, 6, 5, 3), np.ones((4, 2), int), "one-hot"),
        ((4, 3, 32, 32), None, "its channels stand first"),
        ((4, 6, 5, 7), None, "with 1, 3 or 4 channels"),
        ((4, 0, 5, 3), None, "expected images"),
    ],
)
def test_an_npz_of_another_layout_is_told_in_one_line(tmp_path, images_, labels, message):
    arrays = {"x_train": np.zeros(images_, np.uint8)} | ({} if labels is None else {"y_train": labels})
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        open_source(str(tmp_path / "a.npz"))
    assert "\n" not in str(caught.value)


def test_an_npz_that_is_cut_short_or_none_is_told_in_one_line(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x_train=np.random.default_rng(0).integers(0, 256, (9, 30, 30, 3), np.uint8))
    whole = path.read_bytes()
    for content in (whole[:5000], b"", b"PK\x03\x04", whole[:2000] + bytes(1000) + whole[3000:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz: cannot be read") as caught:
            open_source(str(path))
        assert "\n" not in str(caught.value)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"a\.npz: cannot be read"):
        open_source(str(path))


@pytest.mark.parametrize(
    "names",
    [
        [f"20240101_{hour:02d}0000.png" for hour in range(1, 24)],
        [f"{name}/{name}_0001.png" for name in "ABCDEFGHIJKLMNOPQRST"],
        [f"photo{number}.png" for number in range(1, 6)],
        [f"{letter}.png" for letter in "abcdefghijklmnopqrstuvwxyz"],
    ],
)
def test_about_every_20th_file_is_kept_whatever_the_names_are(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        images.write(tmp_path / name, plain(1))
    kept = len(open_source(str(tmp_path), split="validation"))
    assert kept == -(-len(names) // 20)
    assert len(open_source(str(tmp_path), split="train")) == len(names) - kept


def test_linked_folders_are_read_once_and_hidden_files_are_not(folder):
    (folder / "again").symlink_to(folder, target_is_directory=True)
    (folder.parent / "more").mkdir()
    images.write(folder.parent / "more" / "4.png", plain(4))
    (folder / "linked").symlink_to(folder.parent / "more", target_is_directory=True)
    (folder / "twice").symlink_to(folder.parent / "more", target_is_directory=True)
    (folder / "._1.png").write_bytes(b"a resource fork")
    (folder / "@eaDir").mkdir()
    images.write(folder / "@eaDir" / "5.png", plain(5))
    assert sorted(levels(open_source(str(folder)))) == [1, 2, 3, 4, 10, 20]


def test_tables_are_found_from_within_the_folder_too(folder, monkeypatch):
    monkeypatch.chdir(folder)
    source = open_source(".", labels="mood")
    assert [source[i]["label"] for i in range(5)] == [1, 0, 1, 2, 0]


def test_tfds_names_are_read_by_random_access():
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=6):
        source = open_source("tfds:mnist:test")
        assert len(source) == 6
        item = source[4]
    assert (item["image"].shape, item["image"].dtype) == ((28, 28, 1), np.uint8)
    assert isinstance(item["label"], int)


@pytest.mark.parametrize("area", [(0.05, 0.15), (0.15, 0.3), (0.3, 0.5)])
@pytest.mark.parametrize("shape", [(64, 64), (40, 97)])
def test_free_form_holes_cover_what_was_asked(area, shape):
    shares = [holes.free_form(np.random.default_rng(seed), shape, area).mean() for seed in range(25)]
    assert area[0] <= min(shares)
    assert max(shares) <= area[1]
    assert np.std(shares) > 0.01


def test_boxes_and_the_centred_square():
    for seed in range(20):
        mask = holes.box(np.random.default_rng(seed), (30, 50), (0.1, 0.2))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns)
        assert 0.08 <= mask.mean() <= 0.22
    square = holes.centred_square((32, 32))
    assert square.sum() == 256
    assert square[8:24, 8:24].all()


def test_without_jitter_a_crop_is_the_whole_picture_upright():
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    crop = crop_resize(picture, (20, 20), np.random.default_rng(1), zoom=(0.5, 0.7), rotate=30, flip=False, jitter=0)
    np.testing.assert_array_equal(crop, picture)


def test_random_erasing_hides_one_rectangle_under_one_colour():
    for seed in range(50):
        picture = np.full((400, 500, 3), -1.0)
        erase(picture, np.random.default_rng(seed))
        hidden = picture[..., 0] >= 0
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        assert hidden.sum() == len(rows) * len(columns)
        assert len(np.unique(picture[hidden], axis=0)) == 1
        assert 0.0195 <= hidden.mean() <= 0.205
        assert 0.39 <= len(rows) / len(columns) <= 2.55


@pytest.mark.parametrize("channels", [1, 3])
def test_a_face_to_embed_keeps_its_channels_and_range_whatever_it_wears(channels):
    face = np.random.default_rng(0).integers(0, 256, (40, 40, channels), np.uint8)
    for seed in range(40):
        found = embed.example(
            {"image": face, "label": np.ones(4)}, Data(source=""), (24, 24), np.random.default_rng(seed)
        )
        assert found["image"].shape == (24, 24, channels)
        assert 0 <= found["image"].min() < found["image"].max() <= 1
        np.testing.assert_array_equal(found["partner"], found["label"])


def test_a_drawn_face_to_embed_is_mirrored_at_most():
    source = RenderedFaces(20, 32, traits=True)
    mirrored = set()
    for seed in range(8):
        found = embed.example(source[3], Data(source=""), (32, 32), np.random.default_rng(seed))
        turned = np.array_equal(found["image"], source[3]["image"][:, ::-1] / np.float32(255))
        assert turned or np.array_equal(found["image"], source[3]["image"] / np.float32(255))
        mirrored.add(turned)
        np.testing.assert_array_equal(found["label"], source[3]["label"])
        np.testing.assert_array_equal(found["partner"], source[3]["label"])
    assert mirrored == {False, True}


def test_an_example_is_never_an_enlarged_crop():
    ramp = np.repeat(np.arange(0, 160, 2, np.uint8)[None, :, None], 80, axis=0).repeat(3, axis=2)  # 2 levels a pixel
    rng = np.random.default_rng(0)
    for _ in range(50):
        crop = TASK.example({"image": ramp}, Data(source="", zoom=(0.5, 1.0)), (64, 64), rng)["image"][..., 0]
        slope = np.hypot(*np.gradient(255.0 * crop[16:48, 16:48])).mean()
        assert 1.95 < slope < 2.6  # at most 80 pixels are shown on 64


def make_batches(source, **options):
    def example(item, rng):
        return {"level": item["image"][0, 0, 0], "from": np.int32(item["source"]), "noise": rng.uniform()}

    return Batches(source, example, batch_size=4, steps_per_epoch=5, **options)


def test_batches_are_a_function_of_seed_and_step(folder):
    def source():
        return JoinedSource([open_source(str(folder))])

    one, again, other = (make_batches(source(), seed=seed) for seed in (1, 1, 2))
    for _ in range(2):
        one.on_epoch_end()
    later = make_batches(source(), seed=1, start_epoch=2)
    for index in (3, 0):
        for key in ("level", "noise"):
            np.testing.assert_array_equal(one[index][key], later[index][key])
    assert np.any(again[0]["noise"] != other[0]["noise"])


def test_every_item_is_seen_equally_often_and_sources_by_their_weight(folder):
    joined = JoinedSource([open_source(str(folder)), RenderedFaces(4, 8)], weights=[3, 1])
    data = make_batches(joined)
    seen = [data[index] for index in range(250)]  # 1000 examples
    origin = np.concatenate([batch["from"] for batch in seen])
    assert np.bincount(origin).tolist() == [750, 250]
    level = np.concatenate([batch["level"] for batch in seen])[origin == 0]
    assert sorted(np.unique(level, return_counts=True)[1]) == [150] * 5


def test_rendered_faces_come_again_and_know_who_they_are():
    first, again = RenderedFaces(40, 32), RenderedFaces(40, 32)
    for index in (0, 7, 39):
        np.testing.assert_array_equal(first[index]["image"], again[index]["image"])
    assert first.people == 4
    assert first[6]["label"] == first[2]["label"] == 2
    assert first[6]["yaw"] != first[2]["yaw"]
    assert first.identity(1) != first.identity(2)
    with pytest.raises(IndexError):
        first[40]


def test_the_traits_of_a_drawn_person_are_what_it_is_drawn_from():
    """Each spread evenly over -1..1: a tone of skin is .35 to .95, the last of the lengths, of hair, .1 to 1."""
    source = open_source("rendered:400", labels="traits")
    traits = np.stack([source[person]["label"] for person in range(40)])
    assert traits.shape == (40, TRAITS)
    people = [source.identity(person) for person in range(40)]
    np.testing.assert_allclose(0.65 + 0.3 * traits[:, 0], [who.skin[0] for who in people], rtol=1e-6)
    np.testing.assert_allclose(0.55 + 0.45 * traits[:, -1], [who.hair_length for who in people], rtol=1e-6)
    np.testing.assert_array_equal(source[47]["label"], traits[7])


def test_a_face_turned_the_other_way_is_its_mirror_image():
    who = Identity.draw(np.random.default_rng(3))
    right, left = (render(who, Look(yaw, 0.5, light), 64) for yaw, light in ((30, 0.4), (-30, -0.4)))
    mirrored, as_it_is = (np.abs(face.astype(int) - left).mean() for face in (right[:, ::-1], right))
    assert mirrored < as_it_is / 3  # not 0: lines are drawn on whole pixels


def test_a_smile_moves_the_mouth_alone_and_light_the_shading():
    who = Identity.draw(np.random.default_rng(5))
    plain_face = render(who, Look(), 64).astype(int)
    smile = np.abs(render(who, Look(smile=1.0), 64) - plain_face).sum(axis=(1, 2))
    assert smile[36:].sum() > 0
    assert smile[:26].sum() == 0
    lit = render(who, Look(light=1.0), 64).astype(int)
    assert lit[24:40, 40:46].mean() > plain_face[24:40, 40:46].mean() + 10
    assert lit[24:40, 18:24].mean() < plain_face[24:40, 18:24].mean() - 10


def test_shrinking_gives_whole_bytes_of_the_bicubic_picture():
    large = np.random.default_rng(0).random((36, 24, 3), np.float32)
    small = shrink(large, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(np.round(255 * small), np.round(255 * bicubic(large, (12, 8))).clip(0, 255))
    np.testing.assert_allclose(255 * small, np.round(255 * small), atol=1e-4)


def test_realistic_small_pictures_are_worn_but_not_shifted():
    large = np.random.default_rng(0).uniform(0.3, 0.7, (64, 64, 3)).astype(np.float32)
    clean = shrink(large, 2, np.random.default_rng(0))
    worn = [shrink(large, 2, np.random.default_rng(seed), realistic=1.0) for seed in range(20)]
    assert all(picture.shape == (32, 32, 3) and picture.dtype == np.float32 for picture in worn)
    assert len({picture.tobytes() for picture in (clean, *worn)}) == 21
    np.testing.assert_allclose(np.mean(worn, axis=(0, 1, 2)), clean.mean(axis=(0, 1)), atol=0.01)
    np.testing.assert_array_equal(worn[3], shrink(large, 2, np.random.default_rng(3), realistic=1.0))


def test_what_is_degraded_more_is_more_severe():
    large = bicubic(np.random.default_rng(0).uniform(0.2, 0.8, (6, 6, 3)), (48, 48))
    clean = shrink(large, 2, np.random.default_rng(0))
    pairs = [degrade(large, 2, np.random.default_rng(seed)) for seed in range(60)]
    severities = np.array([severity for _, severity in pairs])
    errors = np.array([np.abs(small - clean).mean() for small, _ in pairs])
    assert severities.min() >= 0.1
    assert severities.max() == 1
    assert errors[severities > 0.9].mean() > 1.3 * errors[severities < 0.5].mean()
    whole, _ = degrade(large, 1, np.random.default_rng(0))
    assert whole.shape == large.shape


def test_a_gaussian_is_wide_along_its_angle():
    kernel = gaussian(np.array([2.0, 0.5]), np.pi / 2)
    assert kernel.sum() == pytest.approx(1)
    y, x = np.mgrid[-6:7, -6:7]
    assert np.sqrt((kernel * y**2).sum()) == pytest.approx(2.0, abs=0.1)
    assert np.sqrt((kernel * x**2).sum()) == pytest.approx(0.5, abs=0.1)


def test_a_share_of_the_small_pictures_is_worn():
    large = np.random.default_rng(0).random((16, 16, 3), np.float32)
    rng = np.random.default_rng(0)
    clean = shrink(large, 2, rng)
    alike = sum(np.array_equal(clean, shrink(large, 2, rng, realistic=0.25)) for _ in range(200))
    assert 135 <= alike <= 165


def test_a_partner_is_another_image_of_the_same_person(tmp_path):
    folder = tmp_path / "people"
    folder.mkdir()
    rows = ["file,identity"]
    for number in range(7):
        images.write(folder / f"{number}.png", np.full((4, 4, 3), 10 * number, np.uint8))
        rows.append(f"{number}.png,{number % 3}")
    (tmp_path / "people.csv").write_text("\n".join(rows))
    source = open_source(str(folder), partner="identity")
    rng = np.random.default_rng(0)
    for number in range(7):
        found = {int(source[number]["partner"](rng)[0, 0, 0]) // 10 for _ in range(20)}
        assert found == {other for other in range(7) if other % 3 == number % 3 and other != number}
    (folder / "3.png").write_bytes(b"damaged")
    source = open_source(str(folder), partner="identity")
    assert {int(source[0]["partner"](rng)[0, 0, 0]) for _ in range(20)} == {60}
    (folder / "6.png").write_bytes(b"damaged")
    source = open_source(str(folder), partner="identity")
    np.testing.assert_array_equal(source[0]["partner"](rng), source[0]["image"])
    with pytest.raises(DataError, match="no column who"):
        open_source(str(folder), partner="who")


def test_a_partner_with_a_label_has_that_label_or_there_is_none(tmp_path):
    folder = tmp_path / "people"
    folder.mkdir()
    rows = ["file,identity,pose"]
    poses = ("frontal", "profile", "frontal", "profile", "profile", "frontal")
    for number, (person, pose) in enumerate(zip((0, 0, 0, 1, 1, 2), poses, strict=True)):
        images.write(folder / f"{number}.png", np.full((4, 4, 3), 10 * number, np.uint8))
        rows.append(f"{number}.png,{person},{pose}")
    (tmp_path / "people.csv").write_text("\n".join(rows))
    source = open_source(str(folder), labels="pose", partner="identity")
    rng = np.random.default_rng(0)
    assert {int(source[1]["partner"](rng, 0)[0, 0, 0]) for _ in range(20)} == {0, 20}
    assert source[3]["partner"](rng, 0) is None
    assert int(source[3]["partner"](rng, 1)[0, 0, 0]) == 40
    drawn = [{int(source[number]["partner_label"](rng)) for _ in range(20)} for number in (0, 1, 3, 5)]
    assert drawn == [{0, 1}, {0}, {1}, {0}]


def test_a_drawn_partner_with_a_label_is_the_same_face_from_the_front():
    source = RenderedFaces(20, 32)
    look = replace(source.look(7), yaw=0.0)
    front = source[7]["partner"](np.random.default_rng(0), 0)
    np.testing.assert_array_equal(front, render(source.identity(7 % source.people), look, 32))


def test_a_drawn_face_and_its_front_are_mirrored_alike_and_not_moved():
    source = RenderedFaces(20, 64)
    mirrored = []
    for index in range(6):
        example = frontalize.example(source[index], Data(source="rendered:20"), (64, 64), np.random.default_rng(index))
        assert example["fronted"] == 1
        drawn, front = (
            render(source.identity(index % source.people), look, 64) / np.float32(255)
            for look in (source.look(index), replace(source.look(index), yaw=0.0))
        )
        mirrored.append(np.array_equal(example["image"], drawn[:, ::-1]))
        way = slice(None, None, -1 if mirrored[-1] else 1)
        np.testing.assert_array_equal(example["image"], drawn[:, way])
        np.testing.assert_array_equal(example["front"], front[:, way])
    assert 0 < sum(mirrored) < 6


def test_the_front_of_a_photo_is_told_where_it_is_known():
    """The same person's frontal photo of a profile, cropped as the profile is; a partner is cropped on its own."""
    picture = RenderedFaces(20, 64)[0]["image"]
    asked = []

    def partner(rng, label=None):
        asked.append(label)
        return picture

    item = {"image": picture, "label": frontalize.PROFILE, "partner": partner}
    labelled, bare = Data(source="faces", labels="pose"), Data(source="faces")
    example = frontalize.example(item, labelled, (64, 64), np.random.default_rng(0))
    assert example["fronted"] == 1
    assert sorted(asked, key=str) == [frontalize.FRONTAL, None]
    np.testing.assert_array_equal(example["front"], example["image"])
    assert np.abs(example["partner"] - example["image"]).max() > 0.1
    front = frontalize.example({**item, "label": frontalize.FRONTAL}, labelled, (64, 64), np.random.default_rng(0))
    assert front["fronted"] == 1
    unknown = frontalize.example(item, bare, (64, 64), np.random.default_rng(0))
    assert unknown["fronted"] == 0
    for own in (front, unknown):
        np.testing.assert_array_equal(own["front"], own["image"])


def test_sunglasses_are_no_example_of_glasses():
    """Faces whose eyes, at 48 % of the height, are of a given brightness; cheeks are 120."""
    columns, unnamed = ("Smiling", "Eyeglasses"), "rows.npz:attributes"
    for brightness, wears, names, label_mask in (
        (20, 1, columns, 0),
        (50, 1, columns, 0),
        (65, 1, columns, 1),
        (120, 1, columns, 1),
        (20, 0, columns, 1),
        (20, 1, unnamed, 1),
    ):
        labels = np.array([1.0, wears], np.float32)
        face = np.full((128, 128, 3), 120, np.uint8)
        face[56:68, 36:92] = brightness
        data = Data(source="", labels=names)
        found = edit.example({"image": face, "label": labels}, data, (64, 64), np.random.default_rng(0))
        np.testing.assert_array_equal(found["label_mask"], [1.0, label_mask])
        np.testing.assert_array_equal(found["label"], labels)
