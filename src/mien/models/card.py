"""The card: what a model file says of itself, and how it sits in the file.

A model file is an ONNX graph followed by one last ``metadata_props`` entry, key ``mien``, whose value is the card
as JSON. Protobuf reads repeated fields wherever they stand, so any ONNX tool sees ordinary metadata; and because
the entry is last, card and graph can be told apart, and their sha256 checked, without parsing ONNX. ``sha256`` in the
card is that of graph and card together, with zeros in its own place.

Owns the card's schema and bytes. Refuses to load or run graphs.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError, shown
from mien.models.card_rules import check
from mien.narrowing import is_mapping, is_object, is_row

FORMAT = 3
#: Older formats that are read as well: 1 knew no fusion and no prior, 2 no sha256 over graph and card.
_READ = (1, 2, FORMAT)
_UNSEALED = (1, 2)
_NO_SEAL = "0" * 64
_LARGEST = 2**24  # bytes of a card
_KEY = b"mien"
_METADATA_PROPS, _KEY_FIELD, _VALUE_FIELD = 0x72, 0x0A, 0x12  # (field number << 3) | length-delimited


@dataclass(frozen=True)
class Output:
    """One named output of the graph.

    Attributes:
        labels: names of the columns, in order.
        label_set: what it was trained on: ``ferplus``, ``fer2013`` or a data set's own; ``expressions`` for the
            fusion of both.
        temperature, power: of the calibration in the graph, fitted on validation; see
            :class:`mien.evaluate.calibration.Calibration`. Older files have no power, which is a power of 1.
        bias: one number per label, added then; empty for none.
        abstain: share of wrong answers (as text, "0.05") to the least probability that an answer must have for that,
            chosen on validation so that it holds with 95 % certainty for faces of the same kind; empty in older files.
        metrics: split to figures, as ``mien evaluate`` printed them, with n and interval.
        fusion: for an output that is fused from others, name of each to the weight of its log-probabilities, before
            temperature and bias; empty for a head of the network.
        prior: share of each label among the faces that the probabilities are calibrated for, summing to 1; empty where
            the card does not say.
    """

    labels: tuple[str, ...]
    label_set: str
    temperature: float
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    bias: tuple[float, ...] = ()
    abstain: Mapping[str, float] = field(default_factory=dict[str, float])
    power: float = 1.0
    fusion: Mapping[str, float] = field(default_factory=dict[str, float])
    prior: tuple[float, ...] = ()


@dataclass(frozen=True)
class Golden:
    """A crop and what the file makes of it, so that any caller can check its own pipeline.

    Attributes:
        rgb: base64 of the raw RGB uint8 bytes (height, width, 3) of the card's size.
        probabilities: output name to the expected probabilities.
        source: the picture that the crop was cut from, and its licence.
    """

    rgb: str
    probabilities: Mapping[str, tuple[float, ...]]
    source: str


@dataclass(frozen=True)
class Card:
    """What a model file says of itself.

    Attributes:
        name, version: of the model.
        outputs: named outputs of the graph; the first is what users see.
        height, width: pixels of the crops the network was trained on; the graph resizes others.
        framing: detector name to the numbers of the square that is cut around its box.
        framing_rule: the formula those numbers go into, and how the square is resized.
        golden: a crop with its expected probabilities.
        recipe: the whole recipe it was trained with.
        data: name, fingerprint and source of the training table.
        training: seed, environment, parameters, epochs and time.
        licence, data_terms, intended_use: what a deployer must know.
        graph_sha256: of the file without the card; of the fitted pipeline where there is no graph.
    """

    name: str
    version: str
    outputs: Mapping[str, Output]
    height: int
    width: int
    framing: Mapping[str, Mapping[str, float]]
    framing_rule: str
    golden: Golden
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    licence: str
    data_terms: str
    intended_use: str
    graph_sha256: str = ""

    @property
    def heads(self) -> dict[str, Output]:
        """The outputs that are heads of the network, not fused from others."""
        return {name: output for name, output in self.outputs.items() if not output.fusion}

    @property
    def lineage(self) -> tuple[str, ...]:
        """What the network descends from besides its training table, a line each; older cards name it by recipe."""
        stated = self.training.get("lineage")
        if is_row(stated):
            return tuple(map(str, stated))
        network, distillation = (self.recipe.get(key) for key in ("network", "distillation"))
        weights = network.get("weights") if is_mapping(network) else None
        named = [name for name in weights.values() if name] if is_mapping(weights) else []
        teachers = distillation.get("teachers") if is_mapping(distillation) else None
        started = [f"started from {name}" for name in named]
        return (*started, *(f"learned the answers of {name}" for name in teachers or ()))

    def golden_crop(self) -> NDArray[np.uint8]:
        """The golden crop: RGB uint8 (height, width, 3)."""
        raw = base64.b64decode(self.golden.rgb)
        return np.frombuffer(raw, np.uint8).reshape(self.height, self.width, 3)

    def threshold(self, error_rate: float) -> float:
        """The least probability of the first output that counts as an answer, at a share of wrong ones among those.

        Taken for the largest rate the card knows that is not above ``error_rate``: rather too strict than too lax.

        Raises:
            ModelError: the card knows no rate that low.
        """
        known = {float(rate): least for rate, least in next(iter(self.outputs.values())).abstain.items()}
        fitting = [rate for rate in known if rate <= error_rate]
        if not fitting:
            told = f"only for {', '.join(f'{rate:g}' for rate in sorted(known))}" if known else "nor for any other"
            raise ModelError(
                f"the model '{shown(self.name)}' does not say how sure it must be for a share of {error_rate:g}"
                " wrong answers,"
                f" {told}; mien export fits that on validation"
            )
        return known[max(fitting)]

    def to_json(self) -> str:
        """The card as JSON."""
        return json.dumps({"format": FORMAT} | asdict(self), ensure_ascii=False)


def attach(graph: bytes, card: Card) -> bytes:
    """The bytes of a model file: the graph, then the card with the graph's sha256 and that of both together."""
    document = json.loads(card.to_json()) | {"graph_sha256": hashlib.sha256(graph).hexdigest()}
    first = {"format": document.pop("format"), "sha256": _NO_SEAL}
    value = json.dumps(first | document, ensure_ascii=False).encode()
    return graph + _entry(value.replace(_NO_SEAL.encode(), _seal(graph, value).encode(), 1))


