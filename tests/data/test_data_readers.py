"""The table reads without mien: pyarrow, pandas, Hugging Face datasets."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.data.fer2013 import import_fer2013
from mien.expressions import BASIC_SEVEN


@pytest.fixture
def table(tmp_path: Path, faces, write_csv, votes_csv) -> Path:
    usages = ["Training"] * 32 + ["PublicTest"] * 4 + ["PrivateTest"] * 4
    import_fer2013(write_csv(faces), tmp_path / "t.parquet", ferplus_file=votes_csv(usages))
    return tmp_path / "t.parquet"


def test_pyarrow(table: Path, faces) -> None:
    row = pq.read_table(table).slice(5, 1).to_pylist()[0]
    assert (np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) == faces[5]).all()
    assert (row["label"], row["split"], row["row"]) == (5, "train", 5)
    assert row["votes"] == [0, 10, 0, 0, 0, 0, 0, 0, 0, 0]


def test_pandas(table: Path, faces) -> None:
    import pandas

    frame = pandas.read_parquet(table)
    assert frame["split"].value_counts().to_dict() == {"train": 32, "validation": 4, "test": 4}
    picture = np.asarray(Image.open(io.BytesIO(frame["image"][7]["bytes"])))
    assert (picture == faces[7]).all()


@pytest.mark.slow
def test_hugging_face_datasets(table: Path, faces, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="of another project: pip install datasets")
    data = datasets.load_dataset("parquet", data_files=str(table), split="train", cache_dir=str(tmp_path / "cache"))
    assert data.features["label"].names == list(BASIC_SEVEN)
    assert (np.asarray(data[7]["image"]) == faces[7]).all()
    assert data[7]["votes"] == [0, 10, 0, 0, 0, 0, 0, 0, 0, 0]
