"""Faces: both finders, which photo and face they choose, and how a crop comes out of a photo and goes back."""

import importlib.util
import os
import pickle
import subprocess
import sys
import tracemalloc
from importlib.machinery import ModuleSpec

import cv2
import joblib
import lz4.frame
import numpy as np
import pytest
from onnx import TensorProto, helper

from vaekit import faces, mtcnn
from vaekit.data.rendered import Look, RenderedFaces, render
from vaekit.errors import UserError
from vaekit.faces import TIGHT_TEMPLATE, WIDE_TEMPLATE, Face, FaceError, YuNet

SMILE = 0.2
PEOPLE = RenderedFaces(400, seed=1)
CROWD = (1, 2, 4, 13, 27, 29)


def drawn(person, side):
    """A person from the front, [side, side, 3], and where eyes and corners of the mouth are, [4, 2]."""
    who = PEOPLE.identity(person)
    mouth = who.nose_length + 0.12 - 0.09 * SMILE
    places = [
        (-who.eye_distance, -0.08),
        (who.eye_distance, -0.08),
        (-who.mouth_width, mouth),
        (who.mouth_width, mouth),
    ]
    return render(who, Look(smile=SMILE, light=0.1), side), (np.array(places) + 1) * side / 2 - 0.5


def slope(height, width):
    """A picture without edges."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([90 + 60 * rows / height, 120 + 40 * columns / width, 150 - 50 * rows / height], -1).astype(
        np.uint8
    )


def portrait(person=4, side=160, left=60, top=50, shape=(300, 420)):
    """A drawn person on a slope, and the four points."""
    picture = slope(*shape)
    face, points = drawn(person, side)
    picture[top : top + side, left : left + side] = face
    return picture, points + np.array([left, top])


def crowd():
    """Six people, three in a row, and their four points [6, 4, 2]."""
    pairs = [drawn(person, 160) for person in CROWD]
    rows = [np.hstack([picture for picture, _ in pairs[first : first + 3]]) for first in (0, 3)]
    corners = [(160 * (index % 3), 160 * (index // 3)) for index in range(6)]
    return np.vstack(rows), np.stack([points + corner for (_, points), corner in zip(pairs, corners, strict=True)])


def turned(points, turns, width, height):
    """Where np.rot90 takes points of a picture."""
    for _ in range(turns):
        points = np.stack([points[:, 1], width - 1 - points[:, 0]], axis=-1)
        width, height = height, width
    return points


def similarity(scale, degrees, x, y):
    turn = scale * np.exp(1j * np.deg2rad(degrees))
    return np.array([[turn.real, -turn.imag, x], [turn.imag, turn.real, y]])


def moved(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def face_at(points, box=(0.0, 0.0, 10.0, 10.0), score=0.99):
    return Face(np.asarray(points, np.float32), box, score)


@pytest.fixture(scope="module")
def finder():
    return faces.open_finder()


# === MTCNN ===

REFERENCE = """
import numpy as np
from mtcnn import MTCNN
asked = np.load("asked.npz")
finder = MTCNN()
answers = {}
for index, stage in enumerate(finder.stages):
    for number, answer in enumerate(stage.model(asked[f"images{index}"])):
        answers[f"answer{index}{number}"] = answer.numpy()
names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
found = finder.detect_faces(asked["picture"])
answers["points"] = [[face["keypoints"][name] for name in names] for face in found]
answers["boxes"] = [face["box"] for face in found]
np.savez("answers.npz", **answers)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """What the mtcnn package itself was asked and has answered."""
    folder = tmp_path_factory.mktemp("mtcnn")
    rng = np.random.default_rng(0)
    asked = {"picture": crowd()[0]}
    for index, size in enumerate([(41, 60), (24, 24), (48, 48)]):
        asked[f"images{index}"] = rng.uniform(-1, 1, (2, *size, 3)).astype(np.float32)
    np.savez(folder / "asked.npz", **asked)
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", REFERENCE], cwd=folder, env=environment, check=True, capture_output=True)
    return asked, dict(np.load(folder / "answers.npz"))


def test_the_networks_are_the_packages(package):
    asked, answers = package
    compared = 0
    for index, network in enumerate(mtcnn.load()):
        for number, answer in enumerate(network(asked[f"images{index}"])):
            expected = np.moveaxis(answers[f"answer{index}{number}"], -1, 1)
            np.testing.assert_allclose(answer, expected, atol=1e-5)
            compared += 1
    assert compared == 2 + 2 + 3


