"""Which face is which from frame to frame: each detection gets the id of the track it belongs to.

A detection belongs to the track whose motion leads there, whose face has that size and looks like it, so that a face
that passes behind another, or is hidden for a moment, keeps its track. Refuses to detect faces, and to recognise
people: a track id means "the same face as a moment ago" and is forgotten with the clip.

The method is that of SORT (Bewley et al. 2016: constant velocity and optimal assignment) with looks in the cost as in
DeepSORT (Wojke et al. 2017), the looks being a thumbnail rather than a network's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.detection.base import Detection
from mien.results import Box

_THUMBNAIL = 12
# In sizes of the face: how far from where it was expected a detection may be, at once and after a second unseen.
_REACH, _REACH_GROWTH, _REACH_MOST = 0.7, 1.5, 2.5
# Natural logarithm of how much larger or smaller a detection may be.
_SCALE_REACH = math.log(1.8)
_LOOKS_WEIGHT, _SCALE_WEIGHT = 1.0, 0.5
# Looks (1 - cosine) further apart than the first belong to different people where a face was out of sight; those
# nearer than the second to the same one, also where it is not quite where it was expected.
_LOOKS_LIMIT, _LOOKS_ALIKE, _ALIKE_REACH = 0.6, 0.2, 1.5
# The same of a face in two frames that follow each other and differ, as at a cut before the same wall.
_LOOKS_STRICT = 0.5
# Shares of the old in what is remembered of speed and looks.
_SPEED_MEMORY, _LOOKS_MEMORY = 0.8, 0.9
# Where frames are seconds apart, people are remembered for a little more than two of them.
_FRAMES_REMEMBERED = 2.1
# Above this overlap one face hides part of the other, and neither looks like itself.
_HIDES = 0.15


@dataclass
class _Track:
    """One face over time: where it was, how fast it moved (pixels a second), what it looked like."""

    number: int
    centre: NDArray[np.float64]
    size: float
    looks: NDArray[np.float32]
    seen: float
    speed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def expected(self, at: float) -> NDArray[np.float64]:
        """Where the face should be; out of sight, its motion is believed for a third of a second."""
        return self.centre + self.speed * min(at - self.seen, 0.33)

    def box(self, at: float) -> Box:
        x, y = self.expected(at) - self.size / 2
        return Box(x, y, self.size, self.size)


class Tracker:
    """Numbers for the faces of successive frames.

    Args:
        memory: seconds after which a face that was out of sight counts as somebody new; where frames are further
            apart than that, whoever was in the last one or two is remembered.
    """

    def __init__(self, *, memory: float = 1.5) -> None:
        self._memory = memory
        self._tracks: list[_Track] = []
        self._forgotten: list[_Track] = []
        self._count, self._last = 0, 0.0

    def forget(self) -> None:
        """Whoever is seen from now on is somebody new."""
        self._forgotten, self._tracks = self._tracks, []

    def recall(self) -> None:
        """Take back the last :meth:`forget`: who was seen before it is known again."""
        self._tracks, self._forgotten = self._forgotten, []

    def update(
        self, picture: NDArray[np.uint8], found: list[Detection], at: float, *, strict: bool = False
    ) -> list[int]:
        """The track id of each detection, counted from 1 in order of appearance.

        Args:
            picture: RGB uint8 (H, W, 3), the frame that they were found in.
            found: its faces.
            at: its time in seconds; not before that of the last call.
            strict: the frame differs from the last one, so that nobody is taken for somebody who looks otherwise.
        """
        memory = max(self._memory, _FRAMES_REMEMBERED * (at - self._last))
        self._last = at
        self._tracks = [track for track in self._tracks if at - track.seen <= memory]
        looks = [_thumbnail(picture, one.box) for one in found]
        centres = [np.array([one.box.x + one.box.width / 2, one.box.y + one.box.height / 2]) for one in found]
        sizes = [math.sqrt(one.box.width * one.box.height) for one in found]
        costs = np.full((len(self._tracks), len(found)), np.inf)
        for row, track in enumerate(self._tracks):
            for column in range(len(found)):
                costs[row, column] = _cost(track, centres[column], sizes[column], looks[column], at, strict)
        taken = {column: row for row, column in assign(costs)}
        hidden = _hiding([one.box for one in found])
        numbers: list[int] = []
        for column in range(len(found)):
            if column in taken:
                track = self._tracks[taken[column]]
                _move(track, centres[column], sizes[column], looks[column], at, clear=not hidden[column])
            else:
                self._count += 1
                track = _Track(self._count, centres[column], sizes[column], looks[column], at)
                self._tracks.append(track)
            numbers.append(track.number)
        return numbers

    def expected(self, at: float, within: float) -> list[Box]:
        """Squares where the faces seen in the last ``within`` seconds should be at that time."""
        return [track.box(at) for track in self._tracks if at - track.seen <= within]


def _cost(
    track: _Track, centre: NDArray[np.float64], size: float, looks: NDArray[np.float32], at: float, strict: bool
) -> float:
    """Matching cost of a detection and a track; infinite where they cannot be the same face."""
    unseen = at - track.seen
    apart = 1 - float(looks @ track.looks)
    reach = min(_REACH + _REACH_GROWTH * unseen, _REACH_MOST) * (_ALIKE_REACH if apart < _LOOKS_ALIKE else 1.0)
    away = float(np.hypot(*(centre - track.expected(at)))) / max(track.size, size)
    scale = abs(math.log(size / track.size))
    limit = _LOOKS_STRICT if strict else _LOOKS_LIMIT if unseen > 0.3 else math.inf
    if away > reach or scale > _SCALE_REACH or apart > limit:
        return math.inf
    return away / reach + _SCALE_WEIGHT * scale / _SCALE_REACH + _LOOKS_WEIGHT * apart


def _move(
    track: _Track, centre: NDArray[np.float64], size: float, looks: NDArray[np.float32], at: float, *, clear: bool
) -> None:
    passed = at - track.seen
    if passed > 0 and clear:  # the box of a face that is half hidden shrinks, which is no motion
        speed = (centre - track.centre) / passed
        track.speed = _SPEED_MEMORY * track.speed + (1 - _SPEED_MEMORY) * speed
    track.centre, track.size, track.seen = centre, size, at
    if clear:
        mixed = _LOOKS_MEMORY * track.looks + (1 - _LOOKS_MEMORY) * looks
        track.looks = _unit(mixed)


def _thumbnail(picture: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """The face as a unit vector: 12x12 colours less their mean, so that a change of light does not count."""
    height, width = picture.shape[:2]
    left, right = (round(min(max(x, 0), width)) for x in (box.x, box.x + box.width))
    top, bottom = (round(min(max(y, 0), height)) for y in (box.y, box.y + box.height))
    if right <= left or bottom <= top:
        return np.zeros(_THUMBNAIL**2 * 3, np.float32)
    part = cv2.resize(picture[top:bottom, left:right], (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    vector = part.astype(np.float32).ravel()
    vector -= vector.mean()
    return _unit(vector)


def _unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), np.float32)


def _hiding(boxes: list[Box]) -> list[bool]:
    return [any(i != j and one.overlap(other) > _HIDES for j, other in enumerate(boxes)) for i, one in enumerate(boxes)]


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Rows to columns at the least sum of costs, as many as are finite: (row, column) pairs.

    The Hungarian method with potentials, O(n³), after Kuhn 1955 and Munkres 1957. No pair of infinite cost is made.

    >>> assign(np.array([[1.0, 2.0], [1.0, 9.0]]))
    [(0, 1), (1, 0)]
    >>> assign(np.array([[np.inf, 1.0]]))
    [(0, 1)]
    """
    rows, columns = costs.shape
    if not rows or not columns:
        return []
    finite = costs[np.isfinite(costs)]
    if not finite.size:
        return []
    # A pair that may not be costs more than all others together, so it is made only where nothing else is left.
    barred = (float(np.abs(finite).max()) + 1) * (min(rows, columns) + 1)
    square = np.full((max(rows, columns),) * 2, barred)
    square[:rows, :columns] = np.where(np.isfinite(costs), costs, barred)
    owner = _shortest_paths(square)
    return sorted(
        (row, column)
        for column, row in enumerate(owner)
        if row < rows and column < columns and np.isfinite(costs[row, column])
    )


def _shortest_paths(costs: NDArray[np.float64]) -> list[int]:
    """The row that each column of a square matrix belongs to."""
    size = len(costs)
    of_row, of_column = np.zeros(size + 1), np.zeros(size + 1)  # potentials; index 0 is no row or column
    owner = np.zeros(size + 1, int)
    for row in range(1, size + 1):
        owner[0], column = row, 0
        least, came_from = np.full(size + 1, np.inf), np.zeros(size + 1, int)
        done = np.zeros(size + 1, bool)
        while owner[column]:
            done[column] = True
            reduced = costs[owner[column] - 1] - of_row[owner[column]] - of_column[1:]
            better = ~done[1:] & (reduced < least[1:])
            least[1:][better], came_from[1:][better] = reduced[better], column
            nearest = 1 + int(np.argmin(np.where(done[1:], np.inf, least[1:])))
            step = least[nearest]
            of_row[owner[done]] += step
            of_column[done] -= step
            least[~done] -= step
            column = nearest
        while column:
            owner[column] = owner[came_from[column]]
            column = came_from[column]
    return [int(row) - 1 for row in owner[1:]]
