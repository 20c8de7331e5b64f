"""Other runtimes' formats of a tiny 8-bit model: what they answer, what they carry, and what the gate refuses."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from mien import models
from mien.cli import app
from mien.errors import ExportError, MissingExtraError, WriteError
from mien.export import gates, package
from mien.export.formats import FORMATS, c, exporting
from mien.export.formats.base import Source
from mien.export.formats.faces import made_faces
from mien.export.formats.litert_writer import write
from mien.export.formats.lowered import Network, lower
from mien.export.formats.parity import change_of_accuracy, judge
from mien.export.formats.specialise import cut, dequantised, fixed


@pytest.fixture(scope="module")
def tiny(finished, patterns, tmp_path_factory) -> Source:
    """The run of the other tests in 8 bit; on 35 faces the gate of export itself is a coin's toss."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "AGREEMENT", 0.5)
        patch.setattr(gates, "ACCURACY_LOSS", 50)
        options = package.Options(precision="int8", calibration_faces=60)
        out = tmp_path_factory.mktemp("formats") / "tiny.onnx"
        return Source(package.package(finished, patterns, out, None, options).path)


@pytest.fixture(scope="module")
def model(tiny) -> models.Model:
    return models.load(tiny.path, threads=1)


def opened(name, source, folder):
    """A format, made and ready to be asked; the test skips where its extra or its machine is not there."""
    form, place = FORMATS[name], folder / f"model{FORMATS[name].suffix}"
    try:
        form.convert(source, place)
        scorer = form.open(place, source.card)
    except MissingExtraError as error:
        pytest.skip(str(error))
    if scorer is None:
        pytest.skip(f"{form.title} cannot be run here")
    return place, scorer


@pytest.mark.parametrize(
    ("name", "bound"), [("ort", 1e-6), ("openvino", 0.05), ("litert", 0.01), ("ncnn", 0.05), ("c", 0.01)]
)
def test_a_format_answers_as_the_model_file(name, bound, tiny, model, tmp_path):
    _, scorer = opened(name, tiny, tmp_path)
    faces = np.concatenate([tiny.card.golden_crop()[None], made_faces(tiny.card, 30)])
    before, after = model.score(faces), scorer.score(faces)
    assert list(after) == list(tiny.card.outputs)
    for output, rows in before.items():
        assert np.abs(rows - after[output]).max() <= bound
        assert after[output].sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert max(np.ptp(rows, axis=0).max() for rows in before.values()) > 0.02  # faces that all read alike show nothing


@pytest.mark.parametrize("name", ["ort", "openvino", "litert", "ncnn", "c"])
def test_the_card_and_the_source_travel_in_each_format(name, tiny, tmp_path):
    place, scorer = opened(name, tiny, tmp_path)
    if name == "ort":
        told = scorer.session.get_modelmeta().custom_metadata_map
    elif name == "openvino":
        import openvino

        read = openvino.Core().read_model(place / "model.xml")
        told = {key: read.get_rt_info([key]).astype(str) for key in ("mien", "mien_source")}
    elif name == "litert":
        from ai_edge_litert import schema_py_generated as schema

        file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(place.read_bytes()))
        told = {one.name.decode(): bytes(file.buffers[one.buffer].data).decode() for one in file.metadata}
    else:
        told = {key: json.dumps(value) for key, value in json.loads((place / "card.json").read_text("utf-8")).items()}
    assert json.loads(told["mien"]) == json.loads(tiny.card.to_json())
    assert json.loads(told["mien_source"])["sha256"] == hashlib.sha256(tiny.path.read_bytes()).hexdigest()


def test_constants_of_litert_begin_where_processors_want_them(tiny):
    from ai_edge_litert import schema_py_generated as schema

    file = write(lower(tiny), tiny.card, {"a": "odd"})
    read = schema.Model.GetRootAs(file)
    vectors = [read.Buffers(i) for i in range(read.BuffersLength()) if read.Buffers(i).DataLength()]
    starts = [one._tab.Vector(one._tab.Offset(4)) for one in vectors]
    assert len(starts) > 20
    assert {start % 16 for start in starts} == {0}


