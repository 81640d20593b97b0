"""int8: what is decided, and what is written."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgekit.core.errors import BadInput
from edgekit.export.calibrate import mixed_ranges
from edgekit.export.decisions import read_decisions, write_decisions
from edgekit.export.graph import at_least_opset, head_nodes
from edgekit.export.quantize import calibrate, write_int8
from edgekit.export.statistics import expected, mean_corrections

pytest.importorskip("nncf", reason="nncf is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # NNCF's own

_spec = importlib.util.spec_from_file_location(
    "small_graphs", Path(__file__).with_name("small_graphs.py")
)
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

SHAPES = {"x": (1, 3, 8, 8)}


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A detector-like model, its decisions, and both dialects."""
    folder = tmp_path_factory.mktemp("int8")
    model = small.convolutions(folder / "m.onnx")
    decisions = calibrate(model, small.samples(SHAPES), task="detection", record={"split": "calib"})
    for dialect in ("u8s8", "s8s8"):
        write_int8(model, decisions, dialect, folder / f"{dialect}.onnx")
    return folder, decisions


def _tensors(path):
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}


def test_both_convolutions_are_quantized_and_the_head_is_not(quantized):
    _, decisions = quantized
    assert [node.output for node in decisions.nodes] == ["c1", "c2"]
    assert [entry.tensor for entry in decisions.activations] == ["x", "r1"]
    assert decisions.calibration.samples == 4
    assert decisions.calibration.record == {"split": "calib"}


@pytest.mark.parametrize("dialect", ["u8s8", "s8s8"])
def test_int8_output_is_close_to_float(quantized, dialect):
    folder, _ = quantized
    feed = small.samples(SHAPES, 1)[0]
    wanted = small.run(folder / "m.onnx", feed)[0]
    assert small.sqnr_db(wanted, small.run(folder / f"{dialect}.onnx", feed)[0]) > 25


def test_weights_are_stored_as_int8_only(quantized):
    folder, _ = quantized
    tensors = _tensors(folder / "u8s8.onnx")
    assert not {"w1", "w2", "b1", "b2"} & set(tensors)
    assert tensors["w1/quantized"].dtype == np.int8
    assert tensors["w1/quantized"].shape == (8, 3, 3, 3)
    assert tensors["w1/scale"].shape == (8,)
    assert np.abs(tensors["w1/quantized"]).reshape(8, -1).max(axis=1).tolist() == [127] * 8


def test_u8s8_has_uint8_activations_and_int32_biases(quantized):
    folder, _ = quantized
    tensors = _tensors(folder / "u8s8.onnx")
    assert tensors["x/zero_point"].dtype == np.uint8
    assert tensors["x/scale"].shape == ()
    assert tensors["c1/bias/quantized"].dtype == np.int32


def test_s8s8_is_symmetric_and_has_float_biases(quantized):
    folder, decisions = quantized
    tensors = _tensors(folder / "s8s8.onnx")
    zeros = [value for name, value in tensors.items() if name.endswith("zero_point")]
    assert all(value.dtype == np.int8 and not value.any() for value in zeros)
    assert tensors["c1/bias"].dtype == np.float32
    entry = decisions.activations[0]
    assert 0 < entry.symmetric <= max(abs(entry.minimum), abs(entry.maximum))
    assert tensors["x/scale"] == pytest.approx(entry.symmetric / 127)


def test_metadata_opset_and_ir_version_survive(quantized):
    folder, _ = quantized
    before, after = onnx.load(str(folder / "m.onnx")), onnx.load(str(folder / "u8s8.onnx"))
    assert {p.key: p.value for p in after.metadata_props} == {"edgekit.card": "{}"}
    assert after.opset_import == before.opset_import
    assert after.ir_version == before.ir_version
    onnx.checker.check_model(after, full_check=True)


def test_the_decisions_alone_write_the_same_bytes(quantized, tmp_path):
    folder, decisions = quantized
    write_decisions(decisions, tmp_path / "quantization.json")
    again = read_decisions(tmp_path / "quantization.json")
    assert again == decisions
    for dialect in ("u8s8", "s8s8"):
        write_int8(folder / "m.onnx", again, dialect, tmp_path / "again.onnx")
        wanted = (folder / f"{dialect}.onnx").read_bytes()
        assert (tmp_path / "again.onnx").read_bytes() == wanted


