"""Videos and streams: frame by frame, faces followed, within limits."""

import asyncio
import json
import time

import anyio
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mien import Recognizer
from mien.serve import moving, schema
from mien.serve.app import create_app
from mien.serve.settings import Settings
from mien.sources import video
from mien.tracking.options import TrackingOptions
from support.numbered_frames import write_video
from support.service import Thread

MP4 = {"Content-Type": "video/mp4"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", 20).read_bytes()


def lines(reply):
    assert reply.headers["content-type"].startswith("application/jsonl")
    return [json.loads(line) for line in reply.text.splitlines()]


def test_a_video_is_read_as_the_recognizer_reads_it(client, clip, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    recognizer = Recognizer(detector="none")
    source_frames = video.read_file(path, every=4)
    expected = [
        frame.to_dict() | {"source": None} for _, frame in recognizer.read(source_frames, TrackingOptions(smooth=0.2))
    ]
    found = lines(client.post("/v1/video?detector=none&every=4&smooth=0.2", content=clip, headers=MP4))
    assert found == expected
    assert [frame["frame"] for frame in found] == [0, 4, 8, 12, 16]
    assert {frame["faces"][0]["track"] for frame in found} == {1}
    for frame in found:
        schema.Frame.model_validate(frame)


def test_what_is_no_video_is_a_problem(client, small, clip, app):
    for content, headers, kind, status in (
        (b"no video", MP4, "unreadable-source", 422),
        (b"", MP4, "unreadable-source", 422),
        (b"#EXTM3U\nhttp://127.0.0.1:1/a.ts\n", MP4, "unreadable-source", 422),
        (clip[:500], MP4, "unreadable-source", 422),
        (clip, {"Content-Type": "text/plain"}, "unsupported-media-type", 415),
        (clip, MP4 | {"Accept": "text/csv"}, "not-acceptable", 406),
    ):
        reply = client.post("/v1/video", content=content, headers=headers)
        assert (reply.status_code, reply.json()["type"]) == (status, f"/problems/{kind}"), reply.text
        assert "/tmp" not in reply.text
    assert client.post("/v1/video?every=0", content=clip).status_code == 422
    assert app.state.service.gate.taken == 0


def test_a_video_is_read_up_to_its_limits(clip):
    for settings, kind, read in (
        (Settings(detector="none", max_video_seconds=0.95), "too-long", 10),
        (Settings(detector="none", max_pixels=160 * 128 - 1), "too-many-pixels", 0),
        (Settings(detector="none", max_video_bytes=len(clip) - 1), "too-many-bytes", 0),
    ):
        with TestClient(create_app(settings), base_url="http://localhost") as client:
            reply = client.post("/v1/video", content=clip, headers=MP4)
            if read:
                *frames, last = lines(reply)
                assert (reply.status_code, len(frames)) == (200, read)
            else:
                last = reply.json()
                assert reply.status_code == 413
            assert (last["type"], last["status"]) == (f"/problems/{kind}", 413)


def test_the_frames_of_a_video_come_as_they_are_read_and_others_have_their_turn(tmp_path, small):
    clip = write_video(tmp_path / "long.mp4", 300, size=(640, 480)).read_bytes()
    with Thread(detector="haar") as running, running.client() as client, running.client() as other:
        with client.stream("POST", "/v1/video", content=clip, headers=MP4) as reply:
            found = reply.iter_lines()
            assert json.loads(next(found))["frame"] == 0
            assert running.service.gate.taken == 1
            assert other.post("/v1/predict?detector=none", content=small).status_code == 200
            assert running.service.gate.taken == 1  # the video still runs
        running.until(lambda: running.service.gate.taken == 0)  # left in its midst
        assert other.post("/v1/predict?detector=none", content=small).status_code == 200


def test_a_stream_answers_pictures_with_tracks_of_its_own(client, jpeg):
    with (
        client.websocket_connect("ws://localhost/v1/stream?smooth=0.3") as one,
        client.websocket_connect("ws://localhost/v1/stream") as two,
    ):
        for socket in (one, two):
            for number in range(3):
                socket.send_bytes(jpeg)
                frame = socket.receive_json()
                schema.Frame.model_validate(frame)
                assert (frame["frame"], frame["source"], frame["error"]) == (number, None, None)
                assert [face["track"] for face in frame["faces"]] == [1]
                assert frame["faces"][0]["smoothed_expression"] == "happy"
        one.send_bytes(b"no picture")
        frame = one.receive_json()
        assert frame["error"].startswith("not a picture")
        assert frame["frame"] == 3
        one.send_bytes(jpeg)
        assert [face["track"] for face in one.receive_json()["faces"]] == [1]


def test_of_a_stream_the_newest_frame_wins(client, app, small, monkeypatch):
    step = moving._Stream._step

    def slow(self, newest):
        time.sleep(0.3)
        return step(self, newest)

    monkeypatch.setattr(moving._Stream, "_step", slow)
    with client.websocket_connect("ws://localhost/v1/stream?detector=none") as socket:
        socket.send_bytes(small)
        time.sleep(0.1)
        for _ in range(5):
            socket.send_bytes(small)
        assert [socket.receive_json()["frame"] for _ in range(2)] == [0, 5]


def test_streams_are_bounded(small):
    settings = Settings(detector="none", streams=1)
    with TestClient(app := create_app(settings), base_url="http://localhost") as client:
        with client.websocket_connect("ws://localhost/v1/stream") as socket:
            socket.send_bytes(small)
            socket.receive_json()
            with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://localhost/v1/stream"):
                pass
            socket.send_text("hello")
            with pytest.raises(WebSocketDisconnect) as caught:
                socket.receive_json()
            assert caught.value.code == 1003
        assert app.state.service.streams == 0
        with client.websocket_connect("ws://localhost/v1/stream") as socket:
            socket.send_bytes(small)
            assert socket.receive_json()["width"] == 60


def test_a_silent_stream_is_closed(client, monkeypatch):
    monkeypatch.setattr(moving, "IDLE_SECONDS", 0.1)
    with client.websocket_connect("ws://localhost/v1/stream") as socket, pytest.raises(WebSocketDisconnect) as caught:
        socket.receive_json()
    assert caught.value.code == 1001


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)  # fmt: skip
def test_a_stream_is_not_for_pages_from_elsewhere(client, headers):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://localhost/v1/stream", headers=headers):
        pass
    with client.websocket_connect(
        "ws://localhost/v1/stream", headers={"Origin": "http://localhost", "Host": "localhost"}
    ):
        pass


def test_on_a_real_connection_a_refusal_is_a_problem_and_a_key_may_be_a_subprotocol(small):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    from mien.serve.settings import digest

    key = "correct-horse-battery-staple"
    with Thread(keys=(digest(key),), max_bytes=20_000) as running:
        address = running.url.replace("http", "ws") + "/v1/stream"
        for options in ({}, {"subprotocols": ["mien", "key.wrong"]}, {"origin": "https://evil.example"}):
            with pytest.raises(InvalidStatus) as caught:
                connect(address, **options)
            assert caught.value.response.status_code in (401, 403)
            assert json.loads(caught.value.response.body)["type"].startswith("/problems/")
        with connect(address, subprotocols=["mien", f"key.{key}"]) as socket:
            assert socket.subprotocol == "mien"
            socket.send(small)
            assert json.loads(socket.recv(20))["width"] == 60
            socket.send(bytes(20_001))
            with pytest.raises(Exception, match="1009"):
                socket.recv(20)
        running.until(lambda: running.service.streams == 0)


def test_a_stream_asked_for_wrongly_is_refused(client):
    for query in ("model=nope", "smooth=-1", "every=2"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"ws://localhost/v1/stream?{query}"):
            pass


def test_who_leaves_a_stream_is_no_error(jpeg, caplog):
    from websockets.sync.client import connect

    with caplog.at_level("INFO", logger="mien.serve"), Thread() as running:
        for _ in range(10):
            with connect(running.url.replace("http", "ws") + "/v1/stream") as socket:
                for _ in range(3):
                    socket.send(jpeg)
        running.until(lambda: running.service.streams == 0)
    assert "failed" not in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("ticks", range(6))
def test_a_connection_that_is_cancelled_while_it_leaves_ends_by_that_cancellation(ticks):
    """A scope of anyio ends what it cancelled itself; by another cancellation the test client, too, would fail."""

    async def connection():
        with anyio.CancelScope() as scope:

            def cancel(after):
                if after:
                    asyncio.get_running_loop().call_soon(cancel, after - 1)
                else:
                    scope.cancel()

            async def receive():
                cancel(ticks)

            await moving.until_one_ends(receive(), asyncio.sleep(60))
        return True

    assert asyncio.run(connection())


def test_of_what_runs_side_by_side_the_fault_is_raised_and_the_rest_ends():
    ended = []

    async def fail():
        raise ValueError("broken")

    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(moving.until_one_ends(wait(), fail()))
    assert ended == [True]