def test_the_faces_are_the_packages(package, finder):
    asked, answers = package
    truth = crowd()[1]
    found = finder(asked["picture"])
    errors, others, apart = [], [], []
    for points in truth:
        ours, theirs = (
            min(candidates, key=lambda five: np.abs(five[[0, 1, 3, 4]] - points).max())
            for candidates in ([face.points for face in found], answers["points"])
        )
        errors.append(np.abs(ours[[0, 1, 3, 4]] - points).max())
        others.append(np.abs(theirs[[0, 1, 3, 4]] - points).max())
        apart.append(np.abs(ours - theirs).max())
    assert len(found) == len(answers["points"]) == len(truth)
    assert np.mean(apart) < 2
    assert np.mean(errors) < min(np.mean(others) + 0.2, 3)  # of 37 between the eyes
    middles = [np.sort([x + w / 2 for x, _, w, _ in boxes]) for boxes in ([f.box for f in found], answers["boxes"])]
    np.testing.assert_allclose(*middles, atol=4)


@pytest.mark.parametrize("side", [40, 240])
def test_small_and_large_faces_are_found(finder, side):
    picture, points = portrait(side=side, left=10, top=10)
    (face,) = faces.find(picture, finder)
    assert np.abs(face.points[[0, 1, 3, 4]] - points).max() < 0.12 * np.linalg.norm(points[1] - points[0]) + 0.5


@pytest.mark.parametrize("cut", [np.s_[80:], np.s_[:, 92:], np.s_[:, :185], np.s_[:175]])
def test_faces_at_the_border_are_found(finder, cut):
    picture, points = portrait()
    rows, columns = (*(cut if isinstance(cut, tuple) else (cut,)), slice(None))[:2]
    (face,) = faces.find(picture[cut], finder)
    expected = points - (columns.start or 0, rows.start or 0)
    assert np.abs(face.points[[0, 1, 3, 4]] - expected).max() < 0.25 * np.linalg.norm(points[1] - points[0])


@pytest.mark.parametrize("turns", range(4))
def test_faces_in_turned_photos_are_found(finder, turns):
    picture, points = portrait()
    (face,) = faces.find(np.rot90(picture, turns), finder)
    expected = turned(points, turns, picture.shape[1], picture.shape[0])
    assert np.abs(face.points[[0, 1, 3, 4]] - expected).max() < 4


def test_pictures_without_faces(finder):
    for shape in [(300, 420), (24, 30), (1, 1), (1, 900)]:
        assert faces.find(slope(*shape), finder) == []


def test_finding_is_light(tmp_path):
    np.save(tmp_path / "picture.npy", portrait()[0])
    code = """
import sys
import numpy as np
from vaekit import faces
found = faces.find(np.load("picture.npy"), faces.open_finder())
print(len(found), *(name in sys.modules for name in ("tensorflow", "keras", "mtcnn")))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False", "False", "False"]


@pytest.mark.parametrize("name", ["mtcnn", "lz4"])
def test_what_is_not_installed_is_told_with_the_ways_out(monkeypatch, name):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else find_spec(asked))
    assert not faces.installed()
    with pytest.raises(UserError) as error:
        faces.open_finder()
    for way in ("pip install mtcnn", "--face-model", "--aligned"):
        assert way in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["missing", "short", "another"])
def test_damaged_weights_are_named(monkeypatch, tmp_path, damage):
    whole = importlib.util.find_spec("mtcnn").submodule_search_locations[0] + "/assets/weights/"
    folder = tmp_path / "assets" / "weights"
    folder.mkdir(parents=True)
    for name in ("pnet", "rnet", "onet"):
        with open(f"{whole}{name}.lz4", "rb") as file:
            data = file.read()
        if name == "rnet" and damage == "another":
            data = (folder / "pnet.lz4").read_bytes()
        if name != "rnet" or damage != "missing":
            (folder / f"{name}.lz4").write_bytes(data[:2000] if name == "rnet" and damage == "short" else data)
    spec = ModuleSpec("mtcnn", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(UserError, match=r"rnet\.lz4: missing or damaged") as error:
        faces.open_finder()
    assert "\n" not in str(error.value)


class Evil:
    """Pickled, it makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("made",)