def test_calibrating_twice_gives_the_same_document(quantized):
    folder, decisions = quantized
    again = calibrate(
        folder / "m.onnx", small.samples(SHAPES), task="detection", record={"split": "calib"}
    )
    assert again.to_json() == decisions.to_json()


def test_every_range_covers_zero_exactly(quantized):
    """A shifted zero would turn padding into a signal."""
    folder, _ = quantized
    tensors = _tensors(folder / "u8s8.onnx")
    assert tensors["r1/zero_point"] == 0  # after Relu


def test_an_uneven_depthwise_convolution_stays_float(tmp_path):
    model = small.uneven_depthwise(tmp_path / "m.onnx")
    feeds = small.samples(SHAPES)
    decisions = calibrate(model, feeds, task="classification", record={})
    assert [entry.output for entry in decisions.kept_float] == ["c2"]
    assert "predicted SQNR" in decisions.kept_float[0].reason
    write_int8(model, decisions, "u8s8", tmp_path / "kept.onnx")
    forced = calibrate(model, feeds, task="classification", record={}, sqnr_limit_db=-1000)
    assert not forced.kept_float
    write_int8(model, forced, "u8s8", tmp_path / "forced.onnx")
    wanted = small.run(model, feeds[0])[0]
    kept = small.sqnr_db(wanted, small.run(tmp_path / "kept.onnx", feeds[0])[0])
    assert kept > 25
    assert kept > 10 + small.sqnr_db(wanted, small.run(tmp_path / "forced.onnx", feeds[0])[0])


def test_a_worse_bias_is_not_taken(tmp_path, monkeypatch):
    from edgekit.export import quantize

    true = quantize.run_nncf

    def spoiled(*arguments):
        found = true(*arguments)
        biases = {name: value + 3 for name, value in found.biases.items()}
        return type(found)(found.ranges, found.weighted, biases, found.version)

    monkeypatch.setattr(quantize, "run_nncf", spoiled)
    model = small.convolutions(tmp_path / "m.onnx")
    decisions = calibrate(model, small.samples(SHAPES), task="detection", record={})
    assert decisions.calibration.bias in ("mean", "trained")
    sqnr = decisions.calibration.bias_sqnr_db
    assert max(sqnr["trained"], sqnr["mean"]) > sqnr["nncf"] + 10


def test_the_mean_correction_takes_the_shift_of_rounded_weights_back(tmp_path):
    """Inputs with a large mean turn the weights' rounding into an offset of each channel."""
    model = small.convolutions(tmp_path / "m.onnx")
    graph = onnx.load(str(model))
    feeds = [{"x": feed["x"] + 20} for feed in small.samples(SHAPES)]
    weights = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    rounded = {"c1": np.round(weights["w1"].astype(np.float64), 1)}
    corrected = mean_corrections(graph, expected(graph, feeds, {"x": 0.0, "r1": 0.0}), rounded)
    assert set(corrected) == {"c1"}
    inner = np.stack([feed["x"][0, :, 1:-1, 1:-1] for feed in feeds]).mean(axis=(0, 2, 3))
    shift = (rounded["c1"] - weights["w1"]).sum(axis=(2, 3)) @ inner
    assert np.abs(shift).max() > 1
    assert np.allclose(weights["b1"] - shift, corrected["c1"], atol=0.05)


def test_opset_11_is_raised_and_gives_the_same_numbers(tmp_path):
    model = small.convolutions(tmp_path / "m.onnx", opset=11)
    raised = at_least_opset(onnx.load(str(model)), 13)
    onnx.save(raised, str(tmp_path / "raised.onnx"))
    feed = small.samples(SHAPES, 1)[0]
    wanted = small.run(model, feed)[0]
    assert raised.opset_import[0].version == 13
    assert np.array_equal(small.run(tmp_path / "raised.onnx", feed)[0], wanted)
    decisions = calibrate(model, [feed], task="detection", record={})
    write_int8(model, decisions, "u8s8", tmp_path / "int8.onnx")
    assert small.sqnr_db(wanted, small.run(tmp_path / "int8.onnx", feed)[0]) > 25
    assert onnx.load(str(tmp_path / "int8.onnx")).metadata_props[0].key == "edgekit.card"


