"""The predictions table: what a model said of every face of a split, as one Parquet file.

===============  =============  ==================================================================
column           type           meaning
===============  =============  ==================================================================
row              int32          the face's row in the data table's source
split            string         train, validation or test
output           string         the model's output, as in ``probabilities_fer2013``
label_set        string         what that output is scored on
label            int8           index into the label set; -1 where the set's rule gives the face none
unfiltered       int8           the same without the rule's filter (FER+: most votes win); else ``label``
probabilities    list<float32>  one per label, summing to 1
===============  =============  ==================================================================

The schema metadata carries, under ``mien``: model, its version and graph sha256, data name and fingerprint, per output
the labels and the calibration that is already in the probabilities, and for pooled data the sources with
the ranges of rows that are theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.data import ferplus
from mien.data.table import Table
from mien.errors import DataError, require, shown
from mien.evaluate.calibration import Calibration
from mien.evaluate.ledger import Ledger, needed
from mien.expressions import FUSED
from mien.files import AtomicFile
from mien.models import Card

FORMAT = 1
_BATCH = 256


@dataclass(frozen=True)
class Scores:
    """One output's probabilities for the faces of one split.

    Attributes:
        output, label_set, labels: which output, what it is scored on, and its columns in order.
        rows: (N,) source rows.
        truth: (N,) label indices, -1 for none.
        unfiltered: (N,) label indices before the label set's filter, -1 for none.
        probabilities: float32 (N, K).
        sources: for pooled data each source's name to its range of rows, the end excluded.
    """

    output: str
    label_set: str
    labels: tuple[str, ...]
    rows: NDArray[np.int64]
    truth: NDArray[np.int64]
    unfiltered: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    sources: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def labelled(self) -> Scores:
        """Only the faces that have a label."""
        return self.where(self.truth >= 0)

    def where(self, keep: NDArray[np.bool_]) -> Scores:
        """Only the faces that a mask (N,) keeps."""
        return replace(
            self,
            rows=self.rows[keep],
            truth=self.truth[keep],
            unfiltered=self.unfiltered[keep],
            probabilities=self.probabilities[keep],
        )


@dataclass(frozen=True)
class Predictions:
    """A predictions table in memory: the split, where it came from, and the scores per output."""

    split: str
    provenance: Mapping[str, Any]
    scores: tuple[Scores, ...]


class Scorer(Protocol):
    """What answers for crops as :class:`mien.models.Model` does: a model file, or a fitted pipeline."""

    card: Card

    def score(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Crops RGB uint8 (N, H, W, 3) to output name and float32 (N, K)."""
        ...


