"""At which sizes a picture is shown to a network that sees faces of some sizes only.

Owns the sizes, the tiles of large pictures, the second look at what is doubtful, and the suppression of doubles. Knows
of the network one function, which looks at a picture as it is (:meth:`mien.detection.yunet.YuNet.look`). The numbers
here were found with ``benchmarks/search.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection.base import SHORTEST, resized

Pixels = NDArray[np.uint8]
#: float32 (N, 15): box, five points and score, as :meth:`mien.detection.yunet.YuNet.look` returns them.
Rows = NDArray[np.float32]
#: What looks at a picture as it is; its second argument is the least score of what it returns.
Look = Callable[[Pixels, float], Rows]

# Overlap above which two boxes are one face.
_SAME = 0.3
# Pixels that a picture of more is scaled to at first, and the least scale all the same: of a head of 48 px the network
# still sees enough at that, and halving is the quickest way to scale.
_PIXELS, _LEAST_SCALE = 640_000, 0.5
# Each further size is so many times smaller, down to one whose longest side has at most so many pixels: of a face that
# fills it the network is sure, or sure at a second look.
_STEP, _SMALLEST = 4, 640
# A picture in which nothing is seen is enlarged to the pixels above, at least and at most so many times.
_ENLARGE_LEAST, _ENLARGE_MOST = 1.5, 4.0
# A quick search looks once more, at so many pixels on the longest side, where it saw nothing in more than these.
_QUICK_AGAIN, _QUICK_ENOUGH = 240, 480
# Most pixels a side of a tile, and least of what two tiles share.
_TILE, _SHARED = 1024, 160
# Least score of what is looked at again, and of what is called likely; how many are looked at of both kinds.
_DOUBTFUL, _LIKELY = 0.1, 0.3
_MOST_DOUBTFUL, _MOST_LIKELY = 8, 256
# Of an upright face the network is surer than of one that lies on its side or upside down, whose points it places as if
# that were upright. Faces below the first score are looked at turned, too, the largest first, until so many in a row
# are upright; one that is seen so much surer turned is turned (benchmarks/turned.py).
_SURE_UPRIGHT, _SURER, _MOST_UPRIGHT = 0.88, 0.03, 4
# A picture in which nothing is found is turned as a whole; what is seen then counts where the network is so sure of one
# of the faces: of five upright faces in six it is, of what is none hardly ever (benchmarks/turned.py).
_SURE_TURNED = 0.9
# The second look: pixels a side of the face, and how many times wider the part of the picture around it is; together
# they fill 160 px, a multiple of what the network works in.
_FACE, _AROUND = 95, 5 / 3


def quick(look: Look, picture: Pixels, sure: float, longest: int) -> Rows:
    """One look at a picture scaled to ``longest`` pixels, and where nothing is seen a second one at a small size.

    Args:
        look: the network.
        picture: RGB uint8 (H, W, 3).
        sure: least score of a face.
        longest: pixels of the longest side of a larger picture.
    """
    most = max(picture.shape[:2])
    scale = min(max(most, SHORTEST), longest) / most
    found = _seen(look, resized(picture, scale)[0], sure, picture)
    if len(found) or scale * most <= _QUICK_ENOUGH:
        return found
    return _seen(look, resized(picture, _QUICK_AGAIN / most)[0], sure, picture)


def full(look: Look, picture: Pixels, sure: float) -> Rows:
    """Faces of every size, in every quarter turn that shows them.

    The picture is looked at in several sizes, large ones in tiles. What the network takes for a face, but is not sure
    of, is looked at again by itself, enlarged or reduced to the size at which the network sees best. A face that lies
    on its side or upside down has its points as they are once it is upright: the line through its eyes shows the turn.
    A picture in which nothing is found is looked at turned, as one of a camera that did not note how it was held.

    Args:
        look: the network.
        picture: RGB uint8 (H, W, 3).
        sure: least score of a face.
    """
    height, width = picture.shape[:2]
    scale = _first_scale(height, width)
    found = _searched(look, picture, sure, scale)
    if not len(found):
        larger = min(math.sqrt(_PIXELS / (height * width)), _ENLARGE_MOST)
        if larger >= _ENLARGE_LEAST * scale:
            found = _searched(look, picture, sure, larger)
    return _turned(look, picture, found) if len(found) else _in_a_turned_picture(look, picture, sure)


def suppressed(rows: Rows) -> Rows:
    """The surest first, less those that overlap a surer one: as OpenCV does it, on boxes cut to whole pixels."""
    rows = rows[np.argsort(-rows[:, 14], kind="stable")]
    starts, sizes = np.trunc(rows[:, :2]), np.trunc(rows[:, 2:4])
    ends, areas = starts + sizes, sizes[:, 0] * sizes[:, 1]
    kept: list[int] = []
    left = np.arange(len(rows))
    while len(left):
        one, left = int(left[0]), left[1:]
        kept.append(one)
        shared = (np.minimum(ends[one], ends[left]) - np.maximum(starts[one], starts[left])).clip(0).prod(axis=1)
        both = areas[one] + areas[left]  # boxes without area are one to OpenCV, wherever they are
        left = left[(shared <= _SAME * (both - shared)) & (both > 0)]
    return rows[kept]


def _searched(look: Look, picture: Pixels, sure: float, scale: float) -> Rows:
    """What is seen at this scale and the smaller ones, and at a second look."""
    # Little is lost without averaging where less than half of the pixels of a side are left out, and it is quicker.
    shown, _, _ = resized(picture, scale, cv2.INTER_LINEAR if scale > 0.5 else None)
    seen = [_seen(look, shown, _DOUBTFUL, picture)]
    while max(shown.shape) > _SMALLEST:
        shown, _, _ = resized(shown, 1 / _STEP)
        seen.append(_seen(look, shown, _DOUBTFUL, picture))
    rows = suppressed(np.concatenate(seen))
    found, rest = rows[rows[:, 14] >= sure], rows[rows[:, 14] < sure]
    rest = rest[~_middle_within(rest, found)]
    likely = rest[:, 14] >= _LIKELY
    again = [*rest[likely][:_MOST_LIKELY], *rest[~likely][:_MOST_DOUBTFUL]]
    return suppressed(np.concatenate([found, *(_second_look(look, picture, one, sure) for one in again)]))


def _middle_within(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Which boxes have their middle in one of the others."""
    away = (rows[:, None, :2] + rows[:, None, 2:4] / 2) - others[None, :, :2]
    within = (away >= 0) & (away <= others[None, :, 2:4])
    return np.asarray((within[..., 0] & within[..., 1]).sum(axis=1) > 0)


