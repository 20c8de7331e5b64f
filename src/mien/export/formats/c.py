"""C99 source with the weights in it: for boards with a C compiler and nothing else.

Integer arithmetic, no allocation: the memory it takes is known when it is compiled, and printed in ``mien.h``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.errors import ExportError
from mien.export.formats.base import Source
from mien.export.formats.lowered import Layer, Network, lower
from mien.models import Card, Output

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")


class CSource:
    """A folder of C: ``mien.h`` and ``mien.c`` to build in, ``example.c`` that reads faces, the card beside them."""

    name, title, suffix, extra = "c", "C source", "-c", "c"
    folder = True
    faces: int | None = 500

    def convert(self, source: Source, place: Path) -> None:
        """Write the folder."""
        network, card = lower(source), source.card
        place.mkdir()
        ours = resources.files("mien.export") / "formats"
        for name in ("kernels.h", "example.c"):
            (place / name).write_bytes((ours / name).read_bytes())
        (place / "mien.h").write_text(_header(card, network), encoding="utf-8")
        (place / "mien.c").write_text(_program(card, network), encoding="utf-8")
        (place / "card.json").write_text(source.sidecar(f"mien {__version__}"), encoding="utf-8")

    def open(self, place: Path, card: Card) -> Compiled | None:
        """The folder, compiled; None without a C compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        return Compiled(compile_with([compiler, "-O3"], place), card) if compiler else None

    def runtime(self) -> str:
        """Name and version of the compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if not compiler:
            return "no C compiler"
        said = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, check=False)
        return f"{Path(compiler).resolve().name} {said.stdout.strip()}"


def compile_with(compiler: Sequence[str], place: Path, program: str = "example") -> Path:
    """Compile the folder's example; every warning is an error.

    Raises:
        ExportError: the compiler refuses it.
    """
    made = place.parent / f"{place.name}-{program}"
    files = [str(place / name) for name in ("example.c", "mien.c")]
    done = subprocess.run(
        [*compiler, *WARNINGS, *files, "-lm", "-o", str(made)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ExportError(f"{compiler[0]} does not compile the C source: {done.stderr.strip().partition(chr(10))[0]}")
    return made


class Compiled:
    """The compiled example as a scorer: a process for each call.

    Args:
        program: the file.
        card: of the model.
        emulator: command before it, for another processor's.
    """

    starts = True

    def __init__(self, program: Path, card: Card, emulator: Sequence[str] = ()) -> None:
        self.size = program.stat().st_size  # bytes; the source is text
        self.card, self._command = card, [*emulator, str(program.resolve())]

    def score(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Probabilities, as :meth:`mien.models.Model.score`, for crops of the card's size."""
        done = subprocess.run(
            self._command, input=np.ascontiguousarray(crops).tobytes(), capture_output=True, check=False
        )
        columns = sum(len(output.labels) for output in self.card.outputs.values())
        rows = np.array(done.stdout.split(), np.float32)
        if done.returncode or rows.size != len(crops) * columns:
            raise ExportError(f"the compiled C source ends with {done.returncode} after {rows.size // columns} faces")
        ends = np.cumsum([len(output.labels) for output in self.card.outputs.values()])[:-1]
        parts = np.split(rows.reshape(len(crops), columns), ends, axis=1)
        return dict(zip(self.card.outputs, parts, strict=True))


def plan(network: Network) -> tuple[list[int], int]:
    """Where each tensor lies in one block of memory, so that those that live at once do not overlap.

    Returns:
        Offset of each tensor, and the bytes of the block.
    """
    last = {0: 0}
    for step, layer in enumerate(network.layers):
        last |= dict.fromkeys(layer.inputs, step) | {layer.output: step}
    last[network.layers[-1].output] = len(network.layers)
    places: dict[int, int] = {0: 0}
    for step, layer in enumerate(network.layers):
        taken = sorted((places[n], places[n] + network.tensors[n].size) for n in places if last[n] >= step)
        start, size = 0, network.tensors[layer.output].size
        for begin, end in taken:
            if start + size <= begin:
                break
            start = max(start, end)
        places[layer.output] = start
    ends = [places[number] + tensor.size for number, tensor in enumerate(network.tensors)]
    return [places[number] for number in range(len(network.tensors))], max(ends)


def _header(card: Card, network: Network) -> str:
    memory = plan(network)[1] + _window(network)
    flash = sum(layer.weights.size + 8 * len(layer.bias) for layer in network.layers)
    flash += sum(head.weights.size + 8 * len(head.bias) for head in network.heads)
    lines = [
        f"/* {_plain(card.name)} {_plain(card.version)}: {flash:,} bytes of constants, {memory:,} of memory. */",
        "#ifndef MIEN_H\n#define MIEN_H\n\n#include <stdint.h>\n",
        f"#define MIEN_HEIGHT {card.height}\n#define MIEN_WIDTH {card.width}",
        "#define MIEN_FACE_BYTES (MIEN_HEIGHT * MIEN_WIDTH * 3)",
        f"#define MIEN_ANSWERS {sum(len(output.labels) for output in card.outputs.values())}\n",
        "/* Where each output begins among the answers, and its labels. */",
    ]
    start = 0
    for name, output in card.outputs.items():
        lines.append(f"#define MIEN_{_identifier(name).upper()} {start} /* {', '.join(map(_plain, output.labels))} */")
        start += len(output.labels)
    lines += [
        "\n/* RGB bytes of one face, cut as card.json says, to all its probabilities. Not for two threads at once. */",
        "void mien_predict(const uint8_t rgb[MIEN_FACE_BYTES], float answers[MIEN_ANSWERS]);\n",
        "/* A face, and what must come out of it within 0.1. */",
        "extern const uint8_t mien_golden_face[MIEN_FACE_BYTES];",
        "extern const float mien_golden_answers[MIEN_ANSWERS];\n\n#endif\n",
    ]
    return "\n".join(lines)