def predict(
    model: Scorer,
    table: Table,
    split: str,
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    *,
    ledger: Ledger | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Score every face of a split with a model file, or what stands for one.

    This is the one function that sees answers beside the labels of test faces.

    Outputs are scored on their own label set, which the table must have with the same labels in the same order. A
    table that has none of them, as class folders from elsewhere, is scored on its own label set by every output that
    knows all of its labels by name; true labels are then indices into the output's labels, and an answer that the
    table has no label for is a wrong one. The answer that is fused from FER+'s and FER2013's labels is scored on what
    most of FER+'s voters saw, on every face with a vote.

    Args:
        model: any.
        table: with the split.
        split: train, validation or test.
        change: what is done to each batch of crops first, RGB uint8 (N, H, W, 3) to the same.
        ledger: keeps this look; must be there for the split test, and may be for faces that are test faces elsewhere.
        about: what else the provenance says.
        progress: called with the faces scored and all there are.

    Raises:
        DataError: the table lacks the split, or has a label that no output knows; or test is to be scored without a
            ledger.
        WriteError: the ledger cannot be written.
    """
    needed(split, ledger)
    part = table.split(split)
    truths = _truths(model, table, part)
    said = answers(model, part, change, progress)
    outputs, sources = model.card.outputs, table.info.source.get("sources", [])
    scores = tuple(
        Scores(
            name,
            label_set,
            outputs[name].labels,
            part.rows,
            truth,
            unfiltered,
            said[name],
            _ranges(sources),
        )
        for name, (label_set, truth, unfiltered) in truths.items()
    )
    provenance: dict[str, Any] = {
        "model": f"{model.card.name} {model.card.version}",
        "graph_sha256": model.card.graph_sha256,
        "data": table.info.name,
        "data_fingerprint": table.fingerprint,
        "official": table.info.official,
        "outputs": {
            name: {"labels": list(outputs[name].labels), **Calibration.of(outputs[name]).to_dict()} for name in truths
        },
    }
    if sources:
        provenance["sources"] = [{name: one[name] for name in ("name", "fingerprint", "rows")} for one in sources]
    provenance |= about or {}
    if ledger:
        ledger.record(provenance, scores)
    return Predictions(split, provenance, scores)


def answers(
    model: Scorer,
    part: Table,
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """What a model says of all faces of a table, without a look at their labels.

    Args:
        model: any.
        part: the faces.
        change, progress: as of :func:`predict`.

    Returns:
        Output name to probabilities, float32 (N, K).
    """
    parts: list[dict[str, NDArray[np.float32]]] = []
    for start in range(0, len(part), _BATCH):
        crops = _crops(part.take(np.arange(start, min(start + _BATCH, len(part)))), model)
        parts.append(model.score(change(crops) if change else crops))
        if progress:
            progress(min(start + _BATCH, len(part)), len(part))
    return {name: np.concatenate([scored[name] for scored in parts]) for name in model.card.outputs}


def _ranges(sources: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Each source's range of rows, as ``mien data pool`` wrote it."""
    return {one["name"]: (one["rows"][0], one["rows"][1]) for one in sources}


def _truths(model: Scorer, table: Table, part: Table) -> dict[str, tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Per output that can be scored: label set, true labels, and those without the set's filter."""
    outputs, own = model.card.outputs, table.info.labels
    same = {
        name: (output.label_set, part.truth(output.label_set), part.unfiltered_truth(output.label_set))
        for name, output in outputs.items()
        if table.label_sets.get(output.label_set) == output.labels
    }
    if same:
        fused = {name: _fused_truth(table, part) for name, output in outputs.items() if output.label_set == FUSED}
        return {name: (same | fused)[name] for name in outputs if name in same | fused}
    by_name: dict[str, tuple[str, NDArray[np.int64], NDArray[np.int64]]] = {}
    for name, output in outputs.items():
        if set(own) <= set(output.labels):
            index = np.array([output.labels.index(label) for label in own])
            truth = np.where(part.labels >= 0, index[part.labels], -1)
            by_name[name] = (table.info.label_set, truth, truth)
    if by_name:
        return by_name
    known = "; ".join(f"{name}: {', '.join(output.labels)}" for name, output in outputs.items())
    unknown = sorted(set(own) - set().union(*(output.labels for output in outputs.values())))
    raise DataError(
        f"the table '{shown(table.info.name)}' has the labels {', '.join(own)}; the model '{shown(model.card.name)}'"
        f" knows {known}"
        + (f"; it does not know {', '.join(unknown)}" if unknown else "")
        + ": import the data again with --labels in the model's words"
    )


def _fused_truth(table: Table, part: Table) -> tuple[str, NDArray[np.int64], NDArray[np.int64]]:
    """What most of FER+'s voters saw in each face, agreed or not; the basic seven labels themselves without votes."""
    truth = part.labels if table.votes is None else ferplus.seven_plurality(np.asarray(part.votes))
    return FUSED, truth, truth


def _crops(batch: Table, model: Scorer) -> NDArray[np.uint8]:
    """The faces at the card's size: resized here as recognition resizes its crops, not inside the graph."""
    if model.card.width != model.card.height:
        raise DataError(f"the model takes {model.card.width}x{model.card.height} px crops, tables only square ones")
    return batch.pictures(model.card.width)


def write(predictions: Predictions, path: str | Path) -> None:
    """Write a predictions table; the file appears whole or not at all.

    Raises:
        WriteError: it cannot be written.
    """
    pa, parquet = require("pyarrow", "tables"), require("pyarrow.parquet", "tables")
    columns: dict[str, list[Any]] = {name: [] for name in _schema().names}
    for s in predictions.scores:
        columns["row"] += s.rows.tolist()
        columns["split"] += [predictions.split] * len(s.rows)
        columns["output"] += [s.output] * len(s.rows)
        columns["label_set"] += [s.label_set] * len(s.rows)
        columns["label"] += s.truth.tolist()
        columns["unfiltered"] += s.unfiltered.tolist()
        columns["probabilities"] += list(s.probabilities)
    meta = {"format": FORMAT, "split": predictions.split} | dict(predictions.provenance)
    table = pa.Table.from_pydict(columns, schema=_schema().with_metadata({"mien": json.dumps(meta)}))
    with AtomicFile(path, parents=True) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def read(path: str | Path) -> Predictions:
    """Read a predictions table.

    Raises:
        DataError: the file is missing or was not written by ``mien evaluate``.
    """
    parquet = require("pyarrow.parquet", "tables")
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the predictions table {path}: {str(error).splitlines()[0]}") from error
    stored: dict[bytes, bytes] = table.schema.metadata or {}
    meta: dict[str, Any] = json.loads(stored[b"mien"]) if b"mien" in stored else {}
    if meta.pop("format", None) != FORMAT or "outputs" not in meta:
        raise DataError(f"{path} is no predictions table of this mien: write it with mien evaluate --predictions")
    split = meta.pop("split")
    outputs = np.array(table["output"].to_pylist())
    scores: list[Scores] = []
    for name, facts in meta["outputs"].items():
        part = table.take(np.flatnonzero(outputs == name))
        scores.append(
            Scores(
                name,
                part["label_set"][0].as_py(),
                tuple(facts["labels"]),
                part["row"].cast("int64").to_numpy(),
                part["label"].cast("int64").to_numpy(),
                part["unfiltered"].cast("int64").to_numpy(),
                np.array(part["probabilities"].to_pylist(), np.float32),
                _ranges(meta.get("sources", [])),
            )
        )
    return Predictions(split, meta, tuple(scores))


def _schema() -> Any:
    pa = require("pyarrow", "tables")
    return pa.schema(
        [
            ("row", pa.int32()),
            ("split", pa.string()),
            ("output", pa.string()),
            ("label_set", pa.string()),
            ("label", pa.int8()),
            ("unfiltered", pa.int8()),
            ("probabilities", pa.list_(pa.float32())),
        ]
    )
