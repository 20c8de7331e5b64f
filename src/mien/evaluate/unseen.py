"""A model on a data set it was not made for: outputs and labels are matched by their names.

``predictions.predict`` asks for the same label set in the same order, which is right for figures that are published
as that label set's. Class folders from elsewhere may lack labels or order them otherwise; here every label of the
table only has to be one that the model knows. Refuses to guess: a label that the model does not know is an error.
"""

from __future__ import annotations

import numpy as np

from mien.data.table import Table
from mien.errors import DataError
from mien.evaluate.predictions import Scores, predict
from mien.models import Model

_BATCH = 256


def score_by_name(model: Model, table: Table, split: str, output: str | None = None) -> Scores:
    """Score one split with one output of a model, true labels as indices into the model's labels.

    Args:
        model: any model file.
        table: whose own labels are the truth.
        split: train, validation or test.
        output: its name; None takes the one whose label set the table has, else the first that knows all labels
            of the table.

    Raises:
        DataError: the model has no such output, no output knows all labels of the table, or the split is missing.
    """
    outputs = model.card.outputs
    if output is not None and output not in outputs:
        raise DataError(f"the model {model.card.name!r} has no output {output!r}, only {', '.join(outputs)}")
    candidates = [output] if output is not None else list(outputs)
    fitting = [name for name in candidates if set(table.info.labels) <= set(outputs[name].labels)]
    if not fitting:
        unknown = sorted(set(table.info.labels) - set().union(*(outputs[name].labels for name in candidates)))
        known = "; ".join(f"{name}: {', '.join(outputs[name].labels)}" for name in candidates)
        raise DataError(
            f"the table {table.info.name!r} has the labels {', '.join(table.info.labels)}; the model"
            f" {model.card.name!r} knows {known}"
            + (f"; it does not know {', '.join(unknown)}" if unknown else "")
            + ": import the data again with --labels in the model's words"
        )
    own = [name for name in fitting if outputs[name].label_set == table.info.label_set]
    return _scores(model, table, split, (own or fitting)[0])


def _scores(model: Model, table: Table, split: str, name: str) -> Scores:
    output = model.card.outputs[name]
    if table.label_sets.get(output.label_set) == output.labels:
        return next(s for s in predict(model, table, split).scores if s.output == name)
    part = table.split(split)
    index = np.array([output.labels.index(label) for label in table.info.labels])
    truth = np.where(part.labels >= 0, index[part.labels], -1)
    batches = [part.take(np.arange(start, min(start + _BATCH, len(part)))) for start in range(0, len(part), _BATCH)]
    parts = [model.score(batch.pictures(model.card.width))[name] for batch in batches]
    return Scores(name, output.label_set, output.labels, part.rows, truth, truth, np.concatenate(parts))