def test_nothing_in_a_weight_file_is_executed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.lz4"
    path.write_bytes(lz4.frame.compress(pickle.dumps([Evil(), b"12345678"])))
    with pytest.raises(ValueError, match="too few arrays"):
        mtcnn.read_weights(path, [(2,)])
    assert not (tmp_path / "made").exists()


def test_weights_are_read_as_joblib_writes_them(tmp_path):
    rng = np.random.default_rng(0)
    written = [rng.normal(size=shape).astype(np.float32) for shape in [(3, 3, 1, 2), (2,), (1, 1, 2)]]
    joblib.dump(written, tmp_path / "weights.lz4")
    shapes = [array.shape for array in written]
    for array, other in zip(mtcnn.read_weights(tmp_path / "weights.lz4", shapes), written, strict=True):
        np.testing.assert_array_equal(array, other)
    for wrong in (shapes[:2], [*shapes, (1,)]):
        with pytest.raises(ValueError, match=r"arrays|opcode"):
            mtcnn.read_weights(tmp_path / "weights.lz4", wrong)


# === Which photo, which face ===


class Markers:
    """A stand-in finder of faces that are drawn as five dots: of one colour each for eyes, nose and mouth.

    It sees every face as upright where the mouth is below the eyes.

    Args:
        scores: of the faces, by number.
        once: numbers of those that it does not see again in a crop.
        smallest: the least distance between eyes, in pixels.
    """

    COLOURS = (((250, 0, 0), (0, 250, 0), (0, 0, 250)), ((250, 250, 0), (0, 250, 250), (250, 0, 250)))
    least = 0.9

    def __init__(self, scores=(0.95, 0.95), once=(), smallest=0.0):
        self.scores, self.once, self.smallest, self.calls = scores, once, smallest, []

    @classmethod
    def draw(cls, picture, number, matrix):
        """Draw a face to which a similarity takes the template; returns its points."""
        points = moved(matrix, WIDE_TEMPLATE)
        radius = 0.09 * np.hypot(*matrix[:, 0])
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
        for (x, y), part in zip(points, (0, 0, 1, 2, 2), strict=True):
            picture[np.hypot(columns - x, rows - y) < radius] = cls.COLOURS[number][part]
        return points

    def __call__(self, image):
        self.calls.append(image.shape[:2])
        return [face for number in (0, 1) if (face := self.face(image.astype(int), number))]

    def face(self, image, number):
        points = []
        for colour, count in zip(self.COLOURS[number], (2, 1, 2), strict=True):
            seen = np.abs(image - colour).max(axis=-1) < 60
            pieces, _, stats, centres = cv2.connectedComponentsWithStats(seen.astype(np.uint8))
            if pieces <= count:
                return None
            kept = centres[1:][np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:count]]
            points += sorted(kept.tolist())
        points = np.array(points)
        across, down = points[3:].mean(axis=0) - points[:2].mean(axis=0)
        small = np.hypot(*(points[1] - points[0])) < self.smallest
        again = image.shape[:2] == (faces.LOOK, faces.LOOK)
        if down <= abs(across) or small or (again and number in self.once):
            return None
        box = (*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist())
        return face_at(points, box, self.scores[number])


def grey(height=240, width=320):
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize("degrees", [0, 30, 50, 90, 130, 180, 215, 270, 310])
@pytest.mark.parametrize("times", [1, 6])
def test_faces_at_any_angle_are_found_in_the_photos_own_pixels(degrees, times):
    photo = grey(240 * times, 320 * times)
    at = similarity(140 * times, degrees, 0, 0)
    at[:, 2] = (170 * times, 110 * times) - at[:, :2] @ (0.5, 0.6)
    points = Markers.draw(photo, 0, at)
    (face,) = faces.find(photo, Markers())
    np.testing.assert_allclose(face.points, points, atol=1.5 * times)
    middle = np.array(face.box[:2]) + np.array(face.box[2:]) / 2
    np.testing.assert_allclose(middle, (points.min(axis=0) + points.max(axis=0)) / 2, atol=12 * times)
    assert face.score == 0.95


def test_deep_and_transparent_photos_are_searched_too():
    picture = grey()
    points = Markers.draw(picture, 0, similarity(120, 0, 100, 60))
    deep = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]).astype(np.uint16) * 257
    for photo in (picture, deep, deep[..., :3]):
        np.testing.assert_allclose(faces.find(photo, Markers())[0].points, points, atol=1)