def _first_scale(height: int, width: int) -> float:
    """How much larger a picture is shown at first."""
    longest = max(height, width)
    if longest < SHORTEST:
        return SHORTEST / longest
    return min(max(math.sqrt(_PIXELS / (height * width)), _LEAST_SCALE), 1.0)


def _seen(look: Look, shown: Pixels, least: float, picture: Pixels) -> Rows:
    """What is seen in a scaled picture, in the pixels of the picture itself."""
    rows = look(shown, least) if shown.size <= 3 * _TILE**2 else _tiled(look, shown, least)
    return _moved(rows, 0, 0, shown.shape[1] / picture.shape[1], shown.shape[0] / picture.shape[0])


def _tiled(look: Look, picture: Pixels, least: float) -> Rows:
    """As one look at the picture. A face near the edge of a tile is whole in the next, and counts there."""
    seen: list[Rows] = []
    for top, bottom, above, below in _spans(picture.shape[0]):
        for left, right, before, behind in _spans(picture.shape[1]):
            rows = _moved(look(picture[top:bottom, left:right], least), left, top)
            x, y = rows[:, 0] + rows[:, 2] / 2, rows[:, 1] + rows[:, 3] / 2
            seen.append(rows[(x >= before) & (x < behind) & (y >= above) & (y < below)])
    return np.concatenate(seen)


def _spans(size: int) -> Iterator[tuple[int, int, float, float]]:
    """Start and end of each tile along a side, and between what the middles of its faces lie."""
    count = math.ceil(max(size - _TILE, 0) / (_TILE - _SHARED)) + 1
    tile = math.ceil((size + (count - 1) * _SHARED) / count)
    starts = [min(index * (tile - _SHARED), size - tile) for index in range(count)]
    bounds = [-math.inf, *((start + last + tile) / 2 for last, start in pairwise(starts)), math.inf]
    for index, start in enumerate(starts):
        yield start, start + tile, bounds[index], bounds[index + 1]


