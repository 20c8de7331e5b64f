"""Faces without labels as a table of mien, for what teachers say of them to be learned.

    python benchmarks/unlabelled_faces.py unseen-faces.parquet -o unlabelled.parquet
    mien data pool fer2013.parquet unlabelled.parquet -o pooled.parquet

The file has the columns ``image`` (encoded faces, framed as FER2013's are), ``person`` and ``split``, of which the rows
``unlabelled`` are taken. All become train rows; copies of one person have one group.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import recording

from mien.data.writer import TableInfo, TableWriter, pixel_digest, sha256_of
from mien.expressions import BASIC_SEVEN
from mien.sources.images import decode


def main() -> None:
    parser = recording.parser(__doc__, record=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    rows = pq.read_table(given.file).to_pandas().query("split == 'unlabelled'")
    groups = np.unique(rows["person"].to_numpy(str), return_inverse=True)[1]
    info = TableInfo(
        name="unlabelled",
        label_set="fer2013",
        labels=BASIC_SEVEN,
        source={"file": given.file.name, "sha256": sha256_of(given.file)},
        notes=("faces without labels, to learn from teachers' answers only",),
    )
    with TableWriter(given.output, info) as writer:
        for row, (image, group) in enumerate(zip(rows["image"], groups, strict=True)):
            digest = pixel_digest(np.asarray(decode(image)))
            writer.add(image=image, path="", label=None, split="train", row=row, group=int(group), digest=digest)


if __name__ == "__main__":
    main()