def test_faces_that_are_transparent_are_left_alone():
    photo = np.dstack([grey(), np.full((240, 320), 255, np.uint8)])
    hidden = photo[..., :3].copy()
    Markers.draw(hidden, 0, similarity(100, 0, 20, 60))
    seen = Markers.draw(hidden, 1, similarity(100, 0, 200, 60))
    photo[..., :3] = hidden
    assert len(faces.find(photo, Markers())) == 2
    photo[:, :160, 3] = 0
    (face,) = faces.find(photo, Markers())
    np.testing.assert_allclose(face.points, seen, atol=1)
    assert not np.any(photo[..., 3] - np.where(np.arange(320) < 160, 0, 255))


def test_no_photo_is_turned_where_a_face_is_sure():
    photo = grey()
    Markers.draw(photo, 0, similarity(120, 0, 100, 60))
    sure, unsure = Markers(), Markers(scores=(0.7, 0.7))
    faces.find(photo, sure)
    assert sure.calls == [(240, 320), (faces.LOOK,) * 2, (faces.LOOK,) * 2]
    (face,) = faces.find(photo, unsure)
    assert face.score == 0.7
    assert {(240, 320), (320, 240)} < set(unsure.calls)


def test_of_a_turned_photo_all_is_searched_once_a_face_in_a_small_copy_is_sure():
    photo = grey(700, 600)
    large = Markers.draw(photo, 0, similarity(300, 90, 400, 100))
    small = Markers.draw(photo, 1, similarity(50, 90, 500, 500))
    found = faces.find(photo, Markers(smallest=10))
    np.testing.assert_allclose([face.points for face in found], [large, small], atol=2)


def test_what_is_not_seen_again_is_no_face():
    photo = grey()
    Markers.draw(photo, 0, similarity(100, 0, 20, 60))
    Markers.draw(photo, 1, similarity(100, 0, 200, 60))
    assert len(faces.find(photo, Markers())) == 2
    assert len(faces.find(photo, Markers(once=(0,)))) == 1


def test_the_score_is_the_lowest_of_all_looks():
    photo = grey()
    Markers.draw(photo, 0, similarity(100, 0, 20, 60))
    scores = iter((0.99, 0.93, 0.97))

    def find(image):
        return [face_at(face.points, face.box, next(scores)) for face in Markers()(image)]

    find.least = 0.9
    (face,) = faces.find(photo, find)
    assert face.score == 0.93


@pytest.mark.parametrize(("scores", "first"), [((0.92, 0.99), 1), ((0.99, 0.92), 0), ((0.951, 0.953), 0)])
def test_the_surest_face_is_first_and_of_equals_the_largest(scores, first):
    photo = grey()
    points = [
        Markers.draw(photo, 0, similarity(130, 0, 10, 60)),
        Markers.draw(photo, 1, similarity(90, 0, 200, 60)),
    ]
    found = faces.find(photo, Markers(scores))
    assert len(found) == 2
    np.testing.assert_allclose(found[0].points, points[first], atol=1)


def test_choosing():
    sizes, scores = (10, 30, 20, 90), (0.99, 0.98, 0.95, 0.5)
    found = [
        face_at(size * WIDE_TEMPLATE, (0, 0, size, size), score) for size, score in zip(sizes, scores, strict=True)
    ]
    assert faces.choose(found, "all", 0.9) == found[:3]
    assert faces.choose(found, "surest", 0.9) == faces.choose(found, "1", 0.9) == found[:1]
    assert faces.choose(found, "largest", 0.9) == faces.choose(found, "2", 0.9) == found[1:2]
    assert faces.choose(found, "3", 0.9) == found[2:3]
    assert faces.choose(found, "largest", 0.5) == found[3:]


@pytest.mark.parametrize("which", ["0", "-1", "1.5", "some", "", "²", "largest 2"])
def test_choosing_what_is_no_face(which):
    with pytest.raises(UserError, match="'all', 'surest', 'largest', or a number") as error:
        faces.choose([], which, 0.9)
    assert error.value.exit_status == 2


