"""Who may use the service, what its replies say to browsers, and what its logs do not say."""

import json
import logging

import pytest
from starlette.testclient import TestClient

from mien.errors import MienError
from mien.serve.app import create_app
from mien.serve.logs import JsonFormatter
from mien.serve.settings import Settings, digest, parse_size, read_keys

KEY = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def guarded():
    settings = Settings(
        detector="none", keys=(digest("another-key-of-ours"), digest(KEY)), cors=("https://app.example",),
        hosts=("faces.example",),
    )  # fmt: skip
    with TestClient(create_app(settings), base_url="http://localhost") as one:
        yield one


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "10.1.2.3"]
)
def test_addresses_and_localhost_are_hosts(client, host):
    assert client.get("/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:8000", "a@localhost",
             "localhost/x", "", "localhost:x", "[::1"],
)  # fmt: skip
def test_other_names_are_refused_without_a_cors_header(client, host):
    reply = client.get("/v1/models", headers={"Host": host, "Origin": f"http://{host}"})
    assert reply.status_code == 421
    assert reply.json()["type"] == "/problems/host-not-allowed"
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_name_that_was_allowed_is_a_host(guarded):
    assert guarded.get("/health/live", headers={"Host": "faces.example"}).status_code == 200
    assert guarded.get("/health/live", headers={"Host": "other.example"}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:9000", "file://", "http://localhost@evil"]
)
def test_pages_from_elsewhere_may_not_post(client, small, origin):
    reply = client.post("/v1/predict?detector=none", content=small, headers={"Origin": origin})
    assert (reply.status_code, reply.json()["type"]) == (403, "/problems/origin-not-allowed")
    reply = client.get("/v1/models", headers={"Origin": origin})
    for one in (
        reply,
        client.options("/v1/predict", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}),
    ):
        assert not [name for name in one.headers if name.startswith("access-control")]


def test_the_own_page_may_post(client, small):
    for origin, host in (("http://localhost", "localhost"), ("https://localhost", "localhost:443"),
                         ("http://127.0.0.1:8000", "127.0.0.1:8000")):  # fmt: skip
        reply = client.post("/v1/predict?detector=none", content=small, headers={"Origin": origin, "Host": host})
        assert reply.status_code == 200


def test_an_allowed_origin_may_post_and_read(guarded, small):
    headers = {"Origin": "https://app.example", "Authorization": f"Bearer {KEY}"}
    reply = guarded.post("/v1/predict", content=small, headers=headers)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "https://app.example")
    assert "access-control-allow-credentials" not in reply.headers
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization"}  # fmt: skip
    assert guarded.options("/v1/predict", headers=asked).status_code == 200
    asked["Origin"] = "https://evil.example"
    assert "access-control-allow-origin" not in guarded.options("/v1/predict", headers=asked).headers


def test_keys(guarded, small):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}, {"X-API-Key": KEY[:-1]},
                    {"X-API-Key": b"\xff\xfe"}):  # fmt: skip
        for path in ("/v1/predict", "/v1/video", "/v1/predict/batch", "/compat/deepface/analyze"):
            reply = guarded.post(path, content=small, headers=headers)
            assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert guarded.get("/metrics", headers=headers).status_code == 401
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"X-API-Key": KEY}):
        assert guarded.post("/v1/predict", content=small, headers=headers).status_code == 200
    for path in ("/", "/health/ready", "/version", "/openapi.json"):
        assert guarded.get(path).status_code == 200


def test_the_key_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# ours\n{KEY}\n\n  second-key-of-this-file \n")
    assert read_keys(path) == (digest(KEY), digest("second-key-of-this-file"))
    for text in ("", "# none\n", "short\n", "with a blank in it, and long\n"):
        path.write_text(text)
        with pytest.raises(MienError, match="keys"):
            read_keys(path)
    with pytest.raises(MienError, match="No such file"):
        read_keys(tmp_path / "not there")


def test_sizes():
    assert [parse_size(text) for text in ("1", "2k", "8M", "1 GB")] == [1, 2048, 8 * 2**20, 2**30]
    for text in ("", "0", "-1", "8 miles", "M"):
        with pytest.raises(MienError, match="no size"):
            parse_size(text)


