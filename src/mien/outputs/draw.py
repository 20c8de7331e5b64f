"""Results onto pictures: a box, the expression, and a small chart of all probabilities for each face.

Owns colours, sizes and where things go. Refuses to read pictures, to recognise, and to write files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.results import Box, Face, Frame

#: One colour per expression, from the palette of Okabe and Ito that colour-blind readers can tell apart.
COLOURS = MappingProxyType(
    {
        "angry": (213, 94, 0),
        "disgust": (0, 158, 115),
        "fear": (204, 121, 167),
        "happy": (240, 228, 66),
        "sad": (45, 125, 200),
        "surprise": (86, 180, 233),
        "neutral": (200, 200, 200),
        "contempt": (230, 159, 0),
    }
)
_OTHER = (255, 255, 255)
_PANEL = (20, 20, 20, 190)
_INK = (255, 255, 255)
# Letters of fewer pixels cannot be read; so that they fit, small pictures are enlarged on their longest side.
_LEAST, _SMALLEST = 11, 512

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


def annotate(picture: NDArray[np.uint8], frame: Frame, *, charts: bool = True) -> NDArray[np.uint8]:
    """Draw the faces of a frame onto its picture.

    Lines and letters grow with the picture. A chart is left out where it would cover another face or hang
    over the edge, as in a picture full of people.

    Args:
        picture: RGB uint8 (H, W, 3), the picture that the frame was made from; it is not changed.
        frame: what recognition returned for it.
        charts: draw the chart of all probabilities beside each face.

    Returns:
        RGB uint8 (H', W', 3): of the picture's size, or enlarged to 512 px on the longest side.
    """
    image = Image.fromarray(picture).convert("RGB")
    scale = max(_SMALLEST / max(image.size), 1.0)
    if scale > 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC)
    _Canvas(image).add(frame.faces, scale, charts=charts)
    return np.array(image)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Pixels of what is drawn for one face."""

    text: int
    line: int
    gap: int

    @classmethod
    def of(cls, image: Image.Image, box: Box) -> _Sizes:
        """Letters follow the picture, but on small faces they shrink as far as they can still be read."""
        longest = max(image.size)
        text = max(_LEAST, round(longest / 64), min(round(box.width / 9), round(longest / 30)))
        return cls(text=text, line=max(2, round(text / 7)), gap=max(3, round(text / 3)))


class _Canvas:
    """A picture being drawn on, and the places on it that are taken."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        self._draw = ImageDraw.Draw(image, "RGBA")
        self._taken: list[Rectangle] = []

    def add(self, faces: tuple[Face, ...], scale: float, *, charts: bool) -> None:
        boxes = [Box(f.box.x * scale, f.box.y * scale, f.box.width * scale, f.box.height * scale) for f in faces]
        self._taken += [_edges(box) for box in boxes]
        for face, box in zip(faces, boxes, strict=True):
            sizes = _Sizes.of(self._image, box)
            self._outline(face, box, sizes)
            self._label(face, box, sizes)
        # Charts come last and take what room is left, large faces first.
        for box, face in sorted(zip(boxes, faces, strict=True), key=lambda pair: -pair[0].width):
            if charts:
                text = round(_Sizes.of(self._image, box).text * 0.8)
                for size in dict.fromkeys(max(size, _LEAST) for size in (text, text * 3 // 4, text // 2)):
                    if self._chart(face, box, size):
                        break

    def _outline(self, face: Face, box: Box, sizes: _Sizes) -> None:
        edges, radius = _edges(box), max(2, round(box.width / 24))
        # A dark line around the coloured one keeps it visible on skin and sky of the same colour.
        self._draw.rounded_rectangle(_grown(edges, 1), radius + 1, outline=(0, 0, 0, 160), width=sizes.line + 2)
        self._draw.rounded_rectangle(edges, radius, outline=_colour(face.steadiest[0]), width=sizes.line)

    def _label(self, face: Face, box: Box, sizes: _Sizes) -> None:
        label, probability = face.steadiest
        number = "" if face.track is None else f"{face.track} "
        text = f"{number}{label} {probability:.0%}"
        font = _font(sizes.text)
        width, height = font.getlength(text) + 2 * sizes.gap, sizes.text + 2 * sizes.gap
        left, top, _, bottom = _edges(box)
        places = [(left, top - height), (left, bottom)]
        spot = self._free(places, width, height) or self._inside(left, top - height, width, height)
        self._taken.append(spot)
        colour = _colour(label)
        self._draw.rounded_rectangle(spot, sizes.gap, fill=colour)
        middle = (spot[0] + sizes.gap, (spot[1] + spot[3]) / 2)
        self._draw.text(middle, text, font=font, fill=_ink_on(colour), anchor="lm")

    def _chart(self, face: Face, box: Box, size: int) -> bool:
        """Draw the chart in letters of this size beside the face; False: there is no room for it."""
        font, gap, row = _font(size), round(size * 0.4), round(size * 1.35)
        scores = list((face.smoothed or face.probabilities).items())
        names = max(font.getlength(label) for label, _ in scores)
        share = font.getlength("100%")
        bar = size * 5
        width = names + bar + share + 4 * gap
        height = row * len(scores) + 2 * gap
        left, top, right, bottom = _edges(box)
        places = [
            (right + gap, top),
            (left - gap - width, top),
            (left, bottom + gap),
            (left, top - gap - height),
            (right + gap, bottom - height),
            (left - gap - width, bottom - height),
            (right - width, bottom + gap),
        ]
        spot = self._free(places, width, height)
        if spot is None:
            return False
        self._taken.append(spot)
        self._draw.rounded_rectangle(spot, gap, fill=_PANEL)
        start = spot[0] + 2 * gap + names
        for index, (label, value) in enumerate(scores):
            middle = spot[1] + gap + row * (index + 0.5)
            upper, lower = middle - row * 0.3, middle + row * 0.3
            self._draw.text((start - gap, middle), label, font=font, fill=_INK, anchor="rm")
            self._draw.rectangle((start, upper, start + bar, lower), fill=(255, 255, 255, 40))
            self._draw.rectangle((start, upper, start + max(bar * value, 1), lower), fill=_colour(label))
            end = (spot[2] - gap, middle)
            self._draw.text(end, f"{value:.0%}", font=font, fill=_INK, anchor="rm")
        return True

    def _free(self, places: list[tuple[float, float]], width: float, height: float) -> Rectangle | None:
        """The first place that lies in the picture and touches nothing."""
        for left, top in places:
            spot = (left, top, left + width, top + height)
            within = left >= 0 and top >= 0 and spot[2] <= self._image.width and spot[3] <= self._image.height
            if within and not any(_overlap(spot, other) for other in self._taken):
                return spot
        return None

    def _inside(self, left: float, top: float, width: float, height: float) -> Rectangle:
        """The place moved into the picture, whatever it covers."""
        left = max(min(left, self._image.width - width), 0)
        top = max(min(top, self._image.height - height), 0)
        return (left, top, left + width, top + height)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _colour(label: str) -> tuple[int, int, int]:
    return COLOURS.get(label, _OTHER)


def _ink_on(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black on light colours, white on dark ones."""
    red, green, blue = colour
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else _INK


def _edges(box: Box) -> Rectangle:
    return (box.x, box.y, box.x + box.width, box.y + box.height)


def _grown(edges: Rectangle, by: float) -> Rectangle:
    left, top, right, bottom = edges
    return (left - by, top - by, right + by, bottom + by)


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