def test_a_step_with_state_keeps_its_recurrent_part_in_float(tmp_path):
    model = small.recurrent(tmp_path / "m.onnx")
    feeds = small.samples({"x": (1, 1, 6), "h": (1, 1, 4)})
    decisions = calibrate(model, feeds, task="audio", record={})
    assert [node.op for node in decisions.nodes] == ["MatMul"]
    write_int8(model, decisions, "u8s8", tmp_path / "int8.onnx")
    wanted, got = small.run(model, feeds[0]), small.run(tmp_path / "int8.onnx", feeds[0])
    assert [small.sqnr_db(a, b) > 20 for a, b in zip(wanted, got, strict=True)] == [True, True]


def test_a_network_on_rows_of_values_is_quantized_wholly(tmp_path):
    """The mean of each row's extremes clipped the input, and its product stayed in float."""
    rng = np.random.default_rng(3)
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["l1"]),
        helper.make_node("Relu", ["l1"], ["r1"]),
        helper.make_node("Gemm", ["r1", "w2"], ["y"]),
    ]
    tensors = {
        "w1": rng.normal(size=(64, 32)).astype(np.float32),
        "b1": rng.normal(size=32).astype(np.float32),
        "w2": rng.normal(size=(32, 10)).astype(np.float32),
    }
    model = small.save(tmp_path / "m.onnx", nodes, {"x": [1, 64]}, {"y": [1, 10]}, tensors)
    feeds = small.samples({"x": (1, 64)}, 48)
    decisions = calibrate(model, feeds, task="raw", record={})
    assert [node.output for node in decisions.nodes] == ["l1", "y"]
    assert not decisions.kept_float
    first = decisions.activations[0]
    assert first.maximum == pytest.approx(max(feed["x"].max() for feed in feeds))
    assert (first.clipping_share, first.sqnr_db > 40) == (0, True)
    methods = decisions.calibration.method_sqnr_db
    assert methods["mean-extremes"] < methods[decisions.calibration.method] - 5


def test_a_tensor_that_is_let_go_says_what_is_clipping_and_what_rounding(tmp_path, monkeypatch):
    """Clipping was called rounding."""
    from edgekit.export import quantize

    monkeypatch.setattr(quantize, "_alone_sqnr_db", lambda *_: 12.0)
    model = small.convolutions(tmp_path / "m.onnx")
    with pytest.raises(BadInput, match=r"12\.0 dB") as caught:
        calibrate(model, small.samples(SHAPES), task="detection", record={})
    clipped, rounded = re.findall(r"(\d+) %", caught.value.message)
    assert int(clipped) + int(rounded) == 100
    assert str(tmp_path) not in str(caught.value)


def test_values_that_are_not_finite_leave_their_reader_in_float(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Log", ["m"], ["log"]),
        helper.make_node("MatMul", ["log", "w"], ["y"]),
    ]
    tensors = {"w": np.eye(4, dtype=np.float32)}
    model = small.save(tmp_path / "m.onnx", nodes, {"x": [1, 4]}, {"y": [1, 4]}, tensors)
    feeds = [
        {"x": np.array([[0, 1, 2, 3]], np.float32)},
        {"x": np.array([[2, 3, 4, 5]], np.float32)},
    ]
    decisions = calibrate(model, feeds, task="raw", record={})
    assert [(one.output, "no finite range" in one.reason) for one in decisions.kept_float] == [
        ("y", True)
    ]


def test_the_head_is_found_by_pattern(tmp_path):
    model = onnx.load(str(small.convolutions(tmp_path / "m.onnx")))
    assert head_nodes(model) == ({"y"}, ["c2"])


def test_the_lint_names_a_concat_of_boxes_and_scores():
    node = helper.make_node("Concat", ["boxes", "scores"], ["all"], axis=1)
    graph = helper.make_graph([node], "g", [], [])
    model = helper.make_model(graph)
    ranges = {"boxes": (0.0, 640.0), "scores": (0.0, 1.0), "all": (0.0, 640.0)}
    (sentence,) = mixed_ranges(model, ranges)
    assert "boxes" in sentence
    assert "scores" in sentence
    assert mixed_ranges(model, {**ranges, "scores": (0.0, 100.0)}) == []


def test_a_model_without_weighted_nodes_is_refused(tmp_path):
    node = helper.make_node("Relu", ["x"], ["y"])
    model = small.save(tmp_path / "m.onnx", [node], {"x": [1, 4]}, {"y": [1, 4]}, {})
    with pytest.raises(BadInput, match="no convolution or matrix product") as caught:
        calibrate(model, small.samples({"x": (1, 4)}), task="raw", record={})
    assert str(tmp_path) not in str(caught.value)


