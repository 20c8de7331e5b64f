"""Faces that several benchmarks share: labelled development rows of press photographs, and poses of crops.

Either a file with the columns ``image`` (encoded faces, framed as FER2013's are), ``label``, ``person``, ``annotator``
and ``split``, of which the development rows are read, as the recorded figures are made of; or a table that ``mien data
import muxspace`` wrote, of which the validation split is read: other people of the same source. Without the annotator
jhamski, whose labels are poor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.data import table as tables
from mien.detection.framing import resize
from mien.detection.mediapipe import FIVE, Landmarker, Mesh
from mien.expressions import BASIC_EIGHT
from mien.results import Box
from mien.sources.images import decode

POOR = "jhamski"
#: Pixels a side of the faces.
SIDE = 96
Labels = NDArray[np.int64]
Pixels = NDArray[np.uint8]
# Outer corners of the eyes in the mesh.
_EYES = (33, 263)


@dataclass(frozen=True, eq=False)
class Development:
    """The rows: crops as stored, RGB uint8 (N, S, S, 3); labels in ``BASIC_EIGHT``; a number for each person."""

    crops: Pixels
    truth: Labels
    persons: Labels

    def sized(self, side: int) -> Pixels:
        """Crops of another side, resized as mien resizes the crops of pictures."""
        return np.stack([np.asarray(resize(crop, side, side)) for crop in self.crops])


def read(unseen: Path) -> Development:
    """The development rows, or a table's validation split, without the poor annotator's."""
    if b"mien" in (pq.read_schema(unseen).metadata or {}):
        part = tables.read(unseen).split("validation")
        part = part.take(np.array([name != POOR for name in part.column("annotator")]))
        labels = [BASIC_EIGHT.index(name) for name in part.info.labels]
        persons = np.unique(part.groups, return_inverse=True)[1]
        return Development(part.pictures(SIDE), np.array(labels)[part.labels], persons)
    rows = pq.read_table(unseen).to_pandas()
    rows = rows[(rows["split"] == "development") & (rows["annotator"] != POOR)]
    return Development(
        np.stack([np.asarray(decode(picture)) for picture in rows["image"]]),
        np.array([BASIC_EIGHT.index(label) for label in rows["label"]]),
        np.unique(rows["person"].to_numpy(str), return_inverse=True)[1],
    )


def meshes(crops: Pixels, landmarks: Path | None = None) -> list[Mesh | None]:
    """The mesh of each crop's face, the crop being its box; None where the landmarker sees none."""
    landmarker = Landmarker(landmarks)
    height, width = crops.shape[1:3]
    return [landmarker.mesh(crop, Box(0, 0, width, height)) for crop in crops]


def yaw_of(mesh: Mesh) -> float:
    """Degrees by which the head is turned aside: 0 looks ahead, above 0 to the picture's right.

    The line through the outer corners of the eyes is level in a face that looks ahead, also in depth; how it lies in
    depth is the turn.
    """
    across = mesh.points[_EYES[1]] - mesh.points[_EYES[0]]
    return float(np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1]))))


def five_of(mesh: Mesh) -> tuple[tuple[float, float], ...]:
    """The five points that detectors give: eyes, nose tip, mouth corners."""
    return tuple((float(x), float(y)) for x, y in mesh.points[list(FIVE), :2])