def _turned(look: Look, picture: Pixels, rows: Rows) -> Rows:
    """The same faces, those that lie on their side or upside down as they are seen once they are turned upright."""
    doubtful = [index for index in np.argsort(-rows[:, 2] * rows[:, 3]) if rows[index, 14] < _SURE_UPRIGHT]
    upright = 0
    for index in doubtful:
        least = float(rows[index, 14]) + _SURER
        seen = [_second_look(look, picture, rows[index], least, quarters) for quarters in (1, 2, 3)]
        best = max(seen, key=lambda found: found[0, 14] if len(found) else 0.0)
        as_it_is = _second_look(look, picture, rows[index], _DOUBTFUL) if len(best) else best
        if len(best) and not (len(as_it_is) and best[0, 14] <= as_it_is[0, 14] + _SURER):
            rows[index], upright = best[0], 0
        else:
            upright += 1
        if upright == _MOST_UPRIGHT:
            break
    return rows


def _in_a_turned_picture(look: Look, picture: Pixels, sure: float) -> Rows:
    """The faces of a picture, at no more than its first scale, in the quarter turn that shows the surest of them."""
    height, width = picture.shape[:2]
    scale = min(_first_scale(height, width), max(math.sqrt(_PIXELS / (height * width)), SHORTEST / max(height, width)))
    shown, scale_x, scale_y = resized(picture, scale)
    best = np.empty((0, 15), np.float32)
    for quarters in (1, 2, 3):
        found = _searched(look, np.ascontiguousarray(np.rot90(shown, quarters)), sure, 1.0)
        if len(found) and found[0, 14] >= max(_SURE_TURNED, best[0, 14] if len(best) else 0.0):
            best = _turned_back(found, quarters, *shown.shape[:2])
    return _moved(best, 0, 0, scale_x, scale_y)


def _turned_back(rows: Rows, quarters: int, height: int, width: int) -> Rows:
    """Rows of a picture that ``np.rot90`` turned, in the pixels of that picture before, (height, width)."""
    rows = rows.copy()
    for turn in reversed(range(quarters)):  # what was at (x, y) before a turn is at (y, side - x) after it
        side = height if turn % 2 else width
        boxes, points = rows[:, :4].copy(), rows[:, 4:14].copy()
        rows[:, 0], rows[:, 1] = side - boxes[:, 1] - boxes[:, 3], boxes[:, 0]
        rows[:, 2], rows[:, 3] = boxes[:, 3], boxes[:, 2]
        rows[:, 4:14:2], rows[:, 5:14:2] = side - points[:, 1::2], points[:, ::2]
    return rows


def _second_look(look: Look, picture: Pixels, row: Rows, sure: float, quarters: int = 0) -> Rows:
    """What is seen of one face where the picture around it is shown by itself, turned; one row or none.

    Args:
        look: the network.
        picture: RGB uint8 (H, W, 3).
        row: the face.
        sure: least score of what is seen.
        quarters: quarter turns, as ``np.rot90`` makes them; points are in the order that they have once turned.
    """
    x, y, width, height = row[:4].tolist()
    side = max(width, height)
    across = _around(x + width / 2, side, picture.shape[1])
    down = _around(y + height / 2, side, picture.shape[0])
    part = picture[down, across]
    if not part.size:
        return np.empty((0, 15), np.float32)
    scaled, scale_x, scale_y = resized(part, _FACE / side)
    rows = look(np.ascontiguousarray(np.rot90(scaled, quarters)), sure)
    rows = _turned_back(rows, quarters, *scaled.shape[:2])
    rows = _moved(_moved(rows, 0, 0, scale_x, scale_y), across.start, down.start)
    away = np.abs(rows[:, :2] + rows[:, 2:4] / 2 - (row[:2] + row[2:4] / 2))
    return rows[(away < side / 4).all(axis=1)][:1]


def _around(middle: float, side: float, most: int) -> slice:
    """The part of a picture's width or height that is shown for a face."""
    low, high = (min(max(round(middle + sign * _AROUND / 2 * side), 0), most) for sign in (-1, 1))
    return slice(low, high)


def _moved(rows: Rows, left: int, top: int, scale_x: float = 1.0, scale_y: float = 1.0) -> Rows:
    """Rows of a scaled part in the pixels of the whole picture."""
    moved = rows.copy()
    moved[:, :14] /= np.tile(np.array([scale_x, scale_y], np.float32), 7)
    moved[:, [0, *range(4, 14, 2)]] += left
    moved[:, [1, *range(5, 14, 2)]] += top
    return moved
