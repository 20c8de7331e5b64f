import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mien.errors import MienError, WriteError
from mien.outputs.gallery import Gallery
from mien.outputs.pixelate import hide_faces
from mien.results import Box, Face, Frame


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.all = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.all.append((tag, dict(attributes)))

    def having(self, key):
        return [held for _, held in self.all if key in held]


def face(label="happy", x=10, track=None):
    scores = dict.fromkeys(("happy", "sad", "neutral"), 0.1) | {label: 0.8}
    return Face(Box(x, 8, 20, 20), None, {"p": scores}, track=track)


def frame(source, *faces, **more):
    return Frame(source, 80, 60, faces, "none", "stub 1", **more)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def written(path, pairs, **options):
    with Gallery(path, **options) as gallery:
        for pixels, one in pairs:
            gallery.write(pixels, one)
    return path.read_text(encoding="utf-8")


def test_each_picture_is_a_card_and_buttons_count_the_cards(tmp_path, picture):
    pairs = [
        (picture, frame("a.jpg", face("happy"), face("happy", 40), face("sad", 60))),
        (picture, frame("b.jpg", face("happy"))),
        (picture, frame("c.jpg")),
        (None, frame("d.jpg", error="d.jpg: damaged")),
    ]
    page = written(tmp_path / "page.html", pairs)
    tags = Tags(page)
    assert [card["data-shows"] for card in tags.having("data-shows")] == ["happy sad", "happy", "no-face", "not-read"]
    assert [button["data-show"] for button in tags.having("data-show")] == ["*", "happy", "sad", "no-face", "not-read"]
    assert re.findall(r"<b>([\d,]+)</b></button>", page) == ["4", "2", "1", "1", "1"]
    assert "<h1>3 pictures, 4 faces</h1>" in page
    assert '<p class="error">damaged</p>' in page


def test_a_note_is_under_its_picture(tmp_path, picture):
    page = written(tmp_path / "page.html", [(picture, replace(frame("a.jpg"), note="cut <off>"))])
    assert "<small>cut &lt;off&gt;</small>" in page


def test_boxes_lie_on_their_faces(tmp_path, picture):
    (box,) = Tags(written(tmp_path / "page.html", [(picture, frame("a.jpg", face(x=20)))])).having("data-is")
    assert box["style"].endswith("left:25.00%;top:13.33%;width:25.00%;height:33.33%")
    assert box["title"] == "happy 80%"


def test_names_from_strangers_stay_text(tmp_path, picture):
    names = ['<script>alert(1)</script>".jpg', "javascript:alert(2).jpg", "caf\udce9.jpg"]
    labels = {"p": {"<img src=x onerror=alert(3)>": 1.0}}
    odd = Face(Box(1, 1, 9, 9), None, labels)
    for name in names:
        (tmp_path / name.replace("/", "_")).touch()
    pairs = [(picture, frame(name, odd)) for name in names]
    pairs.append((picture, frame(str(tmp_path / names[1]), odd)))
    tags = Tags(written(tmp_path / "page.html", pairs))
    assert sum(tag == "script" for tag, _ in tags.all) == 1
    assert not tags.having("onerror")
    assert [link["href"] for link in tags.having("href")] == ["./javascript%3Aalert%282%29.jpg"]


def test_the_page_needs_no_other_file_and_its_policy_lets_its_script_run(tmp_path, picture):
    page = written(tmp_path / "page.html", [(picture, frame("a.jpg", face()))])
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in Tags(page).having("src"))
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_a_video_is_a_timeline_linked_to_the_clearest_frames(tmp_path, picture):
    labels = ["happy"] * 5 + ["sad"] * 5
    pairs = [(picture, frame("clip.mp4", face(label, track=1), index=n, time=n / 10)) for n, label in enumerate(labels)]
    page = written(tmp_path / "page.html", [*pairs, (picture, frame("a.jpg"))])
    tags = Tags(page)
    links = [(link["href"], link["style"].partition(";")[2]) for link in tags.having("href")]
    assert links == [("#v0-happy", "left:0.00%;width:55.56%"), ("#v0-sad", "left:55.56%;width:44.44%")]
    keys = [held["id"] for held in tags.having("id")]
    assert keys == ["v0-happy", "v0-sad"]
    assert "<h1>1 picture, 1 video, 1 face</h1>" in page


def test_two_videos_in_a_row_are_two_cards(tmp_path, picture):
    pairs = [(picture, frame(name, face(track=1), index=0, time=0.0)) for name in ("a.mp4", "b.mp4")]
    tags = Tags(written(tmp_path / "page.html", pairs))
    assert len(tags.having("data-shows")) == 2
    ids = [held["id"] for held in tags.having("id")]
    assert len(set(ids)) == len(ids) == 2


def test_hidden_faces_are_blocks_in_the_thumbnail_and_not_linked(tmp_path, picture):
    source = tmp_path / "a.png"
    Image.fromarray(picture).save(source)
    tags = Tags(written(tmp_path / "page.html", [(picture, frame(str(source), face()))], hide=True))
    assert not tags.having("href")
    data = base64.b64decode(tags.having("src")[0]["src"].partition(",")[2])
    shown = np.array(Image.open(BytesIO(data))).astype(int)
    inside, outside = shown[10:26, 12:28], shown[40:56, 50:66]
    assert np.abs(np.diff(inside, axis=1)).mean() < np.abs(np.diff(outside, axis=1)).mean() / 2


def test_only_the_faces_change_and_the_picture_itself_never(picture):
    before = picture.copy()
    hidden = hide_faces(picture, frame("a.jpg", face(x=-15), face(x=200)))
    changed = (hidden != picture).any(axis=2)
    assert np.array_equal(picture, before)
    assert changed[5:31, :8].mean() > 0.9
    changed[5:31, :8] = False
    assert not changed.any()


def test_a_page_that_breaks_off_does_not_appear(tmp_path, picture):
    path = tmp_path / "page.html"
    with pytest.raises(AttributeError), Gallery(path) as gallery:
        gallery.write(picture, None)
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_written_is_said_at_once(tmp_path):
    with pytest.raises(MienError, match=r"\.html"):
        Gallery(tmp_path / "page.txt")
    with pytest.raises(WriteError, match="does not exist"):
        Gallery(tmp_path / "no" / "page.html")
