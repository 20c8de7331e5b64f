"""Find the faces of a picture, frame them as the model knows faces, score them: the class most users meet.

Owns the order of these steps. Refuses to do any of them itself: ``faces`` reads, finds and crops, ``models``
scores, ``results`` holds what comes out.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mien.errors import ModelError
from mien.faces.crop import Framing, crop
from mien.faces.detect import build
from mien.faces.images import Color, Picture, read
from mien.models import Model, load
from mien.results import Face, Frame


class Recognizer:
    """Reads the expressions in pictures. Load it once, use it for many pictures and from many threads.

    Args:
        model: the name of an installed model, the path of a model file, or a loaded one; None: the default.
        detector: "yunet", "haar" (Viola-Jones), "none" (the whole picture is one face), or "auto": YuNet,
            whose file is downloaded at first use, or else Viola-Jones.
        threads: processor threads that score the faces of one picture; None: all cores.

    Attributes:
        model: the loaded model; ``model.card`` says what it is.
        detector: the detector in use; ``detector.name`` says which one.
        notice: what you should know about it, as that the better detector could not be had; None: nothing.

    Raises:
        ModelError: there is no such model, it is damaged, or it was not framed for this detector.
        DetectorError: there is no such detector, or this OpenCV cannot run it.
        DownloadError: "yunet" was asked for by name and its file cannot be had.
    """

    def __init__(
        self,
        model: str | Path | Model | None = None,
        detector: str = "auto",
        threads: int | None = None,
    ) -> None:
        if model is None or isinstance(model, (str, Path)):
            model = load(model, threads=threads)
        self.model = model
        self.detector = build(detector)
        self.notice = self.detector.notice
        card = self.model.card
        if self.detector.name not in card.framing:
            raise ModelError(
                f"the model {card.name!r} does not say how to frame a face that {self.detector.name!r} finds,"
                f" only {', '.join(card.framing) or 'nothing'}"
            )
        self._framing = Framing.from_dict(card.framing[self.detector.name])

    def predict(self, picture: Picture, color: Color | None = None) -> Frame:
        """Read the expressions of all faces in one picture.

        Args:
            picture: a path, an encoded picture as bytes, a PIL image, or an array (``mien.faces.images``).
            color: "rgb" or "bgr", the channel order of a colour array; without meaning for anything else.

        Returns:
            The faces from left to right; none is an empty tuple.

        Raises:
            PictureError: the picture cannot be read, or is of the wrong shape or type.
        """
        pixels = read(picture, color=color)
        card = self.model.card
        found = self.detector.detect(pixels)
        faces: list[Face] = []
        if found:
            crops = [crop(pixels, one.box, self._framing, card.width, card.height) for one in found]
            scores = self.model.score(np.stack(crops))
            for index, one in enumerate(found):
                outputs = {
                    name: dict(zip(output.labels, scores[name][index].tolist(), strict=True))
                    for name, output in card.outputs.items()
                }
                faces.append(Face(one.box, one.confidence, outputs, one.landmarks))
        return Frame(
            source=os.fspath(picture) if isinstance(picture, (str, os.PathLike)) else None,
            width=pixels.shape[1],
            height=pixels.shape[0],
            faces=tuple(faces),
            detector=self.detector.name,
            model=f"{card.name} {card.version}",
        )
