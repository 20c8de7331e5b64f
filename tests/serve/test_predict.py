"""Pictures in, expressions out."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from mien import Recognizer, annotate
from mien.serve import schema
from mien.serve.problems import MEDIA_TYPE
from mien.sources.images import read

JPEG = {"Content-Type": "image/jpeg"}


def is_problem(reply, kind, status):
    document = reply.json()
    assert (reply.status_code, reply.headers["content-type"]) == (status, MEDIA_TYPE), reply.text
    assert document["type"] == f"/problems/{kind}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document["detail"]


def test_the_reply_is_what_the_recognizer_says(client, jpeg):
    expected = Recognizer(detector="haar").predict(jpeg).to_dict()
    assert len(expected["faces"]) == 1
    raw = client.post("/v1/predict", content=jpeg, headers=JPEG)
    form = client.post("/v1/predict", files={"anything": ("secret.jpg", jpeg)})
    bare = client.post("/v1/predict", content=jpeg)
    assert raw.json() == form.json() == bare.json() == expected
    assert list(raw.json()["faces"][0]) == list(expected["faces"][0])


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("detector=none", {"detector": "none"}),
        ("model=fast&detector=none", {"model": "fast", "detector": "none"}),
        ("align=true&min_size=20", {"detector": "haar", "align": True, "min_size": 20}),
        ("min_size=400", {"detector": "haar", "min_size": 400}),
        ("detector=none&error_rate=0.05", {"detector": "none", "error_rate": 0.05}),
    ],
)
def test_query_parameters_are_the_recognizers(client, jpeg, query, options):
    assert client.post(f"/v1/predict?{query}", content=jpeg).json() == Recognizer(**options).predict(jpeg).to_dict()


def test_a_cut_jpeg_is_answered_with_its_note_wherever_it_is_sent(client, jpeg):
    cut = jpeg[:-60]
    frame = Recognizer(detector="haar").predict(cut)
    assert frame.note.startswith("cut off")
    assert client.post("/v1/predict", content=cut).json() == frame.to_dict()
    (one,) = client.post("/v1/predict/batch", files=[("f", ("a.jpg", cut))]).json()["frames"]
    assert one["note"] == frame.note
    table = client.post("/v1/predict", content=cut, headers={"Accept": "text/csv"})
    assert [row["note"] for row in csv.DictReader(io.StringIO(table.text))] == [frame.note]
    with client.websocket_connect("ws://localhost/v1/stream") as socket:
        socket.send_bytes(cut)
        assert socket.receive_json()["note"] == frame.note


def test_the_models_of_the_reply_are_its_very_form(client, jpeg):
    for path in ("/v1/predict", "/v1/predict?detector=none"):
        document = client.post(path, content=jpeg).json()
        assert schema.Frame.model_validate(document).model_dump(mode="json") == document
    frame = next(Recognizer(detector="none").stream([np.zeros((40, 40), np.uint8)])).to_dict()
    assert schema.Frame.model_validate(frame).model_dump(mode="json") == frame
    for model in (schema.Frame, schema.Face, schema.Batch):
        for example in model.model_json_schema()["examples"]:
            model.model_validate(example)


def test_the_annotated_picture_and_rows_come_by_accept(client, jpeg):
    frame = Recognizer(detector="haar").predict(jpeg)
    drawn = client.post("/v1/predict", content=jpeg, headers={"Accept": "image/png"})
    assert drawn.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(drawn.content))), annotate(read(jpeg), frame))
    table = client.post("/v1/predict", content=jpeg, headers={"Accept": "text/csv;q=0.9, image/png;q=0.1"})
    (row,) = csv.DictReader(io.StringIO(table.text))
    expected = frame.to_rows()[0]
    assert {name: row[name] for name in expected} == {n: "" if v is None else str(v) for n, v in expected.items()}
    is_problem(client.post("/v1/predict", content=jpeg, headers={"Accept": "text/html"}), "not-acceptable", 406)
    browser = client.post("/v1/predict", content=jpeg, headers={"Accept": "text/html, */*;q=0.1"})
    assert browser.headers["content-type"] == "application/json"


def test_a_batch_answers_in_order_with_names_and_errors(client, jpeg, small):
    files = [("f", ("a.jpg", jpeg)), ("g", ("b.png", b"no picture")), ("f", ("c.png", small))]
    frames = client.post("/v1/predict/batch", files=files).json()["frames"]
    assert [frame["source"] for frame in frames] == ["a.jpg", "b.png", "c.png"]
    assert frames[0] == Recognizer(detector="haar").predict(jpeg).to_dict() | {"source": "a.jpg"}
    assert frames[1]["error"].startswith("not a picture")
    assert (frames[2]["width"], frames[2]["height"], frames[2]["error"]) == (60, 48, None)
    for frame in frames:
        schema.Frame.model_validate(frame)
    many = [("f", (f"{n}.png", small)) for n in range(17)]
    assert "16" in is_problem(client.post("/v1/predict/batch", files=many), "bad-request", 400)
    is_problem(client.post("/v1/predict/batch", content=jpeg, headers=JPEG), "unsupported-media-type", 415)
    is_problem(client.post("/v1/predict/batch", files={}, data={"a": "b"}), "unsupported-media-type", 415)


def _png(picture, **options):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", **options)
    return out.getvalue()


def junk(jpeg, small):
    """Twenty kinds of what is no picture: name, content, headers."""
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return [
        ("nothing", b"", {}),
        ("text", b"hello", {}),
        ("html", b"<html><script>", {}),
        ("zeros", bytes(5000), {}),
        ("noise", np.random.default_rng(0).bytes(5000), {}),
        ("half a jpeg", jpeg[: len(jpeg) // 4], {}),
        ("jpeg head", jpeg[:20], {}),
        ("half a png", small[:100], {}),
        ("png head", small[:16], {}),
        ("wrong crc", small[:40] + b"xxxx" + small[44:], {}),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"Content-Type": "image/svg+xml"}),
        ("pdf", b"%PDF-1.7\n1 0 obj", {"Content-Type": "application/pdf"}),
        ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", {}),
        ("zip", b"PK\x03\x04" + bytes(100), {}),
        ("json", b'{"img": "/etc/passwd"}', {"Content-Type": "application/json"}),
        ("form fields", b"img=/etc/passwd", {"Content-Type": "application/x-www-form-urlencoded"}),
        ("form without boundary", head, {"Content-Type": "multipart/form-data"}),
        ("form without end", head + jpeg[:50], form),
        ("form without file", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n', form),
        ("form with two files", head + small + b"\r\n" + head + small + b"\r\n--x--\r\n", form),
        ("form of nothing", b"", form),
        ("address", b"https://example.org/a.jpg", {"Content-Type": "text/uri-list"}),
        ("palette bomb", b"BM" + b"\xff" * 60, {}),
    ]


def test_twenty_kinds_of_junk_are_typed_problems(client, jpeg, small):
    kinds = junk(jpeg, small)
    assert len(kinds) >= 20
    for name, content, headers in kinds:
        reply = client.post("/v1/predict?detector=none", content=content, headers=headers)
        assert 400 <= reply.status_code < 500, (name, reply.text)
        is_problem(reply, reply.json()["type"].rpartition("/")[2], reply.status_code)


WRONG = (
    "model=nope",
    "detector=mtcnn",
    "threads=4",
    "align=perhaps",
    "min_size=-1",
    "min_size=nan",
    "error_rate=2",
    "error_rate=0",
    "url=https://example.org/a.jpg",
)


@pytest.mark.parametrize("query", WRONG)
def test_wrong_parameters_are_named(client, small, query):
    detail = is_problem(client.post(f"/v1/predict?{query}", content=small), "wrong-parameters", 422)
    assert any(word in detail for word in (query.partition("=")[0], "error rate", "wrong answers"))


def test_what_is_not_there_is_a_problem_too(client):
    is_problem(client.get("/nope"), "not-found", 404)
    reply = client.get("/v1/predict")
    is_problem(reply, "method-not-allowed", 405)
    assert reply.headers["allow"] == "POST"


def test_an_animation_counts_with_all_its_frames():
    from mien.serve import bodies
    from mien.serve.problems import Problem
    from mien.serve.settings import Settings

    noise = np.random.default_rng(1).integers(0, 255, (5, 48, 60, 3), dtype=np.uint8)
    frames = [Image.fromarray(one) for one in noise]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        out = io.BytesIO()
        frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=40)
        each = 48 * 60
        assert bodies.decode(out.getvalue(), Settings(max_pixels=5 * each))[0].shape == (48, 60, 3)
        with pytest.raises(Problem) as caught:
            bodies.decode(out.getvalue(), Settings(max_pixels=5 * each - 1))
        assert caught.value.kind == "too-many-pixels", form
