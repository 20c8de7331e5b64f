"""Requests as users of deepface's API send them."""

import base64

import pytest

from mien.compat import deepface


@pytest.fixture
def uri(jpeg):
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def ask(client, **body):
    return client.post("/compat/deepface/analyze", json=body)


def same(found, jpeg, **options):
    from mien.sources.images import decode

    expected = deepface.analyze(decode(jpeg)[..., ::-1], **options)
    for one in expected:  # JSON has no tuples
        one["region"] = {name: list(v) if isinstance(v, tuple) else v for name, v in one["region"].items()}
    assert found == expected


def test_json_with_a_data_uri(client, jpeg, uri):
    reply = ask(client, img=uri, actions=["emotion"])
    assert reply.status_code == 200
    same(reply.json()["results"], jpeg)
    same(ask(client, img_path=uri).json()["results"], jpeg)
    skipped = ask(client, img=uri, detector_backend="skip", enforce_detection=False, align=True, anti_spoofing=False)
    same(skipped.json()["results"], jpeg, detector_backend="skip")


def test_a_form_with_a_file(client, jpeg, uri):
    fields = {"actions": "['emotion']", "detector_backend": "opencv", "enforce_detection": "True"}
    reply = client.post("/compat/deepface/analyze", files={"img": ("a.jpg", jpeg, "image/jpeg")}, data=fields)
    same(reply.json()["results"], jpeg)
    reply = client.post("/compat/deepface/analyze", files={"other": ("", b"")} | {}, data={"img": uri})
    assert reply.status_code in (200, 400)
    reply = client.post("/compat/deepface/analyze", data={"img": uri})
    assert reply.status_code == 415  # not multipart


def test_several_pictures_are_several_results(client, jpeg, uri):
    results = ask(client, img=[uri, uri]).json()["results"]
    assert len(results) == 2
    for one in results:
        same(one, jpeg)
    assert ask(client, img=[uri] * 17).status_code == 400
    assert ask(client, img=[]).status_code == 400


@pytest.mark.parametrize(
    "img", ["/etc/passwd", "tests/astronaut.jpg", "https://example.org/a.jpg", "http://127.0.0.1/a.jpg",
            "file:///etc/passwd", "ftp://example.org/a", "data:text/html;base64,AAAA", "data:image/png;base64,%%%",
            "data:image/png,AAAA", "", None, 5, {"a": 1}, ["/etc/passwd"]],
)  # fmt: skip
def test_paths_and_addresses_are_refused(client, img, monkeypatch):
    """The reply never says what the file or address holds, and no name is looked up."""
    import socket

    def never(*arguments, **_):
        raise AssertionError(arguments)

    monkeypatch.setattr(socket, "getaddrinfo", never)
    reply = ask(client, img=img)
    assert (reply.status_code, reply.json()["type"]) == (400, "/problems/bad-request")
    assert reply.json()["error"] == reply.json()["detail"]
    assert "root:" not in reply.text


@pytest.mark.parametrize(
    "options", [{"actions": ["age", "gender", "emotion", "race"]}, {"anti_spoofing": True},
                {"detector_backend": "nope"}, {"enforce_detection": "perhaps"}, {"actions": "age"}],
)  # fmt: skip
def test_what_is_not_there_is_refused(client, uri, options):
    reply = ask(client, img=uri, **options)
    assert reply.status_code == 400
    assert reply.json()["error"]


def test_no_face_is_an_error_unless_told_otherwise(client, small):
    uri = "data:image/png;base64," + base64.b64encode(small).decode()
    reply = ask(client, img=uri)
    assert reply.status_code == 400
    assert "Face could not be detected" in reply.json()["error"]
    assert len(ask(client, img=uri, enforce_detection=False).json()["results"]) == 1


def test_the_bounds_hold_here_too(client, app):
    limit = app.state.service.settings.max_bytes
    over = "data:image/png;base64," + base64.b64encode(bytes(limit + 1)).decode()
    for body in (over, "data:image/png;base64," + "A" * (2 * limit)):
        reply = ask(client, img=body)
        assert (reply.status_code, reply.json()["type"]) == (413, "/problems/too-many-bytes")
    for content in (b"{", b"[]", b"[" * 100_000, b"5", b'"a"', b"{}"):
        headers = {"Content-Type": "application/json"}
        assert client.post("/compat/deepface/analyze", content=content, headers=headers).status_code == 400
    assert app.state.service.gate.taken == 0
