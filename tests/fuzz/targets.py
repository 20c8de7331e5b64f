"""What is fuzzed: an entry point that takes bytes from strangers, and valid files to start from."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import seeds
import texts

from mien import models
from mien.errors import MienError
from mien.models.card import attach, detach
from mien.sources import archive, images, video


@dataclass(frozen=True)
class Target:
    """An entry point.

    Attributes:
        seeds: valid files, made anew in each process; none where this machine has nothing that makes them.
        enter: what is given the changed bytes; it may raise MienError and nothing else.
        share: of all cases.
        moving: whether it reads videos, whose number may be given apart.
    """

    seeds: Callable[[], list[bytes]]
    enter: Callable[[bytes], None]
    share: float
    moving: bool = False


def enter_picture(data: bytes) -> None:
    """As ``mien predict photo.jpg`` decodes it."""
    images.decode(data)


def enter_exif(data: bytes) -> None:
    """An intact JPEG with these tags: it is read, whatever they are."""
    out = io.BytesIO()
    seeds.noise().save(out, "JPEG")
    plain, block = out.getvalue(), data[:60_000]
    head = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big")
    try:
        images.decode(plain[:2] + head + block + plain[2:])
    except MienError as error:
        raise AssertionError("tags are no damage") from error


def enter_archive(data: bytes) -> None:
    """As ``mien predict faces.zip`` reads it; the first bytes say which reader."""
    suffix = ".zip" if data[:1] == b"z" else ".tar"
    with seeds.kept_as(data[4:], suffix) as path:
        for _, found in archive.members(path):
            if isinstance(found, bytes):
                _refused(images.decode, found)


def enter_model(data: bytes) -> None:
    """As ``--model FILE`` loads it; a stranger would put the right checksum onto a wrong graph."""
    content = attach(data[4:], models.read_card()) if data[:1] == b"g" else data[4:]
    _refused(detach, content)
    with seeds.kept_as(content, ".onnx") as path:
        model = models.Model(path, threads=1)
        model.score(model.card.golden_crop()[None])


def enter_video(data: bytes) -> None:
    """As ``mien predict clip.mp4`` reads it."""
    with seeds.kept_as(data, ".mp4") as path:
        for number, _ in enumerate(video.read_file(path)):
            if number > 50:
                break


def enter_cut_jpeg(data: bytes) -> None:
    """What is read of a JPEG that lacks its end is a picture of its size, with a note."""
    found = images.decode(data)
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3


def enter_service(data: bytes) -> None:
    """As a stranger sends it to ``mien serve``, as a body and as a file of a form: an answer, or a typed problem."""
    for reply in (
        texts.service().post("/v1/predict", content=data),
        texts.service().post("/v1/predict/batch", files={"a": ("a", data)}),
    ):
        document = reply.json()
        assert reply.status_code < 500
        assert reply.status_code == 200 or document["type"].startswith("/problems/")


def _refused(call: Callable[[bytes], object], data: bytes) -> None:
    with suppress(MienError):
        call(data)


TARGETS = {
    "picture": Target(seeds.picture_seeds, enter_picture, 0.3),
    "cut-jpeg": Target(seeds.cut_jpeg_seeds, enter_cut_jpeg, 0.1),
    "exif": Target(seeds.exif_seeds, enter_exif, 0.08),
    **({"heic": Target(seeds.heic_seeds, enter_picture, 0.02)} if seeds.heic_seeds() else {}),
    "archive": Target(seeds.archive_seeds, enter_archive, 0.2),
    "model": Target(seeds.model_seeds, enter_model, 0.1),
    "card": Target(texts.card_seeds, texts.enter_card, 0.1),
    "recipe": Target(texts.recipe_seeds, texts.enter_recipe, 0.1),
    "service": Target(seeds.picture_seeds, enter_service, 0.15),
    "body": Target(texts.body_seeds, texts.enter_body, 0.1),
    "video": Target(seeds.video_seeds, enter_video, 0.08, moving=True),
    **(
        {"interlaced": Target(seeds.interlaced_seeds, enter_video, 0.02, moving=True)}
        if seeds.interlaced_seeds()
        else {}
    ),
}