def test_every_reply_has_the_security_headers(client, small):
    for reply in (
        client.get("/"),
        client.get("/nope"),
        client.post("/v1/predict?detector=none", content=small),
        client.get("/version", headers={"Host": "evil.example"}),
    ):
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert len(reply.headers["x-request-id"]) == 16
        assert "server" not in reply.headers


def test_an_unexpected_error_is_a_problem_and_its_message_is_not_logged(client, app, small, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("secret-name.jpg")

    monkeypatch.setattr(app.state.service.engine, "predict", fail)
    with caplog.at_level(logging.INFO, logger="mien.serve"):
        reply = client.post("/v1/predict?detector=none", content=small)
    assert (reply.status_code, reply.json()["type"]) == (500, "/problems/internal")
    assert reply.headers["x-request-id"] in reply.text
    text = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert "ValueError" in text
    assert "test_security.py" in text
    assert "secret-name" not in text + reply.text
    assert app.state.service.gate.taken == 0


def test_the_log_holds_nothing_that_was_sent(client, jpeg, caplog):
    secret = "secret-name"
    with caplog.at_level(logging.INFO, logger="mien.serve"):
        client.post("/v1/predict?detector=none", files={secret: (f"{secret}.jpg", jpeg)})
        client.post("/v1/predict/batch?detector=none", files=[("f", (f"{secret}.jpg", b"no picture"))])
        client.post(f"/v1/predict?model={secret}", content=jpeg)
        client.post("/v1/predict", content=f"https://{secret}.example/a.jpg", headers={"Content-Type": "text/uri-list"})
        client.get(f"/{secret}")
        client.get("/version", headers={"Host": f"{secret}.example"})
        client.post("/compat/deepface/analyze", json={"img": f"/{secret}/a.jpg"})
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    text = json.dumps(lines)
    assert len([line for line in lines if line["event"] == "request"]) == 7
    assert secret not in text
    assert "testclient" not in text  # the client's address
    assert max(len(json.dumps(line)) for line in lines) < 500  # no room for a picture


def test_problems_lead_to_what_they_mean(client):
    for kind in ("busy", "too-many-bytes"):
        assert client.get(f"/problems/{kind}").json()["type"] == f"/problems/{kind}"
    assert client.get("/problems/nope").status_code == 404


def test_metrics_say_what_was_done_in_few_series(client, jpeg, small):
    def total(name, **labels):
        inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
        wanted = f"{name}{{{inside}}} " if labels else f"{name} "
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))

    before = [total("mien_faces_total"), total("mien_refused_total", reason="unreadable-picture")]
    client.post("/v1/predict?detector=none", content=small)
    client.post("/v1/predict?detector=none", content=b"no picture")
    after = [total("mien_faces_total"), total("mien_refused_total", reason="unreadable-picture")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1]
    for stage in ("receive", "wait", "decode", "recognize"):
        assert total("mien_stage_seconds_count", stage=stage) >= 1
    for number in range(50):
        client.get(f"/nope/{number}")
    series = [line for line in client.get("/metrics").text.splitlines() if line and line[0] != "#"]
    assert len(series) <= 100


def test_version_models_and_health(client):
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    assert client.get("/version").json()["detector"] == "haar"
    models = client.get("/v1/models").json()
    assert models["default"] == "default"
    assert [one["name"] for one in models["models"]] == ["default", "fast"]
    assert all(one["intended_use"] and one["data_terms"] and one["licence"] for one in models["models"])
    assert models["limits"]["max_bytes"] == 8 * 2**20


def test_the_description_is_complete(client):
    document = client.get("/openapi.json").json()
    operation = {"/health/live", "/health/ready", "/version", "/metrics"}
    recognition = {"/v1/predict", "/v1/predict/batch", "/v1/video", "/v1/models", "/compat/deepface/analyze"}
    assert set(document["paths"]) >= operation | recognition
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    assert document["components"]["schemas"]["Frame"]["examples"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            if method == "post":
                assert set(operation["responses"]) >= {"200", "413", "429"}, path
