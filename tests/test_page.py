"""The page of `vaekit serve`, in a browser: CHROMIUM names one, or there is one on the path, or Playwright's own."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vaekit import images

playwright = pytest.importorskip("playwright.sync_api")
PORTRAIT = Path(__file__).parents[1] / "docs" / "images" / "sources" / "astronaut.jpg"


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


@pytest.fixture(params=[{"width": 1280, "height": 800}], ids=["desk"])
def page(browser, server, request):
    page = browser.new_page(viewport=request.param)
    playwright.expect.set_options(timeout=60_000)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(server)
    playwright.expect(page.locator("#go")).to_have_text("Repair")
    yield page
    assert page.said == []
    page.close()


on_phones_too = pytest.mark.parametrize(
    "page", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}], ids=["desk", "phone"], indirect=True
)


@pytest.fixture
def photo(tmp_path):
    small = np.random.default_rng(0).uniform(0, 255, (5, 7, 3)).astype(np.float32)
    pixels = cv2.resize(small, (240, 180)).astype(np.uint8)
    images.write(tmp_path / "photo.png", pixels)
    return tmp_path / "photo.png"


def choose(page, path):
    """Choose a file as the photo, and wait until it is shown."""
    page.set_input_files("#file", path)
    playwright.expect(page.locator("#name")).to_contain_text(path.name)
    playwright.expect(page.locator("#go")).to_be_enabled()


def act(page, title):
    """Choose what is to be done."""
    page.locator("#actions").get_by_text(title).click()
    playwright.expect(page.locator("#go")).to_have_text(title)


def told(page, text):
    """Wait until the page says something."""
    playwright.expect(page.locator("#told")).to_contain_text(text)


def stroke(page, *points):
    """Draw a line through points of the photo."""
    box = page.locator("#before").bounding_box()
    zoom = box["width"] / page.evaluate("document.querySelector('#before').naturalWidth")
    places = [(box["x"] + x * zoom, box["y"] + y * zoom) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def download(page, path, button="#save"):
    """What a button of the page downloads: its name and its pixels."""
    with page.expect_download() as begun:
        page.click(button)
    begun.value.save_as(path)
    return begun.value.suggested_filename, images.read(path).pixels


def outcome(page, path):
    """Do it, and download the result."""
    page.click("#go")
    told(page, "Done")
    return download(page, path)


def mask_of(page, tmp_path):
    return download(page, tmp_path / "saved.png", "#keep")[1][..., 0] > 127


# === Repair ===


@on_phones_too
def test_a_photo_is_painted_on_and_repaired(page, photo, tmp_path):
    choose(page, photo)
    page.locator("#size").fill("20")
    stroke(page, (60, 90), (160, 90))
    mask = mask_of(page, tmp_path)
    name, repaired = outcome(page, tmp_path / "repaired.png")
    assert name == "photo_inpaint.png"
    changed = np.any(repaired != images.read(photo).pixels, axis=-1)
    assert not np.any(changed & ~mask)
    assert np.mean(changed[mask]) > 0.9
    rows, columns = np.nonzero(mask)
    assert np.abs(np.array([rows.min(), rows.max(), columns.min(), columns.max()]) - (80, 100, 50, 170)).max() <= 6


def test_an_empty_mask_is_refused(page, photo):
    choose(page, photo)
    page.click("#go")
    told(page, "Nothing is marked yet")
    stroke(page, (60, 90), (160, 90))
    page.get_by_text("Eraser").click()
    page.locator("#size").fill("150")
    stroke(page, (40, 90), (180, 90))
    page.click("#go")
    told(page, "Nothing is marked yet")


def test_strokes_are_erased_undone_and_cleared(page, photo, tmp_path):
    choose(page, photo)
    stroke(page, (40, 60), (200, 60))
    first = mask_of(page, tmp_path)
    stroke(page, (40, 120), (200, 120))
    both = mask_of(page, tmp_path)
    assert both[60, 100]
    assert both[120, 100]
    page.get_by_text("Eraser").click()
    stroke(page, (100, 60), (101, 60))
    assert not mask_of(page, tmp_path)[60, 100]
    page.keyboard.press("Control+z")
    assert np.array_equal(mask_of(page, tmp_path), both)
    page.click("#undo")
    assert np.array_equal(mask_of(page, tmp_path), first)
    page.click("#clear")
    assert not mask_of(page, tmp_path).any()
    page.click("#undo")
    assert np.array_equal(mask_of(page, tmp_path), first)


def test_a_mask_file_is_loaded(page, photo, tmp_path):
    mask = np.zeros((180, 240, 3), np.uint8)
    mask[50:70, 100:150] = 255
    layer = np.dstack([np.full_like(mask, 9), mask[..., 0].T[::-1].T])  # dark strokes on a transparent layer
    images.write(tmp_path / "mask.png", mask)
    images.write(tmp_path / "layer.png", layer)
    images.write(tmp_path / "other.png", mask[:100])
    choose(page, photo)
    page.set_input_files("#masked", tmp_path / "other.png")
    told(page, "The mask is 240 x 100, the photo 240 x 180")
    page.set_input_files("#masked", tmp_path / "mask.png")
    told(page, "")
    playwright.expect(page.locator("#undo")).to_be_enabled()
    assert np.array_equal(mask_of(page, tmp_path), mask[..., 0] > 0)
    page.click("#clear")
    page.set_input_files("#masked", tmp_path / "layer.png")
    playwright.expect(page.locator("#undo")).to_be_enabled()
    assert np.array_equal(mask_of(page, tmp_path), layer[..., 3] > 0)


def test_damage_is_found_and_marked(page, photo, tmp_path, bundles):
    import vaekit

    choose(page, photo)
    expected = vaekit.load(str(bundles / "damage"))(images.read(photo).pixels)
    page.locator("#finders button").click()
    told(page, "Done")
    assert np.mean(mask_of(page, tmp_path) == expected) > 0.99
    act(page, "Find damage")
    page.locator("#control-threshold").fill("0")
    page.click("#go")
    told(page, "Done")
    assert mask_of(page, tmp_path).all()


def test_work_shows_its_progress_and_is_cancelled(page, photo):
    asked = []

    def hold(route):  # never answered
        asked.append(route)

    page.route("**/*:predict", hold)
    page.route("**/progress/*", lambda route: route.fulfill(body=json.dumps({"progress": 0.4})))
    choose(page, photo)
    stroke(page, (60, 90), (160, 90))
    page.click("#go")
    playwright.expect(page.locator("#progress")).to_have_attribute("value", "0.4")
    playwright.expect(page.locator("#go")).to_be_hidden()
    with page.expect_event("requestfailed") as failed:
        page.click("#cancel")
    told(page, "Cancelled.")
    assert failed.value == asked[0].request
    playwright.expect(page.locator("#go")).to_be_enabled()


# === The other verbs ===


def test_a_photo_that_is_dropped_is_enlarged(page, photo, tmp_path):
    page.evaluate(
        """async bytes => {
            const given = new DataTransfer();
            given.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            const drop = new DragEvent("drop", { dataTransfer: given, bubbles: true });
            document.querySelector("#view").dispatchEvent(drop);
        }""",
        list(photo.read_bytes()),
    )
    playwright.expect(page.locator("#name")).to_contain_text("dropped.png")
    act(page, "Enlarge")
    page.select_option("#control-scale", "3")
    name, enlarged = outcome(page, tmp_path / "enlarged.png")
    assert name == "dropped_superres.png"
    assert enlarged.shape == (540, 720, 3)
    page.select_option("#control-scale", "1")
    page.uncheck("#control-clean-automatic")
    page.locator("#control-clean").fill("0")
    page.locator("#control-detail").fill("0")
    _, least = outcome(page, tmp_path / "least.png")
    page.locator("#control-clean").fill("1")
    _, most = outcome(page, tmp_path / "most.png")
    assert least.shape == (180, 240, 3)
    assert np.any(least != most)


@on_phones_too
def test_a_face_is_edited_by_the_attributes_of_the_bundle(page, tmp_path):
    choose(page, PORTRAIT)
    act(page, "Edit face")
    playwright.expect(page.locator("#faces button")).to_have_count(1)
    labels = page.locator("#controls label").all_inner_texts()
    assert [label.split("\n")[0].strip() for label in labels] == ["Smiling", "Dark", "Fair"]
    page.click("#go")
    told(page, "move a slider first")
    page.locator("#control-change-dark").fill("1.5")
    name, edited = outcome(page, tmp_path / "edited.png")
    assert name == "astronaut_edit.png"
    rows, columns = np.nonzero(np.any(edited != images.read(PORTRAIT).pixels, axis=-1))
    assert 0 < rows.min() < 120 < rows.max() < 240
    assert 100 < columns.min() < 220 < columns.max() < 330
    page.get_by_text("Reset").click()
    playwright.expect(page.locator("#control-change-dark")).to_have_value("0")


def test_one_of_several_faces_is_chosen(page, tmp_path):
    portrait = images.read(PORTRAIT).pixels[:300, 60:380]
    images.write(tmp_path / "two.png", np.hstack([portrait, portrait[:, ::-1]]))
    choose(page, tmp_path / "two.png")
    act(page, "Edit face")
    told(page, "2 faces found: click the one to edit.")
    lefts = [box.bounding_box()["x"] for box in page.locator("#faces button").all()]
    for number, side in enumerate(np.argsort(np.argsort(lefts))):
        page.get_by_label(f"Face {number + 1}").click()
        page.locator("#control-change-dark").fill("1")
        _, edited = outcome(page, tmp_path / "edited.png")
        columns = np.nonzero(np.any(edited != images.read(tmp_path / "two.png").pixels, axis=-1))[1]
        assert columns.size
        assert np.all(columns // 320 == side)
        page.click("#discard")


def test_a_face_is_turned_and_given_a_pose(page, tmp_path):
    choose(page, PORTRAIT)
    act(page, "Turn face")
    playwright.expect(page.locator("#faces button")).to_have_count(1)
    _, alone = outcome(page, tmp_path / "alone.png")
    assert alone.shape == (32, 32, 3)
    playwright.expect(page.locator("#divider")).to_be_hidden()
    page.click("#discard")
    page.get_by_label("Put the face back").check()
    _, whole = outcome(page, tmp_path / "whole.png")
    assert whole.shape == (512, 512, 3)
    page.click("#discard")
    act(page, "Transfer pose")
    page.click("#go")
    told(page, "Choose a file first")
    page.set_input_files("#control-shown_bytes", PORTRAIT)
    assert outcome(page, tmp_path / "pose.png")[1].shape == (32, 32, 3)


def test_a_photo_without_a_face_is_told(page, photo):
    choose(page, photo)
    act(page, "Edit face")
    told(page, "No face was found in this photo.")
    page.locator("#control-change-dark").fill("1")
    page.click("#go")
    told(page, "No face was found in this photo.")


def test_a_result_is_edited_further_and_edits_are_undone(page, photo, tmp_path):
    choose(page, photo)
    act(page, "Enlarge")
    outcome(page, tmp_path / "enlarged.png")
    act(page, "Repair")  # goes on with the result
    playwright.expect(page.locator("#name")).to_have_text("photo_superres.png, 480 x 360")
    stroke(page, (100, 90), (160, 90))
    name, repaired = outcome(page, tmp_path / "repaired.png")
    assert (name, repaired.shape) == ("photo_superres_inpaint.png", (360, 480, 3))
    page.click("#further")
    playwright.expect(page.locator("#name")).to_contain_text("photo_superres_inpaint.png")
    page.click("#discard")
    playwright.expect(page.locator("#name")).to_contain_text("photo_superres.png")
    page.click("#discard")
    playwright.expect(page.locator("#name")).to_have_text("photo.png, 240 x 180")
    playwright.expect(page.locator("#discard")).to_be_hidden()


# === The page ===


def test_what_is_no_image_is_told(page, tmp_path):
    (tmp_path / "notes.png").write_text("hello")
    page.set_input_files("#file", tmp_path / "notes.png")
    told(page, "notes.png: not a picture that this browser can show")
    playwright.expect(page.locator("#go")).to_be_disabled()


def test_what_the_server_refuses_is_told(page, tmp_path):
    images.write(tmp_path / "large.png", np.zeros((600, 600, 3), np.uint8))
    choose(page, tmp_path / "large.png")
    act(page, "Enlarge")
    page.click("#go")
    told(page, "600x600 is more than the limit of 250000 pixels")
    assert page.said.pop().startswith("Failed to load resource: the server responded with a status of 400")


def test_before_and_after_are_compared(page, photo):
    choose(page, photo)
    act(page, "Enlarge")
    page.click("#go")
    told(page, "Done")
    view, line = page.locator("#before").bounding_box(), page.locator("#divider").bounding_box()
    middle = line["x"] + line["width"] / 2
    assert abs(middle - view["x"] - view["width"] / 2) < 2
    page.mouse.move(middle, line["y"] + 50)
    page.mouse.down()
    page.mouse.move(view["x"] + 0.25 * view["width"], line["y"] + 50, steps=4)
    page.mouse.up()
    playwright.expect(page.locator("#compare")).to_have_value("75")
    page.locator("#compare").fill("100")
    assert page.evaluate("document.querySelector('#after').style.clipPath") == "inset(0px)"


def test_the_photo_is_zoomed_and_moved_and_painted_on_where_it_shows(page, photo, tmp_path):
    choose(page, photo)
    zoom = page.locator("#zoom")
    playwright.expect(zoom).to_have_text("100 %")
    page.focus("#view")
    for _ in range(12):
        page.keyboard.press("+")
    before = page.locator("#before").bounding_box()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#before").bounding_box()["x"] == pytest.approx(before["x"] + 60)
    page.get_by_text("Move", exact=True).click()
    view = page.locator("#view").bounding_box()
    middle = view["x"] + view["width"] / 2, view["y"] + view["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 40, middle[1] + 30, steps=4)
    page.mouse.up()
    moved = page.locator("#before").bounding_box()
    assert (moved["x"], moved["y"]) == (pytest.approx(before["x"] + 100), pytest.approx(before["y"] + 30))
    page.get_by_text("Brush").click()
    page.locator("#size").fill("29")  # 2 pixels of the photo
    scale = moved["width"] / 240
    x, y = (middle[0] - moved["x"]) / scale, (middle[1] - moved["y"]) / scale
    stroke(page, (x, y), (x + 4, y))
    rows, columns = np.nonzero(mask_of(page, tmp_path))
    assert abs(rows.mean() + 0.5 - y) < 1
    assert abs(columns.mean() + 0.5 - x - 2) < 1
    assert np.ptp(rows) <= 2
    page.focus("#view")
    page.keyboard.press("0")
    playwright.expect(zoom).to_have_text("100 %")
    page.mouse.move(*middle)
    page.mouse.wheel(0, -400)
    playwright.expect(zoom).not_to_have_text("100 %")


def test_two_fingers_zoom_and_take_back_the_stroke_of_the_first(page, photo, tmp_path):
    choose(page, photo)
    view = page.locator("#view").bounding_box()
    x, y = view["x"] + view["width"] / 2, view["y"] + view["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind, *fingers):
        points = [{"x": x + far, "y": y, "id": number} for number, far in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -40)
    touch("touchStart", -40, 40)
    touch("touchMove", -80, 40)
    touch("touchMove", -80, 80)
    touch("touchEnd")
    playwright.expect(page.locator("#zoom")).to_have_text("200 %")
    assert not mask_of(page, tmp_path).any()


def test_everything_is_reached_from_the_keyboard(page, photo):
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#go")).to_have_text("Enlarge")
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(photo)
    playwright.expect(page.locator("#go")).to_be_enabled()
    page.focus("#control-seed")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    told(page, "Done")


def test_a_new_app_needs_no_change_of_the_page(page, photo, tmp_path):
    number = {"low": 0, "high": 1, "names": [], "default": 0.2, "automatic": False, "dtype": "DT_FLOAT"}
    inputs = {
        "image_bytes": {**number, "label": "Photo", "dtype": "DT_STRING"},
        "amount": {**number, "label": "Amount"},
        "colour": {**number, "label": "Colour", "low": -2, "high": 2, "names": ["warm_red", "blue"]},
        "often": {**number, "label": "Often", "dtype": "DT_INT32", "high": 1},
        "kind": {**number, "label": "Kind", "dtype": "DT_INT32", "low": 1, "high": 3, "default": 2},
    }
    action = {"title": "Tint", "about": "Give it a tint.", "inputs": inputs, "output": "image_bytes"}
    models = {"models": [{"name": name, "version": "1", "terms": f"{name} is free."} for name in ("tint", "other")]}
    asked = []

    def answer(route):
        asked.append(route.request.post_data_json)
        given = asked[-1]["instances"][0]["image_bytes"]
        route.fulfill(json={"predictions": [given]})

    page.route("**/v1/models", lambda route: route.fulfill(json=models))
    page.route(
        "**/v1/models/*/metadata", lambda route: route.fulfill(json={"metadata": {"actions": {"photo": action}}})
    )
    page.route("**/v1/models/tint:predict", answer)
    page.reload()
    playwright.expect(page.locator("#go")).to_have_text("Tint (tint)")
    assert page.locator("#actions label").all_inner_texts() == ["Tint (tint)", "Tint (other)"]
    playwright.expect(page.locator("#about")).to_have_text("Give it a tint.")
    playwright.expect(page.locator("#terms")).to_have_text("tint is free.")
    choose(page, photo)
    page.get_by_label("Warm red").fill("1.5")
    page.get_by_label("Often").check()
    page.get_by_label("Kind").select_option("3")
    name, pixels = outcome(page, tmp_path / "tinted.png")
    assert name == "photo_tint.png"
    assert np.array_equal(pixels, images.read(photo).pixels)
    (request,) = asked
    del request["instances"][0]["image_bytes"]
    expected = {"amount": 0.2, "colour": [1.5, 0.2], "often": 1, "kind": 3}
    assert request == {"signature_name": "photo", "instances": [expected]}


@pytest.mark.parametrize("page", [{"width": 390, "height": 844}], ids=["phone"], indirect=True)
def test_nothing_is_wider_than_a_phone(page):
    choose(page, PORTRAIT)
    for title in page.locator("#actions label").all_inner_texts():
        act(page, title)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
