"""Probabilities of one track over time, smoothed.

Owns the exponential moving average over seconds, so that it means the same at any frame rate. Refuses to hide what it
averages: results carry both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping


class Smoother:
    """Averages of a clip's tracks, each over about the last ``seconds``.

    After a time ``dt`` the new answer weighs ``1 - exp(-dt / seconds)``, the first one all. A face at another time's
    end of a longer gap than five times ``seconds`` starts anew.

    Args:
        seconds: the time constant; above 0.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held: dict[int, tuple[float, dict[str, float]]] = {}

    def update(self, track: int, at: float, scores: Mapping[str, float]) -> dict[str, float]:
        """The average after a new answer.

        Args:
            track: the track id.
            at: the answer's time in seconds.
            scores: expression to probability.

        >>> smoother = Smoother(0.5)
        >>> smoother.update(1, 0.0, {"happy": 1.0, "sad": 0.0})
        {'happy': 1.0, 'sad': 0.0}
        >>> round(smoother.update(1, 0.5, {"happy": 0.0, "sad": 1.0})["happy"], 3)
        0.368
        """
        self._held = {key: held for key, held in self._held.items() if at - held[0] <= 5 * self._seconds}
        before = self._held.get(track)
        mixed = dict(scores)
        if before:
            keep = math.exp(-max(at - before[0], 0.0) / self._seconds)
            mixed = {label: keep * before[1][label] + (1 - keep) * value for label, value in scores.items()}
        self._held[track] = (at, mixed)
        return mixed
