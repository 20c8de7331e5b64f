"""Several model files in one, which answers their weighted mean.

The members stay as they are, each with its own resizing, precision and test-time views; the crop goes to all of them,
and the mean of what they say is calibrated once more. Owns the joined graph and its card; which members and weights is
chosen in :mod:`mien.evaluate.ensemble`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from mien.data.table import Table
from mien.errors import ExportError
from mien.evaluate import ensemble, predictions
from mien.evaluate.calibration import Calibration
from mien.evaluate.ensemble import Choice
from mien.evaluate.predictions import Predictions
from mien.export import gates, graph
from mien.export.figures import complete
from mien.export.fusion_file import fuse, fusible
from mien.files import scratch, write
from mien.models import Card, Model, Output
from mien.models.card import attach, detach
from mien.models.model import read_file


@dataclass(frozen=True)
class _Member:
    """A file that takes part.

    Attributes:
        graph: its bytes without the card.
        card: what it says of itself.
        shares: label set to its weight, above zero.
    """

    graph: bytes
    card: Card
    shares: Mapping[str, float]

    def output(self, label_set: str) -> str:
        """The name of its output with these labels."""
        return next(name for name, output in self.card.outputs.items() if output.label_set == label_set)


def package(
    files: Mapping[str, Path],
    answers: Mapping[str, Predictions],
    choices: Mapping[str, Choice],
    table: Table,
    out: Path,
    name: str = "ensemble",
    version: str = "1",
) -> Model:
    """Write one model file of the members that were chosen.

    Args:
        files: member to its model file.
        answers: member to what that file says of the table's validation split.
        choices: label set to weights and calibration, of :func:`mien.evaluate.ensemble.choose` on these answers.
        table: the data that all members were trained on.
        out: the model file to write.
        name, version: for the card, which has licence and data terms of all members.

    Returns:
        The written file, loaded.

    Raises:
        ModelError: a member's file is missing or damaged.
        ExportError: fewer than two were chosen, they were trained on other data than the table, under another protocol
            than ``official``, or frame faces differently, or the file does not say what they say together; nothing is
            written.
        WriteError: the file cannot be written; an older one stays.
    """
    members = _chosen(files, choices)
    _check_alike(members, table)
    outputs = _outputs(members, choices)
    bare = _mean(members, outputs)
    card = _describe(members, outputs, name, version)
    with scratch() as folder:
        place = folder / "mean.onnx"
        place.write_bytes(attach(bare, card))
        model = Model(place)
        scored = predictions.predict(model, table, "validation")
        wanted, said = (
            {s.label_set: s.probabilities for s in one.scores} for one in (ensemble.combine(answers, choices), scored)
        )
        differences = gates.check_parity(wanted, said)
        parity = {"largest_difference": max(differences.values()), "faces": len(scored.scores[0].rows)}
        export = card.training["export"] | {"parity": parity}
        content = attach(bare, complete(replace(card, training={**card.training, "export": export}), model, scored))
    if fusible(card, table):
        content = fuse(content, table, str(out))
    write(out, content)
    return Model(out)


def _chosen(files: Mapping[str, Path], choices: Mapping[str, Choice]) -> dict[str, _Member]:
    found = {}
    for name, path in files.items():
        shares = {label_set: choice.weights[name] for label_set, choice in choices.items() if choice.weights[name]}
        if shares:
            found[name] = _Member(*detach(read_file(path), where=str(path)), shares)
    if len(found) < 2:
        raise ExportError(f"validation chose {', '.join(found)} alone: that file is the best already")
    return found


def _check_alike(members: Mapping[str, _Member], table: Table) -> None:
    (first, one), *_ = members.items()
    for name, member in members.items():
        if member.card.data.get("fingerprint") != table.fingerprint:
            raise ExportError(f"{name} was trained on other data than this table: members are chosen on its validation")
        if member.card.data["protocol"] != "official":
            raise ExportError(
                f"{name} was trained under the protocol {member.card.data['protocol']}: only members of the protocol"
                " official have the same validation faces"
            )
        if (member.card.framing, member.card.framing_rule) != (one.card.framing, one.card.framing_rule):
            raise ExportError(f"{first} and {name} frame faces differently, and one file gets one crop")


def _outputs(members: Mapping[str, _Member], choices: Mapping[str, Choice]) -> dict[str, Output]:
    """Of the whole, named and ordered as the first member's."""
    first = next(iter(members.values())).card
    found = {}
    for name, output in first.heads.items():
        if output.label_set in choices:
            fitted = choices[output.label_set].calibration
            found[name] = Output(
                output.labels, output.label_set, fitted.temperature, bias=fitted.bias, power=fitted.power
            )
    return found


