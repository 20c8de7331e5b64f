"""What a card must be like before anything is computed by it: one sentence on the first thing that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mien.errors import shown
from mien.narrowing import is_mapping, is_row

if TYPE_CHECKING:
    from mien.models.card import Card, Output

_LARGEST_SIDE = 4096
_MOST_LABELS = 10_000
_TEXTS = ("name", "version", "framing_rule", "licence", "data_terms", "intended_use", "graph_sha256")
_MAPPINGS = ("outputs", "framing", "recipe", "data", "training")


def check(card: Card) -> None:
    """See that a card is whole.

    Raises:
        ValueError: it is not; says what is wrong.
    """
    for name in _TEXTS:
        _need(isinstance(getattr(card, name), str), f"{name} is no text")
    for name in _MAPPINGS:
        _need(isinstance(getattr(card, name), Mapping), f"{name} is no mapping")
    for name in ("height", "width"):
        side = getattr(card, name)
        _need(type(side) is int and 1 <= side <= _LARGEST_SIDE, f"{name} is {_short(side)}, not 1 to {_LARGEST_SIDE}")
    _need(len(card.outputs) > 0, "it names no outputs")
    for name, output in card.outputs.items():
        _output(name, output, card.outputs)
    for name, framing in card.framing.items():
        known = is_mapping(framing) and set(framing) == {"scale", "dx", "dy"}
        _need(known and all(map(_number, framing.values())), f"the framing of {_short(name)} is not scale, dx and dy")
        _need(framing["scale"] > 0, f"the framing of {_short(name)} has a scale of {_short(framing['scale'])}")
    golden = card.golden
    _need(all(map(_text, (golden.rgb, golden.source))), "the golden crop is no text")
    _need(is_mapping(golden.probabilities), "the golden probabilities are no mapping")
    for name, row in golden.probabilities.items():
        fits = is_row(row) and all(map(_number, row))
        _need(fits, f"the golden probabilities of {_short(name)} are no numbers")


def _output(name: str, output: Output, outputs: Mapping[str, Output]) -> None:
    what, labels = f"output {_short(name)}", output.labels
    _need(_text(output.label_set), f"{what}: label_set is no text")
    _need(all(_text(label) and label for label in labels), f"{what}: a label is no text")
    _need(1 <= len(labels) <= _MOST_LABELS, f"{what} has {len(labels)} labels")
    _need(len(set(labels)) == len(labels), f"{what} has a label twice")
    for row, values in (("bias", output.bias), ("prior", output.prior)):
        fits = len(values) in (0, len(labels)) and all(map(_number, values))
        _need(fits, f"{what}: {row} is not one number per label")
    _need(not output.prior or min(output.prior) > 0, f"{what}: a share of the prior is not above 0")
    _need(not output.prior or abs(sum(output.prior) - 1) < 0.01, f"{what}: the prior's shares do not come to 1")
    _need(_number(output.temperature) and output.temperature > 0, f"{what}: the temperature is no number above 0")
    _need(_number(output.power), f"{what}: the power is no number")
    for row, mapping in (("abstain", output.abstain), ("fusion", output.fusion), ("metrics", output.metrics)):
        _need(is_mapping(mapping), f"{what}: {row} is no mapping")
    for rate, least in output.abstain.items():
        _need(_number(least) and 0 <= _as_number(rate) <= 1, f"{what}: abstain is no mapping of rates to probabilities")
    for head, weight in output.fusion.items():
        known = head in outputs and not outputs[head].fusion and _number(weight)
        _need(known, f"{what}: fused from {_short(head)}, which is no head of the network")


def _need(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _text(value: object) -> bool:
    """What a card states is checked whatever its fields should be: it was read from a file."""
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _as_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _short(value: object) -> str:
    return shown(repr(value), 60)