@pytest.mark.parametrize(
    ("scores", "which", "said"),
    [
        ((), "all", "no face found$"),
        ((), "1", "no face found$"),
        ((0.8, 0.7), "surest", r"no face found: the surest has a score of 0.800, under 0.9 \(--min-score\)"),
        ((0.99, 0.95, 0.8), "3", "no face 3: only 2 found"),
    ],
)
def test_choosing_a_face_that_is_not_there(scores, which, said):
    with pytest.raises(FaceError, match=said) as error:
        faces.choose([face_at(WIDE_TEMPLATE, score=score) for score in scores], which, 0.9)
    assert error.value.exit_status == 1


def test_what_a_report_says_of_faces():
    found = [face_at(WIDE_TEMPLATE, (1.04, 2.0, 30.0, 40.0), 0.98765), face_at(WIDE_TEMPLATE, score=0.5)]
    told = faces.described(found, found[:1])
    assert told[0] == {"score": 0.9877, "box": [1.0, 2.0, 30.0, 40.0], "edited": True}
    assert [face["edited"] for face in told] == [True, False]


def test_of_boxes_that_overlap_the_best_is_kept():
    boxes = np.array([(0, 0, 10, 10), (5, 0, 15, 10), (20, 0, 24, 4), (19, 0, 29, 10), (11, 0, 21, 10)], float)
    scores = np.array([0.7, 0.9, 0.8, 0.6, 0.5])
    # The shares of the union: a third for boxes 0 and 1, 1/4 for 1 and 4, 0.16 for 2 and 3, 1/9.5 for 3 and 4.
    assert faces.nms(boxes, scores, 0.3).tolist() == [1, 2, 3, 4]
    assert faces.nms(boxes, scores, 0.4).tolist() == [1, 2, 0, 3, 4]
    assert faces.nms(boxes, scores, 0.15).tolist() == [1, 2]
    assert faces.nms(boxes, scores, 0.6, of_smaller=True).tolist() == [1, 2, 0, 4]
    assert faces.nms(np.empty((0, 4)), np.empty(0), 0.3).tolist() == []


# === YuNet ===

OUTPUTS = [f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]


