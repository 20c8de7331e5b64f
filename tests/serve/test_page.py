"""The page in a real browser: Debian's Chromium without a window, driven by Playwright."""

import json
import shutil
from pathlib import Path

import pytest

from mien.serve.settings import digest
from support.service import Thread

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).resolve().parents[2] / ".tools/node_modules/axe-core/axe.min.js"
KEY = "correct-horse-battery-staple"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: make tools installs it")


@pytest.fixture(scope="module")
def running():
    with Thread(detector="haar") as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[dev]'")
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=options, timeout=120_000)
        yield one
        one.close()


@pytest.fixture
def opened(browser, running):
    """A page of its own: call it with the options of its context; requests elsewhere and errors are kept."""
    contexts = []

    def opening(url=running.url, **options):
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.elsewhere, page.faults = [], []
        here = ("blob:", "data:", url, url.replace("http", "ws"))
        page.on("request", lambda one: None if one.url.startswith(here) else page.elsewhere.append(one.url))
        page.on("pageerror", lambda one: page.faults.append(str(one)))
        page.on("console", lambda one: page.faults.append(one.text) if "Content Security" in one.text else None)
        page.goto(url)
        page.wait_for_selector("#model option", state="attached")
        return page

    yield opening
    pages = [page for context in contexts for page in context.pages]
    assert [page.elsewhere for page in pages if page.elsewhere] == []
    assert [page.faults for page in pages if page.faults] == []
    for context in contexts:
        context.close()


def heading(page):
    """The first face's, looked at now and then: while the camera is on, the list is drawn anew with every frame."""
    for _ in range(300):
        if found := page.locator("#faces h3").all_inner_texts():
            return found[0]
        page.wait_for_timeout(100)
    raise AssertionError(f"no face is listed: {page.inner_text('#status')}")


def check_accessibility(page):
    if not AXE.exists():
        pytest.skip("no axe-core: make tools installs it")
    page.evaluate(AXE.read_text())  # by the debugger, which the page's security policy does not bind
    found = page.evaluate(
        "async () => (await axe.run()).violations.map((one) => [one.id, one.nodes.map((n) => n.html)])"
    )
    assert found == []


def test_a_chosen_picture_is_read_drawn_and_listed(opened, portrait, running):
    with running.client() as client:
        (face,) = client.post("/v1/predict", content=portrait.read_bytes()).json()["faces"]
    percent = f"{100 * face['probability']:.1f}\u00a0%"
    page = opened()
    page.set_input_files("#file", portrait)
    assert heading(page) == f"Face 1: happy, {percent}"
    assert page.inner_text("#status").startswith("1 face: happy")
    assert page.eval_on_selector("#picture", "(one) => one.naturalWidth") == 512
    assert page.get_attribute("#boxes", "viewBox") == "0 0 512 512"
    assert page.locator("#boxes rect.line").count() == 1
    assert page.locator("#faces li").count() == 7
    box, picture = page.locator("#boxes rect.line").bounding_box(), page.locator("#picture").bounding_box()
    assert picture["x"] < box["x"] < box["x"] + box["width"] < picture["x"] + picture["width"]
    row = page.inner_text("#rows tr").split("\t")
    assert row[:3] == ["1", "happy", percent]


def test_what_was_read_can_be_downloaded(opened, portrait, running):
    page = opened()
    page.set_input_files("#file", portrait)
    heading(page)
    with page.expect_download() as download:
        page.click("#json")
    frame = json.loads(Path(download.value.path()).read_text())
    with running.client() as client:
        assert frame == client.post("/v1/predict", content=portrait.read_bytes()).json()
        expected = client.post("/v1/predict", content=portrait.read_bytes(), headers={"Accept": "text/csv"}).text
    with page.expect_download() as download:
        page.click("#csv")
    found = [line.split(",") for line in Path(download.value.path()).read_text().splitlines()]
    wanted = [line.split(",") for line in expected.splitlines()]
    assert found[0] == wanted[0]
    assert [cell.removesuffix(".0") for cell in found[1]] == [cell.removesuffix(".0") for cell in wanted[1]]


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_may_be_pasted_and_dropped(opened, jpeg, kind):
    import base64

    page = opened()
    page.evaluate(
        """([kind, data]) => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const holder = new DataTransfer();
            holder.items.add(new File([bytes], "a.jpg", { type: "image/jpeg" }));
            const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: holder, bubbles: true })
                : new DragEvent("drop", { dataTransfer: holder, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
        }""",
        [kind, base64.b64encode(jpeg).decode()],
    )
    assert heading(page).startswith("Face 1: happy")


def test_what_the_browser_cannot_show_comes_drawn_from_the_server(opened, portrait, tmp_path):
    from PIL import Image

    path = tmp_path / "portrait.tiff"
    Image.open(portrait).save(path)
    page = opened()
    page.set_input_files("#file", path)
    assert heading(page).startswith("Face 1: happy")
    assert page.eval_on_selector("#picture", "(one) => one.naturalWidth") == 512


