"""What is fuzzed: an entry point that takes bytes from strangers, and valid files to start from."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from mien import models
from mien.errors import MienError
from mien.models.card import attach, detach
from mien.sources import archive, images, video


@dataclass(frozen=True)
class Target:
    """An entry point.

    Attributes:
        seeds: valid files, made anew in each process.
        enter: what is given the changed bytes; it may raise MienError and nothing else.
        share: of all cases.
    """

    seeds: Callable[[], list[bytes]]
    enter: Callable[[bytes], None]
    share: float


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8))


def picture_seeds() -> list[bytes]:
    """A small picture in each format, some with what makes decoders work harder."""
    made = []
    wide = Image.fromarray(np.random.default_rng(1).integers(0, 65535, (9, 7), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    for image, form, options in (
        (_noise(), "JPEG", {"exif": exif}),
        (_noise(), "JPEG", {"progressive": True, "quality": 30}),
        (_noise(), "PNG", {}),
        (_noise().convert("RGBA"), "PNG", {}),
        (_noise().convert("P"), "GIF", {"save_all": True, "append_images": [_noise()]}),
        (_noise(), "WEBP", {"lossless": True}),
        (_noise(), "WEBP", {"quality": 50, "exif": exif}),
        (_noise(), "BMP", {}),
        (_noise(), "TIFF", {"compression": "tiff_lzw"}),
        (wide, "TIFF", {}),
        (_noise(), "PPM", {}),
        (_noise(), "JPEG2000", {}),
        (_noise(), "AVIF", {"exif": exif}),
    ):
        out = io.BytesIO()
        image.save(out, form, **options)
        made.append(out.getvalue())
    return made


def enter_picture(data: bytes) -> None:
    """As ``mien predict photo.jpg`` decodes it."""
    images.decode(data)


def heic_seeds() -> list[bytes]:
    """No library of the tests writes HEIC; where the case is not beside the repository, it is not fuzzed."""
    case = Path(__file__).resolve().parents[3] / "shared" / "cases" / "photo.heic"
    return [case.read_bytes()] if case.exists() else []


def exif_seeds() -> list[bytes]:
    """Tags of a photo."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    return [exif.tobytes()]


def enter_exif(data: bytes) -> None:
    """An intact JPEG with these tags: it is read, whatever they are."""
    out = io.BytesIO()
    _noise().save(out, "JPEG")
    plain, block = out.getvalue(), data[:60_000]
    head = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big")
    try:
        images.decode(plain[:2] + head + block + plain[2:])
    except MienError as error:
        raise AssertionError("tags are no damage") from error


def archive_seeds() -> list[bytes]:
    """Archives of each kind with two pictures and a text."""
    files = {"a.png": picture_seeds()[2], "deep/b.jpg": picture_seeds()[0], "readme.txt": b"text"}
    made = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", compression) as container:
            for name, data in files.items():
                container.writestr(name, data)
        made.append(b"zip:" + out.getvalue())
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as container:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                container.addfile(info, io.BytesIO(data))
        made.append(b"tar:" + out.getvalue())
    return made


def enter_archive(data: bytes) -> None:
    """As ``mien predict faces.zip`` reads it; the first bytes say which reader."""
    suffix = ".zip" if data[:1] == b"z" else ".tar"
    with _file(data[4:], suffix) as path:
        for _, found in archive.members(path):
            if isinstance(found, bytes):
                _refused(images.decode, found)


def model_seeds() -> list[bytes]:
    """A tiny graph with the shipped card around it."""
    faces = helper.make_tensor_value_info("faces", TensorProto.UINT8, ["n", "h", "w", 3])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", len(output.labels)])
        for name, output in models.read_card().outputs.items()
    ]
    nodes = [
        helper.make_node("Cast", ["faces"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
    ]
    weights = [helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])]
    for number, output in enumerate(outputs):
        columns = output.type.tensor_type.shape.dim[1].dim_value
        values = np.random.default_rng(number).normal(size=(3, columns)).astype(np.float32)
        weights.append(helper.make_tensor(f"w{number}", TensorProto.FLOAT, values.shape, values.ravel()))
        nodes.append(helper.make_node("MatMul", ["mean", f"w{number}"], [f"l{number}"]))
        nodes.append(helper.make_node("Softmax", [f"l{number}"], [output.name]))
    graph = helper.make_graph(nodes, "tiny", [faces], outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    graph_bytes = made.SerializeToString()
    return [b"file" + attach(graph_bytes, models.read_card()), b"grap" + graph_bytes]


def enter_model(data: bytes) -> None:
    """As ``--model FILE`` loads it; a stranger would put the right checksum onto a wrong graph."""
    content = attach(data[4:], models.read_card()) if data[:1] == b"g" else data[4:]
    _refused(detach, content)
    with _file(content, ".onnx") as path:
        model = models.Model(path, threads=1)
        model.score(model.card.golden_crop()[None])


def video_seeds() -> list[bytes]:
    """A few frames in each container that OpenCV writes."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for name, code in (("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v"), ("a.ts", "mpg2")):
            path = Path(folder, name)
            with video.told_ffmpeg(""):
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (48, 32))
            for number in range(6):
                writer.write(np.full((32, 48, 3), 40 * number, np.uint8))
            writer.release()
            made.append(path.read_bytes())
    return made


def enter_video(data: bytes) -> None:
    """As ``mien predict clip.mp4`` reads it."""
    with _file(data, ".mp4") as path:
        for number, _ in enumerate(video.read_file(path)):
            if number > 50:
                break


@lru_cache(maxsize=1)
def _service() -> Any:
    """The application, started."""
    from starlette.testclient import TestClient

    from mien.serve.app import create_app
    from mien.serve.settings import Settings

    client = TestClient(create_app(Settings(detector="none", max_pixels=10**6)), base_url="http://localhost")
    client.__enter__()  # for as long as this process lives
    return client


def enter_service(data: bytes) -> None:
    """As a stranger sends it to ``mien serve``, as a body and as a file of a form: an answer, or a typed problem."""
    for reply in (
        _service().post("/v1/predict", content=data),
        _service().post("/v1/predict/batch", files={"a": ("a", data)}),
    ):
        document = reply.json()
        assert reply.status_code < 500
        assert reply.status_code == 200 or document["type"].startswith("/problems/")


TARGETS = {
    "picture": Target(picture_seeds, enter_picture, 0.4),
    "exif": Target(exif_seeds, enter_exif, 0.08),
    **({"heic": Target(heic_seeds, enter_picture, 0.02)} if heic_seeds() else {}),
    "archive": Target(archive_seeds, enter_archive, 0.2),
    "model": Target(model_seeds, enter_model, 0.2),
    "video": Target(video_seeds, enter_video, 0.1),
    "service": Target(picture_seeds, enter_service, 0.25),
}


class _file:  # noqa: N801  used like a function
    """A file with this content, removed afterwards."""

    def __init__(self, data: bytes, suffix: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name, f"case{suffix}")
        self._path.write_bytes(data)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _refused(call: Callable[[bytes], object], data: bytes) -> None:
    with suppress(MienError):
        call(data)
