"""Model repositories: their form, and what can be run of them without the servers."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from edgekit import api
from edgekit.core.card import Axis, GraphCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.runtime import TensorInfo
from edgekit.core.telemetry import without_telemetry
from edgekit.jobs.packing.engines import SCRIPTED
from edgekit.jobs.packing.repository import Served, model_name, openvino_config, triton_config
from edgekit.jobs.process.golden import read_golden

ORT, OV = "onnxruntime:cpu", "openvino:cpu"

# The fields of Triton's model_config.proto that are written here: name, type, repeated.
_FIELDS = {
    "Value": [("string_value", "string", False)],
    "Reshape": [("shape", "int64", True)],
    "Tensor": [
        ("name", "string", False),
        ("data_type", "DataType", False),
        ("dims", "int64", True),
        ("reshape", "Reshape", False),
    ],
    "Group": [("count", "int32", False), ("kind", "Kind", False)],
    "Entry": [("key", "string", False), ("value", "Value", False)],
    "ModelConfig": [
        ("name", "string", False),
        ("backend", "string", False),
        ("default_model_filename", "string", False),
        ("max_batch_size", "int32", False),
        ("input", "Tensor", True),
        ("output", "Tensor", True),
        ("instance_group", "Group", True),
        ("parameters", "Entry", True),
    ],
}
_ENUMS = {
    "Kind": ["KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL"],
    "DataType": [
        "TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64",
        "TYPE_INT8", "TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16", "TYPE_FP32",
        "TYPE_FP64", "TYPE_STRING", "TYPE_BF16",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def config_type():
    """A message type with those fields; a field that it does not have is a parse error."""
    file = descriptor_pb2.FileDescriptorProto(name="c.proto", package="t", syntax="proto3")
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind, repeated) in enumerate(fields, start=1):
            added = message.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in ("string", "int64", "int32"):
                added.type = getattr(kinds, f"TYPE_{kind.upper()}")
            else:
                added.type = kinds.TYPE_ENUM if kind in _ENUMS else kinds.TYPE_MESSAGE
                added.type_name = f".t.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.ModelConfig"))


def served(graph_inputs, inputs, outputs, precision="f32"):
    graph = GraphCard(inputs=graph_inputs)
    return Served("m", graph, tuple(inputs), tuple(outputs), 3, precision)


@pytest.fixture
def batched():
    axis = Axis("batch", 1, 1, 16)
    return served(
        {"x": TensorCard(shape=(axis, 3, "height"))},
        [TensorInfo("x", "float32", ("batch", 3, "height"))],
        [TensorInfo("y", "int64", ("batch",)), TensorInfo("z", "float16", ("batch", 5))],
    )


def test_triton_gets_the_batch_axis_as_its_largest_batch(batched, config_type):
    config = text_format.Parse(triton_config(batched, SCRIPTED[ORT]), config_type())
    assert (config.name, config.backend) == ("m", "onnxruntime")
    assert config.default_model_filename == "model.onnx"
    assert config.max_batch_size == 16
    (x,) = config.input
    assert (x.name, x.data_type, list(x.dims)) == ("x", 11, [3, -1])
    y, z = config.output
    assert (y.data_type, list(y.dims), list(y.reshape.shape)) == (9, [1], [])
    assert y.HasField("reshape")
    assert (z.data_type, list(z.dims)) == (10, [5])
    (group,) = config.instance_group
    assert (group.count, group.kind) == (1, 2)
    parameters = {one.key: one.value.string_value for one in config.parameters}
    assert parameters["intra_op_thread_count"] == "3"


def test_a_fixed_batch_stands_in_the_dims(config_type):
    fixed = served(
        {"x": TensorCard(shape=(1, 3, 8, 8))},
        [TensorInfo("x", "uint8", (1, 3, 8, 8))],
        [TensorInfo("y", "bool", (1, 10))],
    )
    config = text_format.Parse(triton_config(fixed, SCRIPTED[ORT]), config_type())
    assert config.max_batch_size == 0
    assert list(config.input[0].dims) == [1, 3, 8, 8]
    assert list(config.output[0].dims) == [1, 10]


def test_an_output_without_the_batch_axis_rules_batching_out(config_type):
    mixed = served(
        {"x": TensorCard(shape=("batch", 3))},
        [TensorInfo("x", "float32", ("batch", 3))],
        [TensorInfo("state", "float32", (4, "batch"))],
    )
    config = text_format.Parse(triton_config(mixed, SCRIPTED[ORT]), config_type())
    assert config.max_batch_size == 0
    assert list(config.input[0].dims) == [-1, 3]
    assert list(config.output[0].dims) == [4, -1]


def test_tritons_openvino_backend_gets_the_batch_as_any_other_axis(batched, config_type):
    config = text_format.Parse(triton_config(batched, SCRIPTED[OV]), config_type())
    assert (config.backend, config.max_batch_size) == ("openvino", 0)
    assert list(config.input[0].dims) == [-1, 3, -1]
    parameters = {one.key: one.value.string_value for one in config.parameters}
    assert parameters == {"INFERENCE_NUM_THREADS": "3", "NUM_STREAMS": "1"}


def test_names_with_quotes_stay_names(config_type):
    odd = 'a "b" \\ c'
    config = text_format.Parse(
        triton_config(
            served({}, [TensorInfo(odd, "float32", (1,))], [TensorInfo("y", "float32", (1,))]),
            SCRIPTED[ORT],
        ),
        config_type(),
    )
    assert config.input[0].name == odd
    assert model_name("../my bundle (1)") == "_my_bundle__1_"
    assert model_name("...") == "model"


def test_a_dtype_that_triton_has_not_is_refused():
    with pytest.raises(BadInput, match="complex64"):
        triton_config(served({}, [TensorInfo("x", "complex64", (1,))], []), SCRIPTED[ORT])


def test_openvino_model_server_gets_ranges_and_the_precision(batched):
    (model,) = json.loads(openvino_config([batched]))["model_config_list"]
    config = model["config"]
    assert config["shape"] == {"x": "(1:16,3,-1)"}
    assert config["plugin_config"]["INFERENCE_PRECISION_HINT"] == "f32"
    assert config["nireq"] == 1


@pytest.mark.parametrize("target", [ORT, OV])
def test_a_triton_repository_holds_the_certified_graph(deployed, tmp_path, config_type, target):
    document = api.pack(deployed[1], tmp_path / "packed", target=target, layout="triton")
    models = tmp_path / "packed" / "models"
    files = sorted(path.relative_to(models).as_posix() for path in models.rglob("*.*"))
    assert files == ["digits/1/model.onnx", "digits/config.pbtxt"]
    graph = deployed[1] / "variants" / document.variant / "main.onnx"
    assert (models / "digits" / "1" / "model.onnx").read_bytes() == graph.read_bytes()
    text = (models / "digits" / "config.pbtxt").read_text()
    config = text_format.Parse(text, config_type())
    assert config.max_batch_size == (64 if target == ORT else 0)
    assert config.input[0].name == "image"
    told = [note for note in document.notes if "cannot be told to compute in fp32" in note]
    assert len(told) == (target == OV and document.compute == "fp32")
    assert (tmp_path / "packed" / "card.json").is_file()


def test_what_openvino_model_server_would_load_answers_as_certified(deployed, tmp_path):
    """The server's own steps: read the model, reshape it, compile it with the plugin's config."""
    document = api.pack(deployed[1], tmp_path / "packed", target=OV, layout="openvino-model-server")
    models = tmp_path / "packed" / "models"
    (entry,) = json.loads((models / "config.json").read_text())["model_config_list"]
    config = entry["config"]
    with without_telemetry():
        import openvino
    (graph,) = (models / config["base_path"] / "1").iterdir()
    core = openvino.Core()
    model = core.read_model(str(graph))
    assert {one.any_name for one in model.inputs} == set(config["shape"])
    ranges = {
        name: openvino.PartialShape(text.strip("()").replace(":", "..").join("[]"))
        for name, text in config["shape"].items()
    }
    model.reshape(ranges)
    compiled = core.compile_model(model, config["target_device"], config["plugin_config"])
    feeds, outputs = read_golden(tmp_path / "packed" / "golden.npz")
    signal = noise = 0.0
    for feed, (expected,) in zip(feeds, outputs, strict=True):
        found = compiled(feed)[0]
        truth = next(iter(expected.values()))
        signal += float((truth.astype(float) ** 2).sum())
        noise += float(((truth - found).astype(float) ** 2).sum())
    assert 10 * np.log10(signal / noise) >= document.sqnr_limit_db
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    assert hint == config["plugin_config"]["INFERENCE_PRECISION_HINT"]


def test_openvino_model_server_is_no_server_for_onnx_runtime(deployed, tmp_path):
    with pytest.raises(BadInput, match="was not certified on it"):
        api.pack(deployed[1], tmp_path / "packed", target=ORT, layout="openvino-model-server")
    assert not (tmp_path / "packed").exists()


@pytest.mark.slow
@pytest.mark.parametrize("target", [ORT, OV])
def test_tritons_own_parser_takes_the_config(deployed, tmp_path, target):
    """Triton's client package brings the compiled model_config.proto (about 100 kB)."""
    api.pack(deployed[1], tmp_path / "packed", target=target, layout="triton")
    command = ["download", "--quiet", "--no-deps", "--dest", str(tmp_path), "tritonclient"]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("tritonclient*.whl")
    with zipfile.ZipFile(wheel) as content:
        code = content.read("tritonclient/grpc/model_config_pb2.py")
    (tmp_path / "model_config_pb2.py").write_bytes(code)
    program = (
        "import sys, model_config_pb2 as m; from google.protobuf import text_format; "
        "c = text_format.Parse(sys.stdin.read(), m.ModelConfig()); "
        "print(c.name, c.backend, c.max_batch_size, m.DataType.Name(c.input[0].data_type))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input=(tmp_path / "packed" / "models" / "digits" / "config.pbtxt").read_text(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    batch = 64 if target == ORT else 0
    assert ended.stdout.split() == ["digits", target.split(":")[0], str(batch), "TYPE_FP32"]