def test_a_picture_without_a_face_says_so(opened, small, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(small)
    page = opened()
    page.set_input_files("#file", path)
    page.wait_for_selector("#faces .none")
    assert page.inner_text("#status") == "No faces found."
    page.click("summary")
    page.select_option("#detector", "none")
    page.set_input_files("#file", path)
    assert heading(page).startswith("Face 1: ")


def test_errors_are_said_and_the_next_picture_is_read(opened, portrait, tmp_path):
    page = opened()
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    page.set_input_files("#file", bad)
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error").startswith("The picture cannot be read. not a picture")
    large = tmp_path / "large.png"
    large.write_bytes(bytes(9 * 2**20))
    page.set_input_files("#file", large)
    page.wait_for_function("() => document.getElementById('error').textContent.includes('larger')")
    check_accessibility(page)
    page.set_input_files("#file", portrait)
    assert heading(page).startswith("Face 1: happy")
    assert page.is_hidden("#error")


def test_a_server_that_is_gone_is_said(opened, portrait):
    with Thread() as other:
        page = opened(other.url)
    page.set_input_files("#file", portrait)
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error").startswith("The server does not answer")


def test_the_camera_is_read_until_it_is_stopped(opened, running):
    page = opened()
    page.click("summary")
    page.select_option("#detector", "none")
    page.click("#camera")
    assert heading(page).startswith("Face 1: ")
    page.wait_for_function("() => document.getElementById('video').videoWidth === 640")
    assert page.get_attribute("#camera", "aria-pressed") == "true"
    running.until(lambda: running.service.streams == 1)
    page.click("#keep")  # the picture of this moment
    page.wait_for_function("() => document.getElementById('picture').naturalWidth === 640")
    assert heading(page).startswith("Face 1: ")
    running.until(lambda: running.service.streams == 0)
    page.click("#camera")
    heading(page)
    page.click("#camera")
    running.until(lambda: running.service.streams == 0)
    assert page.inner_text("#status") == "The camera is off."


def test_a_camera_may_be_stopped_before_its_first_picture(opened, running):
    """A browser then breaks off what waits for it; a camera that gives no picture ends likewise, and is said."""
    page = opened()
    page.evaluate("() => { HTMLMediaElement.prototype.play = () => new Promise((_, no) => { window.end = no; }); }")
    broken = "() => window.end(new DOMException('interrupted', 'AbortError'))"
    page.click("#camera")
    page.wait_for_function("() => window.end")
    page.click("#camera")
    page.evaluate(broken)
    page.wait_for_function("() => document.getElementById('status').textContent === 'The camera is off.'")
    assert page.is_hidden("#error")
    page.click("#camera")
    page.wait_for_function("() => document.getElementById('video').srcObject")
    page.evaluate(broken)
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error") == "No camera. It gives no picture."
    running.until(lambda: running.service.streams == 0)


def test_a_camera_that_is_not_allowed_is_said(opened, browser, running):
    page = opened()
    refusing = "async () => { throw new DOMException('', 'NotAllowedError'); }"
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = %s; }" % refusing)  # noqa: UP031 - braces
    page.click("#camera")
    page.wait_for_selector("#error:not([hidden])")
    assert page.inner_text("#error") == "No camera. It was not allowed."


def test_with_keys_the_page_asks_for_one(browser, portrait):
    with Thread(keys=(digest(KEY),)) as guarded:
        page = browser.new_page()
        page.goto(guarded.url)
        page.wait_for_selector("#error:not([hidden])")
        assert page.inner_text("#error").startswith("An API key is needed")
        page.fill("#key", KEY)
        page.press("#key", "Tab")
        page.wait_for_selector("#model option", state="attached")
        page.set_input_files("#file", portrait)
        assert heading(page).startswith("Face 1: ")
        page.click("#camera")
        guarded.until(lambda: guarded.service.streams == 1)
        page.close()


def test_the_keyboard_reaches_everything(opened, portrait):
    page = opened()
    page.set_input_files("#file", portrait)
    heading(page)
    reached = []
    page.evaluate("() => document.body.focus()")
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.id || document.activeElement.tagName"))
        if reached[-1] == "BODY":  # past the last one
            break
        outline = page.evaluate(
            "() => getComputedStyle(document.activeElement.closest('.button') ?? document.activeElement).outlineStyle"
        )
        assert outline != "none", reached
    assert [one for one in reached if one in ("file", "camera", "json", "csv")] == ["file", "camera", "json", "csv"]
    page.focus("#camera")
    page.keyboard.press("Enter")
    page.wait_for_selector("#camera[aria-pressed=true]")
    page.keyboard.press("Space")
    page.wait_for_selector("#camera[aria-pressed=false]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_it_fits_and_axe_finds_nothing(opened, portrait, tmp_path, scheme, size):
    options = {"viewport": PHONE, "is_mobile": True, "has_touch": True} if size == "phone" else {}
    page = opened(color_scheme=scheme, **options)
    check_accessibility(page)
    page.set_input_files("#file", portrait)
    heading(page)
    page.screenshot(path=tmp_path / f"{size}-{scheme}.png", full_page=True)
    check_accessibility(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.is_visible("label.photo") == (size == "phone")


def test_what_people_must_know_is_said(opened):
    text = " ".join(opened().inner_text("main").split())
    for words in ("Regulation 2024/1689, article 50", "article 5)", "prohibited", "must not decide about anybody"):
        assert words in text
    assert "not know what people feel" in text
