"""The page of `vaekit serve`, in a browser: CHROMIUM names one, or there is one on the path, or Playwright's own."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vaekit import images

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    with playwright.sync_playwright() as started:
        path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
        path = path or started.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium here")
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    page = browser.new_page(viewport={"width": 900, "height": 900})
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(server)
    page.wait_for_selector("#verb option >> nth=1", state="attached")
    yield page
    assert page.said == []
    page.close()


@pytest.fixture
def photo(tmp_path):
    small = np.random.default_rng(0).uniform(0, 255, (5, 7, 3)).astype(np.float32)
    pixels = cv2.resize(small, (240, 180)).astype(np.uint8)
    images.write(tmp_path / "photo.png", pixels)
    return tmp_path / "photo.png"


def outcome(page, path):
    page.click("#go")
    page.wait_for_selector("#outcome:not([hidden])")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(path)
    return download.value.suggested_filename, images.read(path).pixels


def test_a_photo_is_painted_on_and_repaired(page, photo, tmp_path):
    page.set_input_files("#file", photo)
    page.wait_for_function("document.querySelector('#mask').width === 240")
    assert page.is_disabled("#go")
    box = page.locator("#mask").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 90, steps=5)
    page.mouse.up()
    name, repaired = outcome(page, tmp_path / "repaired.png")
    changed = np.any(repaired != images.read(photo).pixels, axis=-1)
    rows, columns = np.nonzero(changed)
    assert name == "photo_inpaint.png"
    assert 70 < rows.min() < 90 < rows.max() < 110
    assert 40 < columns.min() < 65
    assert 155 < columns.max() < 180


def test_a_photo_that_is_dropped_is_enlarged(page, photo, tmp_path):
    page.evaluate(
        """async bytes => {
            const given = new DataTransfer();
            given.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            document.querySelector("#drop").dispatchEvent(new DragEvent("drop", { dataTransfer: given }));
        }""",
        list(photo.read_bytes()),
    )
    page.select_option("#verb", "superres")
    page.select_option("#scale", "2")
    name, enlarged = outcome(page, tmp_path / "enlarged.png")
    assert name == "dropped_superres.png"
    assert enlarged.shape == (360, 480, 3)


def test_what_is_no_image_is_told(page, tmp_path):
    (tmp_path / "notes.png").write_text("hello")
    page.set_input_files("#file", tmp_path / "notes.png")
    page.wait_for_function("document.querySelector('#told').textContent.startsWith('notes.png: not an image')")
    assert page.is_disabled("#go")