def detach(file: bytes, where: str = "the file") -> tuple[bytes, Card]:
    """The graph and the card of a model file.

    Raises:
        ModelError: there is no card, it lacks something, or graph or card is not what was written.
    """
    start = file.rfind(_field(_KEY_FIELD, _KEY) + bytes([_VALUE_FIELD]))
    if start < 0:
        raise ModelError(f"{where} carries no card of mien: it is no model file made by mien export")
    size, begin = _read_varint(file, start + len(_field(_KEY_FIELD, _KEY)) + 1)
    value = file[begin : begin + size]
    entry = _entry(value)
    if not file.endswith(entry):
        raise ModelError(f"{where} is damaged: its card is not the last thing in the file; fetch or export it again")
    graph = file[: -len(entry)]
    document = _document(value, where)
    seal = document.get("sha256")
    card = _card(document, where)
    if hashlib.sha256(graph).hexdigest() != card.graph_sha256:
        raise ModelError(f"{where} is damaged: its graph is not the one its card names; fetch or export it again")
    if document["format"] in _UNSEALED:
        return graph, card
    blank = value.replace(str(seal).encode(), _NO_SEAL.encode(), 1)
    if not isinstance(seal, str) or _seal(graph, blank) != seal:
        raise ModelError(f"{where} is damaged: its card is not the one that was written; fetch or export it again")
    return graph, card


def parse(value: bytes, where: str) -> Card:
    """A card from its JSON alone.

    Raises:
        ModelError: it is none, or of another format.
    """
    return _card(_document(value, where), where)


def _seal(graph: bytes, value: bytes) -> str:
    """The sha256 of graph and card."""
    return hashlib.sha256(hashlib.sha256(graph).digest() + value).hexdigest()


def _document(value: bytes, where: str) -> dict[str, Any]:
    """A card's JSON, of a format that is read."""
    try:
        if len(value) > _LARGEST:
            raise ValueError(f"{len(value):,} bytes are too many")
        document = json.loads(value)
        if b"\\u" in value:  # half a pair, which no terminal or file takes
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _invalid(where, "nested too deep" if isinstance(error, RecursionError) else str(error)) from error
    if not is_object(document) or "format" not in document:
        raise _invalid(where, "it names no format")
    if document["format"] not in _READ:
        known = f"{', '.join(map(str, _READ[:-1]))} and {FORMAT}"
        found = shown(repr(document["format"]), 40)
        raise ModelError(f"{where} has card format {found}, this mien reads {known}: update mien or export again")
    return document


def _card(document: Mapping[str, Any], where: str) -> Card:
    """The card of a document.

    Raises:
        ModelError: something is missing or wrong.
    """
    try:
        fields = {name: value for name, value in document.items() if name not in ("format", "sha256")}
        fields["outputs"] = {name: _output(output) for name, output in fields["outputs"].items()}
        fields["golden"] = Golden(**fields["golden"])
        card = Card(**fields)
        check(card)
        card.golden_crop()
    except KeyError as error:
        raise _invalid(where, f"{error} is missing") from error
    except ValueError as error:
        raise _invalid(where, str(error)) from error
    except (TypeError, AttributeError, RecursionError) as error:  # in Python's words, with the card's own in them
        raise _invalid(where, shown(error, 160)) from error
    return card


def _output(stated: Mapping[str, Any]) -> Output:
    rows = {key: stated.get(key, ()) for key in ("labels", "bias", "prior")}
    wrong = next((key for key, row in rows.items() if not isinstance(row, (list, tuple))), None)
    if wrong:
        raise ValueError(f"{wrong} is no list")
    fields: dict[str, Any] = {**stated, **{key: tuple(row) for key, row in rows.items()}}
    return Output(**fields)


def _invalid(where: str, reason: str) -> ModelError:
    return ModelError(f"{where} has no valid card: {reason}; export it again")


def _entry(value: bytes) -> bytes:
    return _field(_METADATA_PROPS, _field(_KEY_FIELD, _KEY) + _field(_VALUE_FIELD, value))


def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number that starts at a position, and the position behind it."""
    number = shift = 0
    for offset in range(position, min(position + 5, len(data))):
        number |= (data[offset] & 0x7F) << shift
        if data[offset] <= 0x7F:
            return number, offset + 1
        shift += 7
    return 0, len(data)