def test_the_c_source_compiles_without_a_warning_and_knows_its_golden_crop(tiny, tmp_path):
    place, _ = opened("c", tiny, tmp_path)
    program = c.compile_with([shutil.which("cc") or "gcc", "-O2", "-pedantic", "-Wconversion"], place, "strict")
    done = subprocess.run([str(program), "--golden"], capture_output=True, text=True, check=True)
    assert "largest difference of the golden crop: 0.00" in done.stdout
    source = (
        (place / "mien.c")
        .read_text("utf-8")
        .replace("mien_calibrate(probabilities, 7, ", "mien_calibrate(probabilities, 7, 99.0f * ")
    )
    (place / "mien.c").write_text(source, encoding="utf-8")
    program = c.compile_with([shutil.which("cc") or "gcc"], place, "wrong")
    assert subprocess.run([str(program), "--golden"], capture_output=True, check=False).returncode == 1


def test_memory_is_shared_by_tensors_that_never_live_at_once(tiny):
    network = lower(tiny)
    places, size = c.plan(network)
    assert size < sum(tensor.size for tensor in network.tensors) / 2
    spans = [(place, place + tensor.size) for place, tensor in zip(places, network.tensors, strict=True)]
    for step, layer in enumerate(network.layers):
        later = {number for one in network.layers[step + 1 :] for number in one.inputs}
        for number in {*layer.inputs, *(n for n in later if n <= max(layer.inputs))} - {layer.output}:
            one, other = spans[number], spans[layer.output]
            assert one[1] <= other[0] or other[1] <= one[0], (step, number)


def with_ranges(network: Network, ranges: list[tuple[float, float]]) -> Network:
    """The network with its activations rounded between other bounds, as a converter that measures them does."""
    tensors = []
    for tensor, (low, high) in zip(network.tensors, ranges, strict=True):
        low, high = min(low, 0.0), max(high, 1e-3)
        scale = (high - low) / 255
        tensors.append(replace(tensor, scale=scale, zero=round(-low / scale)))
    layers = []
    for layer in network.layers:
        if layer.kind == "conv":
            ratio = network.tensors[layer.inputs[0]].scale / tensors[layer.inputs[0]].scale
            layer = replace(layer, bias=np.round(layer.bias * ratio).astype(np.int32))
        layers.append(layer)
    return replace(network, tensors=tuple(tensors), layers=tuple(layers))


class FromNetwork:
    """A format of the gate that writes LiteRT from a network that a test spoiled."""

    name, title, suffix, extra = "litert", "spoiled", ".tflite", "litert"
    folder = False
    faces: int | None = None

    def __init__(self, change):
        self.change = change

    def convert(self, source, place):
        place.write_bytes(write(self.change(lower(source)), source.card, {}))

    def open(self, place, card):
        return FORMATS["litert"].open(place, card)

    def runtime(self):
        return "spoiled"


def outlying(network: Network) -> Network:
    """What min-max ranges become where single faces have activations far from all others'."""
    return with_ranges(network, [(-80 * t.scale * t.zero, 80 * t.scale * (255 - t.zero)) for t in network.tensors])


def without_relu(network: Network) -> Network:
    """Activations may fall below zero, where the 8-bit file ends them."""
    ranges = []
    for number, tensor in enumerate(network.tensors):
        low, high = -tensor.scale * tensor.zero, tensor.scale * (255 - tensor.zero)
        ranges.append((-high if number and not tensor.zero else low, high))
    return with_ranges(network, ranges)


