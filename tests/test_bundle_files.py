"""Where bundles are found, and what a check of their files finds; without a network."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from vaekit.bundle import CARD, ONNX, BundleError, find, installed, versions


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder; bundles are in models/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAEKIT_MODELS", "models")
    return tmp_path


def make(folder, **card):
    """A bundle of two files, its checksums right."""
    for name, content in ((ONNX, b"network"), ("saved_model.pb", b"graph")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (ONNX, "saved_model.pb")}
    (folder / CARD).write_text(json.dumps({"sha256": files, **card}))
    return folder


def test_a_name_never_means_what_lies_in_the_current_folder(here):
    mine, planted = make(here / "models/inpaint/3"), make(here / "inpaint/2024")
    assert find("inpaint").path == mine
    assert find("./inpaint").path == find("inpaint/2024").path == find(str(here / "inpaint")).path == planted
    (here / "other").mkdir()
    make(here / "other/1")
    with pytest.raises(BundleError, match=r"no bundle other in .*\(\./other is the one in the current folder\)"):
        find("other")
    os.chdir(planted)
    assert (find(".").path, find(".").version, find("..").name) == (planted, 2024, "inpaint")
    for name in ("", "a\0b"):
        with pytest.raises(BundleError):
            find(name)


def test_home_folders_are_known(here, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(here))
    monkeypatch.setenv("VAEKIT_MODELS", "~/models")
    mine = make(here / "models/mine/1")
    assert find("mine").path == find("~/models/mine").path == mine


def test_what_lies_beside_bundles_is_left_alone(here):
    make(here / "models/mine/2", title="two")
    for stray in ("models/notes/1/saved_model.pb", "models/mine/3/half", "models/mine/latest", "models/.hidden/x"):
        Path(stray).parent.mkdir(parents=True, exist_ok=True)
        Path(stray).write_text("")
    Path("models/README").write_text("")
    assert {name: [b.version for b in all_] for name, all_ in versions([Path("models")]).items()} == {"mine": [2]}
    assert find("mine").card["title"] == "two"
    assert "mine" in [bundle.name for bundle in installed()]


def test_a_copy_under_a_name_that_is_no_number_is_opened(here):
    copied = make(here / "backup of mine", name="mine", version=7)
    found = find("./backup of mine")
    assert (found.path, found.name, found.version) == (copied, "mine", 7)
    make(here / "old", name="mine")
    with pytest.raises(BundleError, match="no version in it, and its folder is not called by a number"):
        find("./old")


def test_a_check_of_everything_misses_nothing(here):
    folder = make(here / "models/mine/1")
    find("mine").check()
    (folder / ".DS_Store").write_bytes(b"of a file manager")
    find("mine").check()
    (folder / "variables").mkdir()
    (folder / "variables/more").write_bytes(b"")
    with pytest.raises(BundleError, match="variables/more: not listed"):
        find("mine").check()
    (folder / "variables/more").unlink()
    (folder / CARD).write_text('{"sha256": {}}')
    with pytest.raises(BundleError, match=r"model\.onnx: not listed"):
        find("mine").check()


@pytest.mark.parametrize("name", ["../../../secret", "/etc/hostname", "C:\\secret", "assets.extra/../../../secret"])
def test_a_card_cannot_have_files_read_that_are_not_of_the_bundle(here, name):
    (here / "secret").write_text("")
    folder = make(here / "models/mine/1")
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({"sha256": {name: "", **card["sha256"]}}))
    with pytest.raises(BundleError, match="which is not in the bundle"):
        find("mine").check()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_a_check_comes_to_an_end_at_devices_and_pipes(here):
    folder = make(here / "models/mine/1")
    (folder / ONNX).unlink()
    os.mkfifo(folder / ONNX)
    with pytest.raises(BundleError, match=r"model\.onnx: not a regular file"):
        find("mine").check(ONNX)
    (folder / ONNX).unlink()
    (folder / ONNX).symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=r"model\.onnx: not a regular file"):
        find("mine").check(ONNX)
    (folder / CARD).unlink()
    os.mkfifo(folder / CARD)
    with pytest.raises(BundleError, match="no bundle mine"):
        find("mine")


def test_a_card_nested_without_end_is_told(here):
    folder = make(here / "models/mine/1")
    (folder / CARD).write_text("[" * 100_000)
    with pytest.raises(BundleError, match=r"card\.json"):
        find("mine")


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="needs a folder that may not be read")
def test_a_folder_of_bundles_that_may_not_be_read_is_told(here):
    make(here / "models/mine/1")
    os.chmod("models", 0)
    with pytest.raises(BundleError, match="models: cannot be read: Permission denied"):
        installed()
