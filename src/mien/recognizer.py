"""Find the faces of a picture, frame them as the model knows faces, score them: the class most users meet.

Owns the order of these steps, for single pictures and for whatever a source yields. Refuses to do any of them itself:
``sources`` reads, ``detection`` finds and crops, ``tracking`` follows and smooths, ``models`` scores, ``results``
holds what comes out.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import ordered
from mien.detection import quality
from mien.detection.base import LONGEST, Detection, Detector
from mien.detection.detectors import build
from mien.detection.framing import Framing, crop
from mien.detection.yunet import YuNet
from mien.errors import DetectorError, MienWarning, ModelError, PictureError, shown
from mien.models import Card, Model, load
from mien.models.prior import Prior, resolve, reweight
from mien.ordered import Job
from mien.results import Face, Frame
from mien.sources import sources
from mien.sources.images import Color, Picture, read_noted
from mien.sources.source_frame import SourceFrame, Unread
from mien.sources.sources import ReadOptions, Source
from mien.tracking.follower import Follower
from mien.tracking.options import TrackingOptions
from mien.tracking.smoothing import Smoother

# Frames whose faces are scored together: enough that the model works in batches, few enough that rows come soon and
# that large pictures, which wait with their pixels, do not fill the memory.
_TOGETHER, _TOGETHER_PIXELS = 8, 2**24

#: How thoroughly a picture can be searched for faces.
SEARCHES = ("auto", "full", "quick")


@dataclass(frozen=True)
class _Seen:
    """A picture whose faces were found but not yet scored."""

    source_frame: SourceFrame
    width: int = 0
    height: int = 0
    found: tuple[Detection, ...] = ()
    tracks: tuple[int | None, ...] = ()
    crops: tuple[NDArray[np.uint8], ...] = ()
    steady: Smoother | None = None


class Recognizer:
    """Reads the expressions in pictures. Load it once, use it for many pictures and from many threads.

    Args:
        model: the name of an installed model, the path of a model file, or a loaded one; None: the default.
        detector: "yunet", "haar" (Viola-Jones), "none" (the whole picture is one face), "mediapipe" or "mtcnn", which
            need more installed (docs/faces.md), or "auto": YuNet, whose file is downloaded at first use, or else
            Viola-Jones; or the ``detector`` of another recognizer.
        threads: processor threads that find and score the faces of one picture; None: all cores.
        align: turn faces upright by the line through their eyes before they are scored, where the detector sees eyes.
        min_size: faces smaller than this many pixels a side are left out.
        search: "full" looks at a picture in several sizes, so that faces of any size are found; "quick" looks once, at
            800 px, and misses small faces of large pictures; "auto" is full for pictures and quick for the frames of
            videos and cameras. Only YuNet tells them apart.
        provider: what computes: "cpu", or "cuda", "coreml", "directml", "openvino" where ONNX Runtime has them.
        prior: how often each expression is expected where the pictures come from: "natural", "balanced", a JSON file or
            a mapping of label to share (``mien.models.prior``); the first output's probabilities are carried there
            from the prior in the model's card; None leaves them.
        error_rate: answer ``unsure`` where the model is less sure than it must be for this share of wrong answers
            among those it gives; the model's card says for which rates it knows; None: always answer. The thresholds
            hold, with 95 % certainty, for faces like those the model was validated on; for others nothing is promised.

    Attributes:
        model: the loaded model; ``model.card`` says what it is.
        detector: the detector in use; ``detector.name`` says which one.
        notice: what you should know about it, as that the better detector could not be had; None: nothing.

    Warns:
        MienWarning: the notice, where the detector was named and not handed in.

    Raises:
        ModelError: there is no such model, it is damaged, was not framed for this detector, does not know how sure
            it must be for this error rate, or does not say which prior its probabilities have; there is no such prior.
        DetectorError: there is no such detector, or search, or what runs the detector cannot load it.
        DownloadError: "yunet" or "mediapipe" was asked for by name and its file cannot be had.
        MissingExtraError: "mediapipe" or "mtcnn" was asked for and what it needs is not installed.
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        detector: str | Detector = "auto",
        threads: int | None = None,
        *,
        align: bool = False,
        min_size: float = 0.0,
        error_rate: float | None = None,
        search: str = "auto",
        provider: str = "cpu",
        prior: Prior | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise ModelError(f"threads={threads}: one or more, or None for all cores")
        if not min_size >= 0:
            raise DetectorError(f"min_size={min_size}: pixels a side, 0 or more")
        if model is None or isinstance(model, (str, Path)):
            model = load(model, threads=threads, provider=provider)
        self.model = model
        if search not in SEARCHES:
            raise DetectorError(f"no search is called '{shown(search)}', only {', '.join(SEARCHES)}")
        self._search = search
        self._threads = threads
        self.detector = build(detector, threads=threads) if isinstance(detector, str) else detector
        self.notice = self.detector.notice
        if self.notice and isinstance(detector, str):
            warnings.warn(self.notice, MienWarning, stacklevel=2)
        card = self.model.card
        framing = Framing.of(card.framing, self.detector.name)
        if framing is None:
            raise ModelError(
                f"the model '{shown(card.name)}' does not say how to frame a face that {self.detector.name!r} finds,"
                f" only {', '.join(card.framing) or 'nothing'}"
            )
        self._framing = framing
        self._align, self._min_size = align, min_size
        self._threshold = 0.0 if error_rate is None else card.threshold(error_rate)
        self._prior = None if prior is None else _prior(card, prior)

    def predict(self, picture: Picture, color: Color | None = None) -> Frame:
        """Read the expressions of all faces in one picture.

        Args:
            picture: a path, an encoded picture as bytes, a PIL image, or an array (``mien.sources.images``).
            color: "rgb" or "bgr", the channel order of a colour array; without meaning for anything else.

        Returns:
            The faces from left to right; none is an empty tuple.

        Raises:
            PictureError: the picture cannot be read, or is of the wrong shape or type.
        """
        if isinstance(picture, (str, os.PathLike)) and sources.is_more_than_a_picture(os.fspath(picture)):
            named = shown(os.fspath(picture))
            raise PictureError(f"predict takes one picture; '{named}' is read by stream(...), frame by frame")
        is_file = isinstance(picture, (str, os.PathLike))
        pixels, note = read_noted(picture, color=color)
        seen = self._see(SourceFrame(os.fspath(picture) if is_file else None, pixels, note=note), self.detector)
        frame = self._scored([seen])[0]
        return frame if is_file else replace(frame, origin=(picture, color))

    def made(self) -> dict[str, object]:
        """What its answers depend on, as plain values: the model and its graph's sha256, the detector, the options."""
        card = self.model.card
        return {
            "model": f"{card.name} {card.version}",
            "graph_sha256": card.graph_sha256,
            "detector": self.detector.name,
            "align": self._align,
            "min_size": self._min_size,
            "threshold": self._threshold,
            "search": self._search,
            "prior": None if self._prior is None else self._prior.round(6).tolist(),
        }

    def stream(
        self, source: Source, *, reading: ReadOptions | None = None, following: TrackingOptions | None = None
    ) -> Iterator[Frame]:
        """Read any source, picture by picture, in constant memory.

        Args:
            source: a path, folder, pattern, archive, address, video or camera as text (``mien.sources.sources``), a
                picture, or any iterable of these.
            reading: which part of videos, which addresses, which channel order.
            following: how faces are followed through videos.

        Yields:
            A frame for each picture in order; for what could not be read, one with its ``error``.
        """
        for _, frame in self.read(sources.unread(source, reading), following, ahead=True, pixels=False):
            yield frame

    def read(
        self,
        source_frames: Iterable[SourceFrame | Unread],
        following: TrackingOptions | None = None,
        *,
        ahead: bool = False,
        pixels: bool = True,
    ) -> Generator[tuple[SourceFrame, Frame], None, None]:
        """As :meth:`stream`, of source frames.

        Args:
            source_frames: what to read (``mien.sources.sources``).
            following: how faces are followed through videos.
            ahead: on all cores: some pictures are taken and searched before the last ones are done. Not of live
                sources, where the newest counts.
            pixels: each source frame comes with its pixels, for whoever wants to draw on them; without them, single
                pictures take no memory once they are searched.
        """
        following = following or TrackingOptions()
        source_frames = iter(source_frames)
        first = list(islice(source_frames, 1))
        if ahead and isinstance(next(iter(first), None), Unread):
            first += islice(source_frames, 1)
            ahead = len(first) == 2  # one picture alone has all cores as it is
        source_frames = chain(first, source_frames)
        workers = (self._threads or ordered.cores()) if ahead else 1
        detector = self.detector
        if workers > 1 and isinstance(detector, YuNet):
            detector = detector.on_one_thread()
        waiting: list[_Seen] = []
        size = 0
        for seen in ordered.in_order(self._jobs(source_frames, following, detector, pixels), workers):
            if waiting and waiting[-1].steady is not seen.steady:
                yield from self._finish(waiting)
                size = 0
            waiting.append(seen)
            size += 0 if seen.source_frame.pixels is None else seen.width * seen.height
            if seen.source_frame.live or len(waiting) == _TOGETHER or size > _TOGETHER_PIXELS:
                size = 0
                yield from self._finish(waiting)
        yield from self._finish(waiting)

    def _jobs(
        self,
        source_frames: Iterable[SourceFrame | Unread],
        following: TrackingOptions,
        detector: Detector,
        pixels: bool,
    ) -> Iterator[Job[_Seen]]:
        """What is to be done with each picture."""
        clip: tuple[str | None, Follower | None, Smoother | None] | None = None
        previous = -1
        for source_frame in source_frames:
            if isinstance(source_frame, Unread):
                clip = None
                yield Job(partial(self._open, source_frame, detector, pixels))
                continue
            if source_frame.index is None:
                clip, previous = None, -1
            else:
                if clip is None or clip[0] != source_frame.source or source_frame.index <= previous:
                    longest = self._longest(moving=True)
                    follower = Follower(detector, interval=following.interval, longest=longest)
                    steady = Smoother(following.smooth) if following.smooth > 0 and following.track else None
                    clip = (source_frame.source, follower if following.track else None, steady)
                previous = source_frame.index
            _, follower, steady = clip or (None, None, None)
            yield Job(
                partial(self._see, source_frame, detector, follower, steady), follower is not None, source_frame.live
            )

    def _longest(self, *, moving: bool) -> int | None:
        """Pixels that a picture, or a frame of a video, is searched at; None: in all sizes."""
        return LONGEST if self._search == "quick" or (moving and self._search == "auto") else None

    def _open(self, unread: Unread, detector: Detector, pixels: bool) -> _Seen:
        """Read a picture and search it."""
        seen = self._see(unread.read(), detector)
        return seen if pixels else replace(seen, source_frame=replace(seen.source_frame, pixels=None))

    def _see(
        self,
        source_frame: SourceFrame,
        detector: Detector,
        follower: Follower | None = None,
        steady: Smoother | None = None,
    ) -> _Seen:
        """Find and cut out the faces of a picture."""
        pixels = source_frame.pixels
        if pixels is None:
            return _Seen(source_frame, steady=steady)
        pairs: list[tuple[Detection, int | None]]
        if follower:
            pairs = [*follower.update(pixels, source_frame.time or 0.0)]
        else:
            longest = self._longest(moving=source_frame.index is not None)
            pairs = [(one, None) for one in detector.detect(pixels, longest=longest)]
        pairs = [(one, track) for one, track in pairs if one.box.width * one.box.height >= self._min_size**2]
        card = self.model.card
        crops = tuple(
            crop(
                pixels,
                one.box,
                self._framing,
                card.width,
                card.height,
                roll=quality.roll_of(one.landmarks) if self._align or one.turned else 0.0,
            )
            for one, _ in pairs
        )
        found, tracks = tuple(one for one, _ in pairs), tuple(track for _, track in pairs)
        return _Seen(source_frame, pixels.shape[1], pixels.shape[0], found, tracks, crops, steady)

    def _finish(self, waiting: list[_Seen]) -> Iterator[tuple[SourceFrame, Frame]]:
        """Score what waits, and empty it."""
        seen = list(waiting)
        waiting.clear()
        for one, frame in zip(seen, self._scored(seen), strict=True):
            yield one.source_frame, frame if one.steady is None else _steadied(frame, one.steady)

    def _scored(self, seen: list[_Seen]) -> list[Frame]:
        """Frames of pictures whose faces are cut out, all of them scored together."""
        card = self.model.card
        crops = [one for picture in seen for one in picture.crops]
        scores = self.model.score(np.stack(crops)) if crops else {}
        answer, output = next(iter(card.outputs.items()))
        before = output.prior
        if self._prior is not None and crops:
            scores = {**scores, answer: reweight(scores[answer], np.array(before), self._prior)}
        used = before if self._prior is None else self._prior.tolist()
        numbers = count()
        frames: list[Frame] = []
        for picture in seen:
            faces: list[Face] = []
            for one, track, pixels in zip(picture.found, picture.tracks, picture.crops, strict=True):
                index = next(numbers)
                outputs = {
                    name: dict(zip(output.labels, scores[name][index].tolist(), strict=True))
                    for name, output in card.outputs.items()
                }
                measured = quality.measure(one, pixels)
                faces.append(
                    Face(one.box, one.confidence, outputs, one.landmarks, measured, track, None, self._threshold)
                )
            source_frame = picture.source_frame
            frames.append(
                Frame(
                    source=source_frame.source,
                    width=picture.width,
                    height=picture.height,
                    faces=tuple(faces),
                    detector=self.detector.name,
                    model=f"{card.name} {card.version}",
                    index=source_frame.index,
                    time=source_frame.time,
                    error=None if source_frame.error is None else str(source_frame.error),
                    prior=dict(zip(output.labels, used, strict=True)) if len(used) else None,
                    note=source_frame.note,
                )
            )
        return frames


