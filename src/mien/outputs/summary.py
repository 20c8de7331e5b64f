"""What a clip says of each track in it: share of time per expression, and what followed what.

Owns the sums, kept while frames pass, in constant memory per track. Shares of time are of visible expressions; they
are not attention, mood or engagement, and nobody should be judged by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mien.results import UNSURE, Frame

# A gap that is longer is no time in which an expression was seen: the face was away, or the camera stopped.
_LONGEST_STEP = 1.0


@dataclass
class Person:
    """One face of a clip over time.

    Attributes:
        source, track: the clip, and the track id in it.
        first, last: seconds of the clip at which the face was seen first and last.
        frames: how many frames showed it.
        seconds: time per expression; each frame counts until the next one that shows the face, at most a second.
        transitions: (from, to) to how often the expression changed so; ``unsure`` is passed over.
    """

    source: str | None
    track: int
    first: float
    last: float
    frames: int = 0
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _now: str = ""
    _sure: str = ""

    def add(self, at: float, label: str) -> None:
        """Take the expression as it was seen at a time."""
        if self._now:
            self.seconds[self._now] = self.seconds.get(self._now, 0.0) + min(at - self.last, _LONGEST_STEP)
        if label != UNSURE:
            if self._sure and label != self._sure:
                self.transitions[self._sure, label] += 1
            self._sure = label
        self._now, self.last = label, at
        self.frames += 1

    @property
    def shares(self) -> dict[str, float]:
        """Share of the seen time per expression, 0-1, largest first; of a single frame, its expression."""
        total = sum(self.seconds.values())
        if total <= 0:
            return {self._now: 1.0}
        longest_first = sorted(self.seconds.items(), key=lambda item: -item[1])
        return {label: seconds / total for label, seconds in longest_first}

    def to_dict(self) -> dict[str, object]:
        """A plain dict, ready for JSON."""
        return {
            "source": self.source,
            "track": self.track,
            "first": round(self.first, 3),
            "last": round(self.last, 3),
            "frames": self.frames,
            "shares": {label: round(share, 4) for label, share in self.shares.items()},
            "transitions": [
                {"from": before, "to": after, "count": count}
                for (before, after), count in self.transitions.most_common()
            ],
        }


@dataclass
class Summary:
    """What was read so far.

    Attributes:
        persons: (source, track) to its sums, in order of appearance; videos only.
        pictures: how many frames came, ``faceless`` of them without a face, ``failed`` unreadable.
        expressions: expression to the number of faces that showed it, over everything.
    """

    persons: dict[tuple[str | None, int], Person] = field(default_factory=dict[tuple[str | None, int], Person])
    pictures: int = 0
    faceless: int = 0
    failed: int = 0
    expressions: Counter[str] = field(default_factory=Counter[str])

    def add(self, frame: Frame) -> None:
        """Take the next frame."""
        self.add_rows(frame.to_rows())

    def add_rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Take the next picture as a table holds it: a row a face, or a single one; None and "" say nothing."""
        self.pictures += 1
        error = rows[0].get("error")
        self.failed += bool(error)
        self.faceless += not error and not rows[0].get("face")
        for row in rows:
            expression, track, time = row.get("expression"), row.get("track"), row.get("time")
            if not expression:
                continue
            self.expressions[str(expression)] += 1
            if track not in (None, "") and time not in (None, ""):
                source = row["source"]
                key = (None if source is None else str(source), int(str(track)))
                at = float(str(time))
                if key not in self.persons:
                    self.persons[key] = Person(*key, at, at)
                self.persons[key].add(at, str(row.get("smoothed") or expression))

    def to_dict(self) -> dict[str, object]:
        """A plain dict, ready for JSON."""
        return {
            "pictures": self.pictures,
            "without_faces": self.faceless,
            "failed": self.failed,
            "faces": dict(self.expressions.most_common()),
            "persons": [person.to_dict() for person in self.persons.values()],
        }
