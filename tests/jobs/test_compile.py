"""`edgekit compile` for GPUs that are not here, from the command line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from jsonschema import validate
from onnx import TensorProto, helper, numpy_helper

from edgekit.benchmarks.schemas import load_schema
from edgekit.cli.main import run
from edgekit.core.files import sha256_file
from edgekit.core.runtime import Compiled
from edgekit.runtimes import trt

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: pip install 'edgekit[tensorrt-rtx]'",
)
RTX = ("--target", "tensorrt-rtx")


@pytest.fixture
def compile_(capsys):
    """Run the command; its exit status and its document."""

    def called(*arguments):
        capsys.readouterr()
        status = run(["compile", *(str(one) for one in arguments), "--json"])
        document = json.loads(capsys.readouterr().out)
        validate(document, load_schema("compile" if status == 0 else "error"))
        return status, document

    return called


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A convolution with a quantized bias, as ONNX Runtime's quantizer writes it."""
    rng = np.random.default_rng(0)
    tensors = {
        "s": np.float32(0.05),
        "z": np.int8(0),
        "w": rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
        "ws": np.full(4, 0.01, np.float32),
        "wz": np.zeros(4, np.int8),
        "b": rng.integers(-999, 999, 4).astype(np.int32),
        "bs": np.full(4, 0.0005, np.float32),
    }
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
        node("Conv", ["d", "wd", "bd"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4, 6, 6])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("qdq") / "qdq.onnx"
    onnx.save(model, str(path))
    return path


def test_engines_for_other_gpus_are_written_with_their_card(compile_, digits_onnx, tmp_path):
    output = tmp_path / "engines"
    status, document = compile_(digits_onnx, *RTX, "--sm", "120,86", "-o", output)
    assert status == 0
    assert document["sm"] == [86, 120]
    assert document["engines"] == {"main": str(output / "main")}
    assert document["executed_precision"] is None
    assert document["placement"] == {"fp32": 1.0}
    assert document["memory"]["weights_bytes"] > 0
    assert any("not run here" in note for note in document["notes"])
    compiled = msgspec.json.decode((output / "main" / "compiled.json").read_bytes(), type=Compiled)
    assert compiled.engine_sha256 == sha256_file(output / "main" / compiled.engine)
    assert compiled.device == "any GPU | sm86,sm120"
    said = json.loads((output / "engines.json").read_text())
    assert said["schema"] == "edgekit.engines/1"
    assert said["card"]["task"] == "classification"
    assert said["engines"] == {"main": "main"}
    names = {file.name for file in (output / "main").iterdir()}
    assert names >= {"compiled.json", "build.json", "tensors.json", compiled.engine}


def test_a_second_time_they_come_from_the_cache(compile_, digits_onnx, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    first = compile_(digits_onnx, *RTX, "--sm", "86")[1]
    again = compile_(digits_onnx, *RTX, "--sm", "86", "--sm", "86")[1]
    other = compile_(digits_onnx, *RTX, "--sm", "89,86")[1]
    turned = compile_(digits_onnx, *RTX, "--sm", "86,89")[1]
    assert [first["cached"], again["cached"], other["cached"]] == [False, True, False]
    assert turned["cached"]
    assert first["engines"] == again["engines"] != other["engines"]
    forced = compile_(digits_onnx, *RTX, "--sm", "86", "--force")[1]
    assert not forced["cached"]


def test_a_build_tells_its_phases_on_stderr_and_nothing_else(digits_onnx, tmp_path, capfd):
    status = run(["compile", str(digits_onnx), *RTX, "--sm", "89", "--force", "--json"])
    captured = capfd.readouterr()
    assert status == 0
    assert json.loads(captured.out)["cached"] is False
    assert "steps)" in captured.err
    assert "[TRT]" not in captured.err


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ("image=1x1x8x8:1x1x8x8", "is not of the form MIN:TYPICAL:MAX"),
        ("image=axbxc", "is not of the form MIN:TYPICAL:MAX"),
        ("image=1x1x8x8:2x1x8x8:-4x1x8x8", "is not of the form MIN:TYPICAL:MAX"),
        ("picture=1x1x8x8", "has no input 'picture'"),
        ("image=4x1x32x32:2x1x32x32:8x1x32x32", "do not ascend"),
        ("image=1x3x8x8", "does not fit the input 'image'"),
        ("image=1", "does not fit the input 'image'"),
    ],
)
def test_shapes_that_make_no_sense_are_named(compile_, digits_onnx, shapes, message):
    status, document = compile_(digits_onnx, *RTX, "--sm", "86", "--shapes", shapes)
    assert status == document["exit_status"] == 2
    assert message in document["message"]
    assert document["hint"]