def _program(card: Card, network: Network) -> str:
    places, memory = plan(network)
    golden = [p for name in card.outputs for p in card.golden.probabilities[name]]
    lines = [
        '#include "mien.h"\n#include "kernels.h"\n',
        _array("const uint8_t mien_golden_face[MIEN_FACE_BYTES]", card.golden_crop().ravel()),
        _array("const float mien_golden_answers[MIEN_ANSWERS]", np.array(golden, np.float32)),
        _array("static const float mix[]", network.mix.ravel()),
        _array("static const float offset[]", network.offset),
        f"static uint8_t memory[{memory}];\nstatic uint8_t window[{_window(network)}];\n",
    ]
    for number, layer in enumerate(network.layers):
        if layer.kind == "conv":
            lines += _convolution(number, layer, network)
    for head in network.heads:
        name = _identifier(head.label_set)
        lines += [
            _array(f"static const int8_t {name}_weights[]", head.weights.ravel()),
            _array(f"static const float {name}_scales[]", head.scales),
            _array(f"static const float {name}_bias[]", head.bias),
        ]
    for name, output in card.outputs.items():
        lines.append(_array(f"static const float {_identifier(name)}_prior[]", _bias(output)))
    lines.append("void mien_predict(const uint8_t rgb[MIEN_FACE_BYTES], float answers[MIEN_ANSWERS])\n{")
    for number, tensor in enumerate(network.tensors):
        numbers = (*tensor.shape, tensor.zero, _float(tensor.scale))
        lines.append(
            f"    const mien_tensor t{number} = {{memory + {places[number]}, {', '.join(map(str, numbers))}}};"
        )
    lines.append("    mien_read(rgb, mix, offset, &t0);")
    lines += [_call(number, layer) for number, layer in enumerate(network.layers)]
    return "\n".join([*lines, *_tail(card, network), "}", ""])


def _convolution(number: int, layer: Layer, network: Network) -> list[str]:
    source, target = network.tensors[layer.inputs[0]], network.tensors[layer.output]
    sums = layer.weights.reshape(len(layer.weights), -1).sum(axis=1, dtype=np.int64)
    bias = (layer.bias - source.zero * sums).astype(np.int32)
    multipliers = (source.scale * layer.scales.astype(np.float64) / target.scale).astype(np.float32)
    height, width = layer.weights.shape[1:3]
    return [
        _array(f"static const int8_t weights{number}[]", layer.weights.ravel()),
        _array(f"static const int32_t bias{number}[]", bias),
        _array(f"static const float multipliers{number}[]", multipliers),
        f"static const mien_convolution c{number} = {{weights{number}, bias{number}, multipliers{number},"
        f" {height}, {width}, {layer.stride}, {layer.pads[0]}, {layer.pads[1]}}};\n",
    ]


def _call(number: int, layer: Layer) -> str:
    inputs = ", ".join(f"&t{one}" for one in layer.inputs)
    if layer.kind == "conv":
        return f"    mien_convolve({inputs}, &c{number}, &t{layer.output}, window);"
    return f"    mien_{layer.kind}({inputs}, &t{layer.output});"


def _tail(card: Card, network: Network) -> Iterable[str]:
    """From the last tensor to probabilities, as the card says."""
    last, start, starts = network.layers[-1].output, 0, {}
    for name, output in card.outputs.items():
        starts[name] = start
        start += len(output.labels)
    for name, output in card.heads.items():
        values, head, k = _identifier(name), _identifier(output.label_set), len(output.labels)
        yield f"    float {values}[{k}];"
        yield f"    mien_answer_of(&t{last}, {head}_weights, {head}_scales, {head}_bias, {k}, {values});"
        yield _calibrate(name, output, starts[name])
    for name, output in card.outputs.items():
        if output.fusion:
            values, k = _identifier(name), len(output.labels)
            parts = [f"{_float(weight)} * {_identifier(part)}[i]" for part, weight in output.fusion.items()]
            yield f"    float {values}[{k}];"
            yield f"    for (int i = 0; i < {k}; i++)\n        {values}[i] = {' + '.join(parts)};"
            yield _calibrate(name, output, starts[name])


def _calibrate(name: str, output: Output, start: int) -> str:
    values = _identifier(name)
    numbers = f"{len(output.labels)}, {_float(output.temperature)}, {_float(output.power)}, {values}_prior"
    return f"    mien_calibrate({values}, {numbers}, answers + {start});"


def _bias(output: Output) -> NDArray[np.float32]:
    return np.array(output.bias or np.zeros(len(output.labels)), np.float32)


def _window(network: Network) -> int:
    return max([int(np.prod(layer.weights.shape[1:])) for layer in network.layers if layer.kind == "conv"])


def _array(declaration: str, numbers: NDArray[np.generic]) -> str:
    shown = [_float(n) for n in numbers] if numbers.dtype == np.float32 else [str(n) for n in numbers.tolist()]
    lines = [", ".join(shown[start : start + 24]) for start in range(0, len(shown), 24)]
    return f"{declaration} = {{\n" + ",\n".join(lines) + "\n};\n"


def _float(number: float) -> str:
    return f"{float(np.float32(number)):.9e}f"


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def _plain(text: str) -> str:
    """What is safe inside a comment."""
    return re.sub(r"[^\w .,+-]", "_", text)