def test_missing_samples_and_inputs_are_refused(tmp_path):
    model = small.convolutions(tmp_path / "m.onnx")
    with pytest.raises(BadInput, match="no calibration samples"):
        calibrate(model, [], task="raw", record={})
    with pytest.raises(BadInput, match="lack the input x"):
        calibrate(model, [{"z": np.zeros(1, np.float32)}], task="raw", record={})


def test_decisions_of_another_graph_are_refused(quantized, tmp_path):
    folder, decisions = quantized
    other = small.uneven_depthwise(tmp_path / "other.onnx")
    with pytest.raises(BadInput, match="another graph"):
        write_int8(other, decisions, "u8s8", tmp_path / "o.onnx")
    with pytest.raises(BadInput, match="no int8 dialect u4"):
        write_int8(folder / "m.onnx", decisions, "u4", tmp_path / "o.onnx")
    assert not (tmp_path / "o.onnx").exists()


def test_a_damaged_document_is_refused(quantized, tmp_path):
    _, decisions = quantized
    path = tmp_path / "quantization.json"
    raw = msgspec.json.decode(decisions.to_json())
    both = [{"output": raw["nodes"][0]["output"], "op": "Conv", "reason": "both"}]

    def changed(**fields):
        return msgspec.json.encode(raw | {"calibration": raw["calibration"] | fields})

    for content, match in (
        (b"{", "no JSON"),
        (msgspec.json.encode(raw | {"extra": 1}), "damaged"),
        (changed(method="none"), "calibration.method"),
        (changed(preset="none"), "calibration.preset"),
        (changed(bias="none"), "calibration.bias"),
        (msgspec.json.encode(raw | {"activations": raw["activations"][:1] * 2}), "decided twice"),
        (msgspec.json.encode(raw | {"nodes": raw["nodes"][:1] * 2}), "decided twice"),
        (msgspec.json.encode(raw | {"kept_float": both}), "decided twice"),
        (msgspec.json.encode(raw | {"schema": "edgekit.eval/1"}), "is no edgekit.quantization/1"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=match):
            read_decisions(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_decisions(tmp_path / "absent.json")


@pytest.mark.realdata
@pytest.mark.slow
def test_yolox_nano_does_not_collapse(realdata, tmp_path):
    """Default per-tensor quantization loses every box here (mAP .000, see docs)."""
    import cv2

    model = realdata / "models" / "yolox_nano_original.onnx"
    feeds = []
    for path in sorted((realdata / "coco" / "calib" / "images").iterdir())[:12]:
        image = cv2.imread(str(path))
        ratio = 416 / max(image.shape[:2])
        small_image = cv2.resize(image, None, fx=ratio, fy=ratio)[:416, :416]
        canvas = np.full((416, 416, 3), 114, np.float32)
        canvas[: small_image.shape[0], : small_image.shape[1]] = small_image
        feeds.append({"images": canvas.transpose(2, 0, 1)[None].copy()})
    decisions = calibrate(model, feeds[:8], task="detection", record={})
    write_int8(model, decisions, "u8s8", tmp_path / "int8.onnx")
    assert (tmp_path / "int8.onnx").stat().st_size < 0.4 * model.stat().st_size
    for feed in feeds[8:]:
        wanted, got = small.run(model, feed)[0], small.run(tmp_path / "int8.onnx", feed)[0]
        score, new = (o[..., 4] * o[..., 5:].max(axis=-1) for o in (wanted, got))
        sure = score > 0.4
        assert sure.any()
        assert abs(float(np.median(new[sure] - score[sure]))) < 0.1


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node["absolute_maximum"].pop(),
        lambda node: node.update(axis=7),
        lambda node: node.update(axis=1),
        lambda node: node.update(op="Gemm"),
        lambda node: node["absolute_maximum"].__setitem__(0, -1.0),
        lambda node: node.update(weight="absent"),
    ],
    ids=["length", "no-such-axis", "other-axis", "op", "negative", "weight"],
)
def test_decisions_that_do_not_fit_a_node_are_refused(quantized, tmp_path, change):
    folder, decisions = quantized
    document = json.loads(decisions.to_json())
    change(document["nodes"][0])
    (tmp_path / "q.json").write_text(json.dumps(document))
    with pytest.raises(BadInput):
        write_int8(folder / "m.onnx", read_decisions(tmp_path / "q.json"), "u8s8", tmp_path / "o")
    assert not (tmp_path / "o").exists()
