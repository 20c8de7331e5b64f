"""Valid files to start from, made anew in each process."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from mien import models
from mien.models.card import attach
from mien.sources import video


class kept_as:  # noqa: N801  used like a function
    """A file with this content, removed afterwards."""

    def __init__(self, data: bytes, suffix: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name, f"case{suffix}")
        self._path.write_bytes(data)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8))


def picture_seeds() -> list[bytes]:
    """A small picture in each format, some with what makes decoders work harder."""
    made = []
    wide = Image.fromarray(np.random.default_rng(1).integers(0, 65535, (9, 7), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    for image, form, options in (
        (noise(), "JPEG", {"exif": exif}),
        (noise(), "JPEG", {"progressive": True, "quality": 30}),
        (noise(), "PNG", {}),
        (noise().convert("RGBA"), "PNG", {}),
        (noise().convert("P"), "GIF", {"save_all": True, "append_images": [noise()]}),
        (noise(), "WEBP", {"lossless": True}),
        (noise(), "WEBP", {"quality": 50, "exif": exif}),
        (noise(), "BMP", {}),
        (noise(), "TIFF", {"compression": "tiff_lzw"}),
        (wide, "TIFF", {}),
        (noise(), "PPM", {}),
        (noise(), "JPEG2000", {}),
        (noise(), "AVIF", {"exif": exif}),
    ):
        out = io.BytesIO()
        image.save(out, form, **options)
        made.append(out.getvalue())
    return made


def cut_jpeg_seeds() -> list[bytes]:
    """JPEGs as cameras write them, with what a reader of one that lacks its end must get right."""
    made = []
    exif = Image.Exif()
    exif[0x0112] = 8
    for mode, options in (
        ("RGB", {"exif": exif}),
        ("L", {"quality": 95}),
        ("CMYK", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"restart_marker_blocks": 2}),
        ("RGB", {"subsampling": "4:4:4", "icc_profile": b"profile" * 50}),
    ):
        out = io.BytesIO()
        noise().resize((96, 80)).convert(mode).save(out, "JPEG", **options)
        made.append(out.getvalue())
    return made


def heic_seeds() -> list[bytes]:
    """No library of the tests writes HEIC; where the case is not beside the repository, it is not fuzzed."""
    case = Path(__file__).resolve().parents[3] / "shared" / "cases" / "photo.heic"
    return [case.read_bytes()] if case.exists() else []


def exif_seeds() -> list[bytes]:
    """Tags of a photo."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    return [exif.tobytes()]


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


@lru_cache(maxsize=1)
def small_clips() -> list[bytes]:
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


_MOVING = ("-f", "lavfi", "-i", "testsrc=size=96x64:rate=25:duration=0.24")
#: File name to what ffmpeg is told: the codecs and containers of phones, browsers and cameras.
_CLIPS = {
    "a.mp4": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart"),
    "b.mp4": ("-c:v", "libx264", "-pix_fmt", "yuv422p10le", "-movflags", "frag_keyframe+empty_moov"),
    "c.mov": ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
    "d.webm": ("-c:v", "libvpx", "-b:v", "200k"),
    "e.webm": ("-c:v", "libvpx-vp9", "-b:v", "200k"),
    "f.mkv": ("-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"),
    "g.flv": ("-c:v", "flv1"),
    "h.wmv": ("-c:v", "wmv2"),
    "i.ogv": ("-c:v", "libtheora"),
    "j.3gp": ("-c:v", "h263", "-s", "128x96"),
}
_INTERLACED = {
    "a.mpg": ("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "1"),
    "b.ts": ("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top", "0"),
    "c.mts": ("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264opts", "tff=1", "-f", "mpegts"),
    "d.mp4": ("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264opts", "bff=1"),
}


def video_seeds() -> list[bytes]:
    """Those, and with an ffmpeg program some of each codec and container that people have."""
    return [*small_clips(), *_made(_CLIPS)]


def interlaced_seeds() -> list[bytes]:
    """Interlaced clips of both field orders; none without an ffmpeg program, which reads them, too."""
    return _made(_INTERLACED)


def _made(clips: dict[str, tuple[str, ...]]) -> list[bytes]:
    ffmpeg = shutil.which("ffmpeg")
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for name, options in clips.items() if ffmpeg else ():
            path = Path(folder, name)
            command = [str(ffmpeg), "-v", "quiet", *_MOVING, "-pix_fmt", "yuv420p", *options, str(path)]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:  # not each has each codec
                made.append(path.read_bytes())
    return made
