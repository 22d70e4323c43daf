"""Apps are found: those beside apps/__init__.py, and one that another package brings."""

import base64
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from vaekit import apps, images
from vaekit.bundle import digest
from vaekit.errors import UserError

ROOT = Path(__file__).parents[1]
NEGATIVE = {
    "vaekit_negative-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: vaekit-negative\nVersion: 1.0\n",
    "vaekit_negative-1.0.dist-info/entry_points.txt": "[vaekit.apps]\nnegative = vaekit_negative\n",
    "vaekit_negative/__init__.py": "",
    "vaekit_negative/recipe.toml": 'app = "negative"\n',
    "vaekit_negative/training.py": "TASK = 'a task'\n",
    "vaekit_negative/editor.py": """
import numpy as np

from vaekit.bundle import find
from vaekit.runtime import open_network


class Editor:
    def __init__(self, bundle="negative", runtime="onnx", threads=0):
        self.network = open_network(find(bundle, app="negative"), runtime, threads)

    def __call__(self, image):
        return (255 * self.network(image=image[None] / np.float32(255))[0]).round().astype("uint8")
""",
    "vaekit_negative/serving.py": """
from vaekit.serving.calls import IMAGE, PICTURE, Call, png
from vaekit.serving.contract import Signature


def calls(editor):
    def answer(job, *, image_bytes):
        return png(editor(job.read(image_bytes).pixels))

    signature = Signature({"image_bytes": IMAGE}, PICTURE, "Invert", "Turn light into dark.")
    return {"serving_default": Call(signature, answer)}
""",
    "vaekit_negative/command.py": """
import typer

from vaekit import runner, options
from vaekit.verbs import Editing, Files, Work, grouped
from vaekit_negative.editor import Editor

verbs = typer.Typer()
DEFAULTS = Editing(bundle="negative")


@verbs.command()
@grouped
def negative(inputs: options.Inputs, files: Files, work: Work, editing: Editing = DEFAULTS) -> None:
    "Turn light into dark."
    work.run(files.plan(inputs, "negative"), editing, _open)


def _open(threads, *, targets, editing):
    editor = editing.open(Editor, threads)

    def edit(item):
        picture = editing.read(item.path)
        paths = targets.paths(item, picture.pixels.shape, picture.pixels.dtype)
        targets.write(paths[0], editor(picture.pixels), like=picture)
        return runner.Edited(paths, picture.notes)

    return edit
""",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


@pytest.fixture
def package(tmp_path):
    """A folder for sys.path with a distribution that adds the app `negative`, and beside it bundles/negative."""
    write(tmp_path / "site", NEGATIVE)
    names = ("image", ["batch", "height", "width", 3])
    graph = helper.make_graph(
        [helper.make_node("Sub", ["one", "image"], ["tensor"])],
        "negative",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, names[1])],
        [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, names[1])],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    extra = tmp_path / "bundles/negative/1/assets.extra"
    extra.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, extra / "model.onnx")
    sums = {"assets.extra/model.onnx": digest(extra / "model.onnx")}
    (extra / "card.json").write_text(json.dumps({"app": "negative", "sha256": sums}))
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        images.write(tmp_path / "photos" / name, pixels)
    return tmp_path


def command(*arguments):
    return [sys.executable, "-m", "vaekit", *map(str, arguments)]


def environment(package):
    return {**os.environ, "PYTHONPATH": str(package / "site"), "VAEKIT_MODELS": str(package / "bundles")}


def run(package, *arguments):
    return subprocess.run(
        command(*arguments), cwd=package, env=environment(package), check=False, capture_output=True, encoding="utf-8"
    )


def test_what_stands_in_the_folder_is_an_app():
    folders = {path.parent.name for path in (ROOT / "apps").glob("*/__init__.py")}
    assert set(apps.found()) == folders
    assert apps.names("editor") == ["inpaint", "superres", "edit", "frontalize", "damage"]
    for name in apps.names("training"):
        assert apps.task(name).model and apps.recipe_path(name) == Path(apps.__file__).parent / name / "recipe.toml"
    with pytest.raises(UserError, match=r"no app for this is called upscale; there are inpaint, .*damage$"):
        apps.editor("upscale")


def test_every_folder_is_installed(monkeypatch):
    told = {}
    monkeypatch.setattr(pytest.importorskip("setuptools"), "setup", lambda **arguments: told.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    own = {path.parent for path in (ROOT / "vaekit").rglob("__init__.py") if "apps" not in path.parts[-3:]}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in own}
    assert set(told["packages"]) == names | {"vaekit.apps", "vaekit.saved_models"} | {
        f"vaekit.apps.{name}" for name in apps.found()
    }
    assert len(told["packages"]) == len(set(told["packages"]))


def test_another_packages_app_has_a_verb_in_processes_of_its_own(package):
    told = run(package, "--help").stdout
    assert "  negative     Turn light into dark." in told
    done = run(package, "negative", "photos", "-o", "out", "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["done"]) == 2
    for name in ("a.png", "b.png"):
        found, photo = (images.read(package / folder / name).pixels for folder in ("out", "photos"))
        np.testing.assert_array_equal(found, 255 - photo)


def test_another_packages_app_is_served_and_on_the_page(package):
    serve = command("serve", "negative", "--port", "0")
    photo = (package / "photos/a.png").read_bytes()
    with subprocess.Popen(serve, env=environment(package), stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().split()[-1]
        with urlopen(f"{address}/v1/models/negative/metadata") as answer:
            (action,) = json.load(answer)["metadata"]["actions"].values()  # what the page makes its entries of
        body = json.dumps({"instances": [{"image_bytes": {"b64": base64.b64encode(photo).decode()}}]})
        with urlopen(Request(f"{address}/v1/models/negative:predict", body.encode())) as answer:
            (told,) = json.load(answer)["predictions"]
        process.send_signal(signal.SIGTERM)
    assert action["title"] == "Invert"
    np.testing.assert_array_equal(
        images.decode(base64.b64decode(told["b64"])).pixels, 255 - images.decode(photo).pixels
    )


def test_another_packages_app_is_a_task_with_a_recipe(package, monkeypatch):
    monkeypatch.syspath_prepend(package / "site")
    apps.found.cache_clear()
    try:
        assert apps.task("negative") == "a task"
        assert apps.recipe_path("negative") == package / "site/vaekit_negative/recipe.toml"
        assert list(apps.found())[-1] == "upscale" and "negative" in apps.names("command")
    finally:
        apps.found.cache_clear()


def test_a_broken_app_is_told_of_and_stops_no_other(package):
    write(package / "site", {"vaekit_negative/__init__.py": "raise RuntimeError('broken')\n"})
    done = run(package, "superres", "photos", "-o", "out", "--detail", "0", "--clean", "0", "--jobs", "2")
    assert done.returncode == 0
    assert done.stderr == "vaekit: the app negative is left out: vaekit_negative: broken\n"
    write(package / "site", {"vaekit_negative/__init__.py": "", "vaekit_negative/command.py": "import nothing\n"})
    done = run(package, "models", "inpaint")
    assert done.returncode == 0
    assert done.stderr == "vaekit: the verbs of negative are left out: No module named 'nothing'\n"


def test_no_package_takes_an_apps_name(package):
    names = "vaekit_negative-1.0.dist-info/entry_points.txt"
    write(package / "site", {names: "[vaekit.apps]\ninpaint = vaekit_negative\n"})
    done = run(package, "inpaint", "--help")
    assert "--mask" in done.stdout