def _mean(members: Mapping[str, _Member], outputs: Mapping[str, Output]) -> bytes:
    """One graph of all: the input of the first, and the calibrated mean of what each says."""
    graphs = [onnx.load_from_string(member.graph) for member in members.values()]
    faces = graphs[0].graph.input[0]
    nodes: list[onnx.NodeProto] = []
    constants = [numpy_helper.from_array(np.array(ensemble.LEAST, np.float32), "least")]
    shares: dict[str, list[str]] = {name: [] for name in outputs}
    for number, (model, member) in enumerate(zip(graphs, members.values(), strict=True)):
        prefix = f"member{number}."
        inner = compose.add_prefix_graph(model.graph, prefix)
        nodes += [helper.make_node("Identity", [faces.name], [inner.input[0].name]), *inner.node]
        constants += inner.initializer
        for name, output in outputs.items():
            weight = member.shares.get(output.label_set)
            if weight:
                part = f"{prefix}{name}_share"
                constants.append(numpy_helper.from_array(np.array(weight, np.float32), f"{part}_weight"))
                nodes.append(
                    helper.make_node("Mul", [prefix + member.output(output.label_set), f"{part}_weight"], [part])
                )
                shares[name].append(part)
    results = []
    for name, output in outputs.items():
        nodes += [
            helper.make_node("Sum", shares[name], [f"{name}_mean"]),
            helper.make_node("Max", [f"{name}_mean", "least"], [f"{name}_positive"]),
            helper.make_node("Log", [f"{name}_positive"], [f"{name}_logarithms"]),
        ]
        more, numbers = graph.calibrated(name, Calibration.of(output), len(output.labels))
        nodes += more
        constants += numbers
        results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", len(output.labels)]))
    whole = helper.make_model(helper.make_graph(nodes, "mien", [faces], results, constants))
    whole.ir_version = max(model.ir_version for model in graphs)
    del whole.opset_import[:]
    whole.opset_import.extend(used for model in graphs for used in model.opset_import)
    return graph.serialised(whole)


def _describe(members: Mapping[str, _Member], outputs: Mapping[str, Output], name: str, version: str) -> Card:
    """The card, without figures and golden answers."""
    cards = [member.card for member in members.values()]
    largest = max(cards, key=lambda card: card.height * card.width)
    apart = {
        member: {
            "name": one.card.name,
            "version": one.card.version,
            "graph_sha256": one.card.graph_sha256,
            "weights": dict(one.shares),
            "recipe": dict(one.card.recipe),
            "training": dict(one.card.training),
        }
        for member, one in members.items()
    }
    made = [card.training.get("export", {}) for card in cards]
    export = {what: ", ".join(dict.fromkeys(str(one.get(what)) for one in made)) for what in ("precision", "views")}
    terms = dict.fromkeys(card.data_terms for card in cards)
    return replace(
        largest,
        name=name,
        version=version,
        outputs=outputs,
        recipe={"name": name, "data": {"protocol": cards[0].data["protocol"]}},
        training={
            "seed": ", ".join(dict.fromkeys(str(card.training.get("seed")) for card in cards)),
            "parameters": sum(card.training["parameters"] for card in cards),
            "seconds": sum(card.training.get("seconds", 0) for card in cards),
            "members": apart,
            "lineage": list(dict.fromkeys(line for card in cards for line in card.lineage)),
            "export": export,
        },
        licence=" AND ".join(dict.fromkeys(card.licence for card in cards)),
        data_terms=" ".join(term for term in terms if not any(term in other for other in terms if other != term)),
    )