def onnx_file(path, outputs):
    """A model with these outputs that computes nothing."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("input", *outputs)]
    nodes = [helper.make_node("Identity", ["input"], [name]) for name in outputs]
    graph = helper.make_graph(nodes, "nothing", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


class Detector:
    """Stands in for cv2.FaceDetectorYN: red squares of 10 to 300 pixels are faces, the surer the nearer to 100."""

    def setInputSize(self, size):  # noqa: N802
        self.size = size

    def detect(self, image):
        assert image.shape[1::-1] == self.size
        red = (image[..., 2] > 200) & (image[..., 0] < 100)
        count, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        rows = []
        for left, top, width, height, _ in stats[1:count]:
            if 10 <= width <= 300:
                points = WIDE_TEMPLATE * (width, height) + (left, top)
                score = 0.95 - 0.1 * abs(np.log(width / 100))
                rows.append([left, top, width, height, *points.ravel(), score])
        return 1, np.array(rows, np.float32) if rows else None


@pytest.fixture
def yunet(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: Detector())
    return faces.open_finder(onnx_file(tmp_path / "Gesicht ☺.onnx", OUTPUTS))


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ((600, 800), [(50, 40, 20, 20), (200, 100, 400, 400)]),  # in the full picture, in the small copy
        ((900, 700), [(100, 200, 120, 120)]),  # in both
        ((200, 150), [(20, 20, 60, 60)]),  # the picture is smaller than the copy would be
        ((100, 100), []),
    ],
)
def test_yunet_finds_faces_of_all_sizes_once(yunet, shape, boxes):
    picture = np.full((*shape, 3), 60, np.uint8)
    for left, top, width, height in boxes:
        picture[top : top + height, left : left + width] = (255, 30, 30)
    found = sorted(yunet(picture), key=lambda face: face.box[0])
    assert len(found) == len(boxes)
    for face, (left, top, side, _) in zip(found, boxes, strict=True):
        np.testing.assert_allclose(face.box, (left - 0.5, top - 0.5, side, side), atol=0.02 * side)
        np.testing.assert_allclose(face.points, side * WIDE_TEMPLATE + (left, top) - 0.5, atol=0.02 * side)
        assert face.points.shape == (5, 2)
        assert 0 < face.score < 1


def test_yunet_keeps_the_surer_of_two_answers(yunet):
    picture = np.full((640, 640, 3), 60, np.uint8)
    picture[100:300, 100:300] = (255, 30, 30)
    (face,) = yunet(picture)
    assert face.score == pytest.approx(0.95)  # half as large, in the small copy


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: no such file"),
        ("folder", "cannot be read: is a directory"),
        (b"", "damaged, or not an ONNX model"),
        (b"nothing of the kind" * 99, "damaged, or not an ONNX model"),
        ("another", "not a YuNet face finder"),
    ],
)
def test_a_bad_model_file_is_one_clear_line(tmp_path, capfd, content, said):
    path = tmp_path / "model.onnx"
    if content == "folder":
        path.mkdir()
    elif content == "another":
        onnx_file(path, OUTPUTS[:-1])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        faces.open_finder(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_model_that_opencv_refuses_is_one_clear_line(monkeypatch, tmp_path):
    def refuse(*_):
        raise cv2.error("OpenCV(5.0.0)\n of many lines")

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", refuse)
    with pytest.raises(UserError, match="not a YuNet face finder"):
        YuNet(onnx_file(tmp_path / "model.onnx", OUTPUTS))


# === Aligning and pasting ===


def photo(shape=(200, 260), channels=3, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (*shape, channels), dtype, endpoint=True)


def bump(side, middle, width):
    """[side, side, 3], a smooth hill."""
    rows, columns = np.mgrid[:side, :side]
    hill = np.exp(-((columns - middle[0]) ** 2 + (rows - middle[1]) ** 2) / (2 * width**2))
    return np.dstack([hill, 0.5 * hill, -hill]).astype(np.float32) / 2


@pytest.mark.parametrize("template", [WIDE_TEMPLATE, TIGHT_TEMPLATE])
@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("degrees", [0, 30, 135, -90])
def test_a_known_similarity_is_found_again(template, scale, degrees):
    known = similarity(scale, degrees, 12.5, -300.0)
    points = moved(cv2.invertAffineTransform(known), 64 * template - 0.5)
    found = faces.alignment(face_at(points), 64, template)
    np.testing.assert_allclose(moved(found, points), moved(known, points), atol=1e-3)
    np.testing.assert_allclose(found[:, :2], known[:, :2], atol=1e-3 * scale)


def test_points_that_fit_badly_are_fitted_in_least_squares():
    rng = np.random.default_rng(0)
    points = 64 * WIDE_TEMPLATE + rng.normal(0, 3, (5, 2))
    matrix = faces.alignment(face_at(points), 64)

    def error(a, b, x, y):
        return np.sum((moved(np.array([[a, -b, x], [b, a, y]]), points) - (64 * WIDE_TEMPLATE - 0.5)) ** 2)

    best = matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]
    for index in range(4):
        for step in (-1e-3, 1e-3):
            changed = [value + step * (place == index) for place, value in enumerate(best)]
            assert error(*changed) > error(*best)


def test_a_mirrored_face_is_turned_not_reflected():
    matrix = faces.alignment(face_at((1 - WIDE_TEMPLATE) * (100, -100)), 64)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_that_are_no_face_are_refused():
    with pytest.raises(ValueError, match="points of a face"):
        faces.alignment(face_at(np.full((5, 2), 7.0)), 64)


@pytest.mark.parametrize("shape", [(64, 64), (300, 200), (90, 400)])
def test_an_aligned_picture_is_its_own_crop(shape):
    picture = photo(shape)
    face = faces.whole(picture)
    side = min(shape)
    matrix = faces.alignment(face, side)
    top, left = ((length - side) // 2 for length in shape)
    expected = picture[top : top + side, left : left + side] / np.float32(255)
    np.testing.assert_allclose(faces.align(picture, matrix, side), expected, atol=1e-3)
    assert face.box == (left - 0.5, top - 0.5, side, side)
    narrow = faces.alignment(faces.whole(picture, TIGHT_TEMPLATE), side, TIGHT_TEMPLATE)
    np.testing.assert_allclose(narrow, matrix, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "matrix",
    [
        similarity(1, 0, -50, -40),
        similarity(0.35, 20, 10, -20),
        similarity(0.2, -160, 80, 55),
        similarity(2.7, 45, 60, -420),
    ],
)
def test_a_crop_shows_what_the_matrix_says(matrix, dtype):
    rows, columns = np.mgrid[:300, :420]
    most = np.iinfo(dtype).max
    ramp = np.rint(np.dstack([rows / 300, columns / 420, (rows + columns) / 720, 0 * rows + 1]) * most).astype(dtype)
    crop = faces.align(ramp, matrix, 64)
    assert (crop.shape, crop.dtype) == ((64, 64, 4), np.float32)
    ys, xs = np.mgrid[:64, :64]
    x, y = np.moveaxis(moved(cv2.invertAffineTransform(matrix), np.stack([xs, ys], axis=-1)), -1, 0)
    x, y = x.clip(0, 419), y.clip(0, 299)
    inside = (x > 8) & (x < 411) & (y > 8) & (y < 291)  # averages near the border see one side of it
    expected = np.dstack([y / 300, x / 420, (x + y) / 720, np.ones_like(x)])
    np.testing.assert_allclose(crop[inside], expected[inside], atol=0.004 if dtype == np.uint8 else 2e-4)
    np.testing.assert_allclose(crop, expected, atol=0.01)
    assert inside.mean() > 0.5


@pytest.mark.parametrize("scale", [0.6, 0.25, 0.07])
def test_nothing_aliases_where_a_face_is_larger_than_the_crop(scale):
    checks = (np.indices((900, 900)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    crop = faces.align(checks, similarity(scale, 10, 20, 0), 48)
    inside = faces.align(np.full_like(checks, 255), similarity(scale, 10, 20, 0), 48) > 0.999
    assert np.abs(crop - 0.5)[inside].max() < (0.2 if scale > 0.5 else 0.05)


def test_a_crop_repeats_the_border_even_from_far_away():
    picture = photo()
    crop = faces.align(picture, similarity(1, 0, 1000, 2000), 32)
    np.testing.assert_allclose(crop, np.broadcast_to(picture[0, 0] / 255, crop.shape), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("matrix", [similarity(0.4, 25, 0, -20), similarity(3, -50, -100, 40)])
def test_pasting_nothing_changes_nothing(dtype, channels, matrix):
    picture = photo(channels=channels, dtype=dtype)
    before = picture.copy()
    for difference, weight in ((0.0, 1.0), (0.7, 0.0)):
        pasted = faces.paste(
            picture,
            np.full((64, 64, 3), difference, np.float32),
            matrix,
            np.full((64, 64), weight, np.float32),
        )
        assert pasted.dtype == dtype
        np.testing.assert_array_equal(pasted, before)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("place", [(130, 100), (8, 100), (255, 3)])
def test_a_pasted_difference_lies_where_it_belongs(dtype, scale, place):
    """A hill at (40, 22) of the crop, at `place` in the photo, half beyond the border for some."""
    most = np.iinfo(dtype).max
    picture = np.full((200, 260, 4), most // 2, dtype)
    picture[..., 3] = photo(dtype=dtype)[..., 0] | 1
    matrix = similarity(scale, 30, 0, 0)
    matrix[:, 2] = (40, 22) - matrix[:, :2] @ place
    width = max(4.0, 2.5 * scale)
    pasted = faces.paste(picture, bump(64, (40, 22), width), matrix, np.ones((64, 64), np.float32))
    change = (pasted[..., :3].astype(float) - most // 2) / most
    rows, columns = np.mgrid[:200, :260]
    x, y = np.moveaxis(moved(matrix, np.stack([columns, rows], axis=-1)), -1, 0)
    expected = np.exp(-((x - 40) ** 2 + (y - 22) ** 2) / (2 * width**2))[..., None] * (0.5, 0.25, -0.5)
    inside = (x > -0.5) & (x < 63.5) & (y > -0.5) & (y < 63.5)
    np.testing.assert_allclose(change[inside], expected[inside], atol=0.012)
    beyond = (x < -1.5 - scale) | (x > 64.5 + scale) | (y < -1.5 - scale) | (y > 64.5 + scale)
    np.testing.assert_array_equal(pasted[beyond], picture[beyond])
    np.testing.assert_array_equal(pasted[..., 3], picture[..., 3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_transparent_keeps_its_colours(dtype):
    picture = np.dstack([photo(dtype=dtype), np.full((200, 260), np.iinfo(dtype).max, dtype)])
    picture[:, 100:, 3] = 0
    matrix = similarity(0.5, 10, -10, -10)
    pasted = faces.paste(picture, np.full((64, 64, 3), 0.4, np.float32), matrix, np.ones((64, 64), np.float32))
    overlaid = faces.overlay(picture, np.full((64, 64, 3), 0.4, np.float32), matrix)
    for result in (pasted, overlaid):
        np.testing.assert_array_equal(result[:, 100:], picture[:, 100:])
        assert np.any(result[:, :100] != picture[:, :100])


@pytest.mark.parametrize("scale", [0.2, 1.0, 4.0])
def test_pixels_without_weight_stay_as_they_are_bit_for_bit(scale):
    picture = photo()
    matrix = similarity(scale, -20, 0, 0)
    matrix[:, 2] = (32, 32) - matrix[:, :2] @ (130, 100)
    weight = np.zeros((64, 64), np.float32)
    weight[20:40, 24:50] = 1
    pasted = faces.paste(picture, np.full((64, 64, 3), 0.4, np.float32), matrix, weight)
    rows, columns = np.mgrid[:200, :260]
    x, y = np.moveaxis(moved(matrix, np.stack([columns, rows], axis=-1)), -1, 0)
    near = 1 + scale  # of the nearest pixel that has weight, as far as one pixel of the crop or the photo
    outside = (x < 24 - near) | (x > 49 + near) | (y < 20 - near) | (y > 39 + near)
    np.testing.assert_array_equal(pasted[outside], picture[outside])
    well_inside = (x > 24 + near) & (x < 49 - near) & (y > 20 + near) & (y < 39 - near)
    expected = np.minimum(picture[well_inside].astype(int) + round(0.4 * 255), 255)
    np.testing.assert_array_equal(pasted[well_inside], expected)


def test_values_beyond_the_range_are_cut_off():
    picture = photo()
    for difference, value in ((3.0, 255), (-3.0, 0)):
        pasted = faces.paste(
            picture, np.full((300, 300, 3), difference, np.float32), similarity(1, 0, 5, 5), np.ones((300, 300), "f4")
        )
        assert np.all(pasted == value)


def test_a_crop_beyond_the_photo_changes_nothing():
    picture = photo()
    far = similarity(1, 0, 1000, 2000)
    pasted = faces.paste(picture, np.ones((32, 32, 3), np.float32), far, np.ones((32, 32), np.float32))
    np.testing.assert_array_equal(pasted, picture)


def test_an_edit_of_a_crop_is_seen_in_the_next_crop():
    picture = cv2.GaussianBlur(photo((400, 500)), (0, 0), 4)
    matrix = faces.alignment(face_at(WIDE_TEMPLATE * 200 + (120, 90)), 96)
    change = 0.4 * bump(96, (50, 60), 6)
    weight = faces.oval(96)
    before = faces.align(picture, matrix, 96)
    after = faces.align(faces.paste(picture, change, matrix, weight), matrix, 96)
    np.testing.assert_allclose(after - before, change * weight[..., None], atol=0.01)


def test_a_large_photo_costs_no_more_than_its_copy():
    picture = np.zeros((4000, 6000, 3), np.uint8)
    matrix = similarity(0.2, 15, -500, -300)
    difference, weight = np.ones((64, 64, 3), np.float32), faces.oval(64)
    tracemalloc.start()
    faces.align(picture, matrix, 64)
    aligned = tracemalloc.get_traced_memory()[1]
    faces.paste(picture, difference, matrix, weight)
    pasted = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert aligned < 3e6
    assert pasted < picture.nbytes + 12e6


@pytest.mark.parametrize("side", [32, 64, 160])
def test_the_weight_is_whole_on_the_face_and_nothing_at_the_rim(side):
    weight = faces.oval(side)
    assert (weight.shape, weight.dtype) == ((side, side), np.float32)
    for rim in (weight[0], weight[-1], weight[:, 0], weight[:, -1]):
        np.testing.assert_array_equal(rim, 0)
    for template in (WIDE_TEMPLATE, TIGHT_TEMPLATE):
        columns, rows = np.rint(side * template - 0.5).astype(int).T
        np.testing.assert_array_equal(weight[rows, columns], 1)
    np.testing.assert_allclose(weight, weight[::-1, ::-1], atol=1e-6)
    assert np.abs(np.diff(weight, axis=0)).max() < 2 * 1.5 / faces.FEATHER / (side - 1) * 1.1


def test_the_templates_show_the_same_face():
    np.testing.assert_allclose(TIGHT_TEMPLATE * 0.74 + (0.13, 0.21), WIDE_TEMPLATE)
    assert WIDE_TEMPLATE.shape == TIGHT_TEMPLATE.shape == (5, 2)
