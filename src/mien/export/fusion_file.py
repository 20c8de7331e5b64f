"""A model file of two heads, FER+'s and FER2013's, into one whose first answer is fused from both.

What the heads answer stays what it was, to the last bit; a few 32-bit nodes are added behind them. Works on any model
file with both heads, also one that has a fusion already, so a file can be renewed without its run.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien import files
from mien.data import ferplus
from mien.data.table import Table
from mien.errors import ExportError
from mien.evaluate import fusion, predictions
from mien.evaluate.calibration import Calibration
from mien.export import gates, graph
from mien.export.figures import complete
from mien.expressions import BASIC_SEVEN, FUSED, LABEL_SETS
from mien.models import Card, Model, Output
from mien.models.card import attach, detach

#: What users see.
ANSWER = "probabilities"
_NODES = "fused"


def fusible(card: Card, table: Table) -> bool:
    """Whether a file has both heads, and the table the votes that the fusion is fitted on."""
    heads = {output.label_set: output.labels for output in card.heads.values()}
    return heads == dict(LABEL_SETS) and set(LABEL_SETS) <= set(table.label_sets)


def fuse(file: bytes, table: Table, where: str = "the file") -> bytes:
    """The bytes of a model file with a first output that is fused from its two heads.

    Args:
        file: with the heads ``ferplus`` and ``fer2013``.
        table: whose validation split the fusion is fitted on, with votes; the protocol of the file's recipe applied.
        where: the file, for errors.

    Returns:
        Outputs ``probabilities`` (7), ``probabilities_ferplus`` (8), ``probabilities_fer2013`` (7); the card has
        figures on validation, thresholds and golden answers of all; figures on other splits stay where they hold.

    Raises:
        ModelError: the file is damaged.
        ExportError: it has not both heads, or the table has no votes, or a head would answer otherwise than before.
    """
    bare, card = detach(file, where=where)
    if not fusible(card, table):
        raise ExportError(f"{where} cannot be fused: it takes the heads ferplus and fer2013, and FER+ votes")
    names = {output.label_set: name for name, output in card.heads.items()}
    with files.scratch() as folder:
        old = folder / "old.onnx"
        old.write_bytes(file)
        before = predictions.predict(Model(old), table, "validation")
        said = {s.label_set: s.probabilities for s in before.scores if s.output in card.heads}
        votes = table.split("validation").votes
        assert votes is not None
        fitted = fusion.fit(fusion.pool(said), ferplus.seven_shares(votes))
        heads = {f"{ANSWER}_{label_set}": card.outputs[names[label_set]] for label_set in fusion.WEIGHTS}
        weights = {f"{ANSWER}_{label_set}": weight for label_set, weight in fusion.WEIGHTS.items()}
        answer = Output(BASIC_SEVEN, FUSED, fitted.temperature, bias=fitted.bias, fusion=weights, prior=fusion.PRIOR)
        made = _extended(bare, {names[label_set]: f"{ANSWER}_{label_set}" for label_set in names}, answer)
        new = folder / "new.onnx"
        renewed = replace(card, outputs={ANSWER: answer, **heads})
        new.write_bytes(attach(made, renewed))
        model = Model(new)
        after = predictions.predict(model, table, "validation")
        now = {s.label_set: s.probabilities for s in after.scores}
        gates.check_parity(said | {FUSED: fitted.probabilities(fusion.pool(said)).astype(np.float32)}, now)
        if any(not np.array_equal(said[name], now[name]) for name in said):
            raise ExportError(f"{where} cannot be fused: its heads would answer otherwise than before")
        finished = complete(renewed, model, after)
        same = {ANSWER: card.outputs[ANSWER]} if made == bare else {}  # its figures on other splits hold as well
        earlier = heads | same
        kept = {
            name: replace(output, metrics={**(earlier[name].metrics if name in earlier else {}), **output.metrics})
            for name, output in finished.outputs.items()
        }
        return attach(made, replace(finished, outputs=kept))


def _extended(bare: bytes, names: dict[str, str], answer: Output) -> bytes:
    """The graph with its heads renamed and the fusion behind them.

    Args:
        bare: the graph of the file.
        names: of each head's output, before and after.
        answer: what is added.
    """
    model = onnx.load_from_string(bare)
    _without_fusion(model.graph)
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    for output in model.graph.output:
        output.name = names.get(output.name, output.name)
    nodes, constants = _nodes(model.graph, answer)
    results = {output.name: output for output in model.graph.output}
    results[ANSWER] = helper.make_tensor_value_info(ANSWER, TensorProto.FLOAT, ["faces", len(answer.labels)])
    ordered = [results[name] for name in (ANSWER, *answer.fusion)]
    del model.graph.output[:]
    model.graph.output.extend(ordered)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    return graph.serialised(model)


def _nodes(network: onnx.GraphProto, answer: Output) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The fusion: what goes into each head's softmax, the basic seven of it, weighted, summed and calibrated."""
    softmax = {node.output[0]: node for node in network.node if node.op_type == "Softmax"}
    constants = [
        numpy_helper.from_array(np.arange(len(answer.labels)), f"{_NODES}_columns"),
        # As in fusion.pool: of heads so sure that float32 rounds what is unlikely to nothing.
        numpy_helper.from_array(np.array(np.log(fusion.TINY), np.float32), f"{_NODES}_least"),
    ]
    nodes: list[onnx.NodeProto] = []
    parts: list[str] = []
    for name, weight in answer.fusion.items():
        part = f"{_NODES}_{name}"
        constants.append(numpy_helper.from_array(np.array(weight, np.float32), f"{part}_weight"))
        nodes += [
            helper.make_node("LogSoftmax", [softmax[name].input[0]], [f"{part}_exact"], axis=1),
            helper.make_node("Max", [f"{part}_exact", f"{_NODES}_least"], [f"{part}_logarithms"]),
            helper.make_node("Gather", [f"{part}_logarithms", f"{_NODES}_columns"], [f"{part}_seven"], axis=1),
            helper.make_node("Mul", [f"{part}_seven", f"{part}_weight"], [part]),
        ]
        parts.append(part)
    nodes.append(helper.make_node("Sum", parts, [f"{_NODES}_pool"]))
    nodes.append(helper.make_node("LogSoftmax", [f"{_NODES}_pool"], [f"{_NODES}_logarithms"], axis=1))
    more, numbers = graph.calibrated(_NODES, Calibration.of(answer), len(answer.labels))
    more[-1].output[0] = ANSWER
    return [*nodes, *more], [*constants, *numbers]


def _without_fusion(network: onnx.GraphProto) -> None:
    """Take out a fusion that was put in before."""
    prefix = f"{_NODES}_"
    if not any(constant.name.startswith(prefix) for constant in network.initializer):
        return
    nodes = [n for n in network.node if not (n.output[0].startswith(prefix) or n.output[0] == ANSWER)]
    constants = [constant for constant in network.initializer if not constant.name.startswith(prefix)]
    outputs = [output for output in network.output if output.name != ANSWER]
    del network.node[:], network.initializer[:], network.output[:]
    network.node.extend(nodes)
    network.initializer.extend(constants)
    network.output.extend(outputs)