def test_one_shape_stands_for_all_three_and_a_second_is_a_second_profile(
    compile_, digits_onnx, tmp_path
):
    size = "x".join(str(axis) for axis in onnx_shape(digits_onnx)[1:])
    given = [f"image=1x{size}", f"image=2x{size}:4x{size}:8x{size}"]
    options = [word for one in given for word in ("--shapes", one)]
    status, document = compile_(digits_onnx, *RTX, "--sm", "86", *options, "-o", tmp_path / "e")
    assert status == 0
    record = json.loads((tmp_path / "e" / "main" / "build.json").read_text())
    batches = [[shape[0] for shape in profile["image"]] for profile in record["profiles"]]
    assert batches == [[1, 1, 1], [2, 4, 8]]
    assert document["memory"]["activations_bytes"] > 0


def onnx_input(path: Path):
    return onnx.load(str(path)).graph.input[0]


def onnx_shape(path: Path):
    value = onnx_input(path)
    return [axis.dim_value or axis.dim_param for axis in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((*RTX, "--sm", "90"), 2, "does not know SM 90"),
        ((*RTX, "--sm", "8.6"), 2, ""),
        (("--target", "onnxruntime:cpu", "--sm", "86"), 2, "takes no --sm"),
        ((*RTX, "--sm", "86", "--portable", "hardware"), 2, "--portable hardware"),
        ((*RTX, "--sm", "86", "--portable", "version"), 3, "--portable version"),
        ((*RTX, "--sm", "86", "--workspace", "much"), 2, "much"),
        ((*RTX, "--sm", "86", "--compute", "fp16"), 2, "has nothing in fp16"),
        ((*RTX, "--sm", "86", "--compute", "int4"), 2, "int4"),
    ],
)
def test_what_cannot_be_built_ends_with_the_right_status(
    compile_, digits_onnx, arguments, status, message
):
    got, document = compile_(digits_onnx, *arguments)
    assert got == document["exit_status"] == status
    assert message in document["message"]


def test_without_a_gpu_the_target_itself_is_unavailable(compile_, digits_onnx, monkeypatch):
    monkeypatch.setattr(trt, "_gpus", lambda: ())
    status, document = compile_(digits_onnx, *RTX)
    assert status == 3
    assert "no NVIDIA GPU" in document["message"]
    assert "--sm" in document["hint"]


def test_without_tensorrt_it_is_unavailable(compile_, digits_onnx, monkeypatch):
    monkeypatch.setattr(trt.ENGINES["tensorrt"].__class__, "version", lambda self: "")
    status, document = compile_(digits_onnx, "--target", "tensorrt", "--sm", "86")
    assert status == 3
    assert "TensorRT is not installed" in document["message"]


def test_another_tools_quantization_is_named_as_a_whole_and_mended(compile_, foreign, tmp_path):
    status, document = compile_(foreign, *RTX, "--sm", "86")
    assert status == 2
    assert "it has 1 quantized biases (b)" in document["message"]
    assert "--mend-qdq" in document["hint"]
    before = foreign.read_bytes()
    status, document = compile_(foreign, *RTX, "--sm", "86", "--mend-qdq", "-o", tmp_path / "e")
    assert status == 0
    assert document["placement"] == {"int8": 1.0}
    assert "1 quantized biases were written in float." in document["notes"]
    assert foreign.read_bytes() == before


def test_other_refusals_are_not_blamed_on_quantization(compile_, tmp_path):
    node = helper.make_node("Det", ["x"], ["y"], "det")
    node.metadata_props.add(key="edgekit.module", value="head.score")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "det.onnx"))
    status, document = compile_(tmp_path / "det.onnx", *RTX, "--sm", "86")
    assert status == 2
    assert "'det' (Det, in head.score)" in document["message"]


def fixed(path: Path):
    """The shape of one image; 64 pixels where any number goes."""
    return [1, *(64 if isinstance(axis, str) else axis for axis in onnx_shape(path)[1:])]


@pytest.fixture(scope="module", params=["digits", pytest.param("shapes", marks=pytest.mark.slow)])
def variants(request, tmp_path_factory):
    """A built-in model by precision; its int8 is calibrated on noise."""
    from edgekit.export.fp16 import write_fp16
    from edgekit.export.quantize import calibrate, write_int8

    folder = tmp_path_factory.mktemp("variants")
    made = {"fp32": request.getfixturevalue(f"{request.param}_onnx")}
    for precision in ("fp16", "int8"):
        made[precision] = folder / f"{precision}.onnx"
    write_fp16(made["fp32"], made["fp16"])
    rng = np.random.default_rng(0)
    name, shape = onnx_input(made["fp32"]).name, fixed(made["fp32"])
    feeds = [{name: rng.uniform(size=shape).astype(np.float32)} for _ in range(4)]
    decisions = calibrate(made["fp32"], feeds, task="raw", record={}, sqnr_limit_db=0.0)
    write_int8(made["fp32"], decisions, "s8s8", made["int8"])
    return made


@pytest.mark.filterwarnings("ignore")  # the quantizer's own
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_built_in_models_build(compile_, variants, precision, static):
    file = variants[precision]
    options = []
    if static:
        size = "x".join(str(axis) for axis in fixed(file))
        options = ["--shapes", f"{onnx_input(file).name}={size}"]
    status, document = compile_(file, *RTX, "--sm", "86,120", *options)
    assert status == 0, document
    assert next(iter(document["placement"])) == precision
