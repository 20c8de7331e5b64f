"""How faces are followed through a video, as users say it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackingOptions:
    """How faces are followed through a video.

    Attributes:
        track: track the faces and look around known ones; else each frame is searched for itself.
        interval: whole frames are searched every N-th time, see :class:`mien.tracking.follower.Follower`.
        smooth: seconds over which probabilities are averaged per track; 0: not at all.
    """

    track: bool = True
    interval: int = 5
    smooth: float = 0.4