def predict(picture: Picture, color: Color | None = None) -> Frame:
    """Read the expressions of all faces in one picture with the default model and detector.

    As ``Recognizer().predict(picture)``; the recognizer is loaded at the first call and kept.

    Args:
        picture: a path, an encoded picture as bytes, a PIL image, or an array (``mien.sources.images``).
        color: "rgb" or "bgr", the channel order of a color array; without meaning for anything else.

    Raises:
        PictureError: the picture cannot be read, or is of the wrong shape or type.
    """
    return _default().predict(picture, color)


@lru_cache(maxsize=1)
def _default() -> Recognizer:
    return Recognizer()


def _prior(card: Card, asked: Prior) -> NDArray[np.float64]:
    """The shares that are asked for, in the order of the model's first output."""
    output = next(iter(card.outputs.values()))
    if not output.prior:
        raise ModelError(
            f"the model '{shown(card.name)}' does not say under which prior its probabilities hold, so no other can"
            " be used;"
            " mien export writes that for models with the heads FER+ and FER2013"
        )
    return resolve(asked, output.labels)


def _steadied(frame: Frame, steady: Smoother) -> Frame:
    """The frame with each track's probabilities averaged over the last moments."""
    at = frame.time or 0.0
    faces = tuple(
        face if face.track is None else replace(face, smoothed=steady.update(face.track, at, face.probabilities))
        for face in frame.faces
    )
    return replace(frame, faces=faces)