@pytest.mark.parametrize("change", [outlying, without_relu])
def test_ranges_that_were_measured_anew_and_a_relu_that_was_lost_are_refused(change, tiny, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'mien[landmarks]'")
    out = tmp_path / "spoiled.tflite"
    with pytest.raises(ExportError, match=r"^spoiled is not written: .*, (allowed|asked) are") as refused:
        exporting.export(tiny.path, FromNetwork(change), out)
    assert "\n" not in str(refused.value)
    assert not out.exists()
    assert exporting.export(tiny.path, FromNetwork(lambda network: network), out).status == "passed"
    assert out.exists()


def test_a_folder_is_replaced_only_when_asked_and_whole(tiny, tmp_path):
    out = tmp_path / "tiny-c"
    exporting.export(tiny.path, FORMATS["c"], out)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(WriteError, match="--overwrite"):
        exporting.export(tiny.path, FORMATS["c"], out)
    assert (out / "mine.txt").exists()
    exporting.export(tiny.path, FORMATS["c"], out, overwrite=True)
    assert not (out / "mine.txt").exists()
    assert {one.name for one in tmp_path.iterdir()} == {"tiny-c"}


def test_32_bit_files_and_unknown_layers_are_refused_in_one_line(tiny):
    class Exact(Source):
        def graph(self):
            return dequantised(super().graph())

    with pytest.raises(ExportError, match="--precision int8"):
        lower(Exact(tiny.path))

    class Odd(Source):
        def graph(self):
            model = super().graph()
            next(node for node in model.graph.node if node.op_type == "Add").op_type = "Max"
            return model

    with pytest.raises(ExportError, match=r"^the network has Max \(.*\), which this format is not written for$"):
        lower(Odd(tiny.path))


def test_32_bit_graphs_keep_the_relu_that_8_bit_numbers_carry(tiny, model):
    graph = dequantised(fixed(tiny.graph(), tiny.card))
    kinds = [node.op_type for node in graph.graph.node]
    assert "Relu" in kinds
    assert not {"Resize", "QuantizeLinear", "DequantizeLinear"} & set(kinds)
    from mien.runtime import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    crop = tiny.card.golden_crop()[None]
    for said, rows in zip(session.run(None, {"faces": crop}), model.score(crop).values(), strict=True):
        assert said == pytest.approx(rows, abs=0.05)
    core = cut(graph, ["faces_unit"], ["logits_ferplus", "logits_fer2013"])
    assert [one.name for one in core.graph.input] == ["faces_unit"]
    onnx.checker.check_model(core)


def test_labels_are_asked_of_validation_and_answers_of_test(tiny, model, patterns):
    found = judge(model, model, patterns)
    assert found.faces == "35 validation and 35 test faces"
    assert {one.faces for one in found.outputs} == {70}
    assert max(one.labelled for one in found.outputs) <= 35
    assert found.outputs[0].change == 0
    assert not found.faults()
    few = judge(model, model, patterns, limit=10)
    assert {one.faces for one in few.outputs} == {20}


def test_the_change_of_accuracy_has_an_interval_that_narrows_with_faces():
    before, after = np.array([True] * 90 + [False] * 10), np.array([True] * 87 + [False] * 13)
    change, (low, high) = change_of_accuracy(before, after)
    assert change == pytest.approx(-3)
    assert low < -3 < high
    _, (lower_, upper) = change_of_accuracy(np.tile(before, 100), np.tile(after, 100))
    assert upper - lower_ < (high - low) / 5
    assert upper < 0


def test_all_formats_come_with_a_table_and_reasons(tiny, patterns_path, tmp_path, monkeypatch):
    def missing(self, source, place):
        raise MissingExtraError("this needs openvino, which is not installed: pip install 'mien[openvino]'")

    chosen = {name: FORMATS[name] for name in ("ort", "openvino")} | {"spoiled": FromNetwork(outlying)}
    monkeypatch.setattr("mien.export.formats.FORMATS", chosen)
    monkeypatch.setattr("mien.export.formats.openvino.OpenVINO.convert", missing)
    ask = ["export", str(tiny.path), "--all", "--data", str(patterns_path), "-o", str(tmp_path / "all")]
    done = CliRunner().invoke(app, ask)
    assert done.exit_code == 1
    rows = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("|")}
    assert "| passed |" in rows["ONNX Runtime, .ort"]
    assert "100.00 (n = 70)" in rows["ONNX Runtime, .ort"]
    assert "| not installed |" in rows["OpenVINO IR"]
    assert "| failed |" in rows["spoiled"]
    assert "pip install 'mien[openvino]'" in done.stdout
    assert [one.name for one in (tmp_path / "all").iterdir()] == ["tiny.ort"]


def test_one_format_of_an_installed_model_takes_no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["export", "fast", "--format", "ort"], catch_exceptions=False)
    assert done.stdout.strip() == "fast.ort"
    assert (tmp_path / "fast.ort").exists()
    assert "200 faces made from the golden crop, no data" in done.stderr
