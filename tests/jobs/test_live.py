"""What the demo runs: the stream's own shape, the fastest engine that is right, found again."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit import api
from edgekit.core.card import ModelCard, Postprocess, Preprocess
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.progress import Silent
from edgekit.core.yaml_text import read_yaml
from edgekit.export.fp16 import write_fp16
from edgekit.export.metadata import put_card
from edgekit.jobs.opening import fastest
from edgekit.jobs.opening.live import live_model

ORT, OV = "onnxruntime:cpu", "openvino:cpu"
STREAM = (1280, 720)


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.stages = []
        self.notes = []

    def stage(self, name):
        self.stages.append(name)

    def note(self, text):
        self.notes.append(text)


def detector(path, *, grid=False, task="detection", seed=0):
    """A convolution of stride 32 on 64 x 64, read as the head of YOLOv8 with two classes."""
    random = np.random.default_rng(seed)
    tensors = {
        "w": random.normal(size=(6, 3, 32, 32)).astype(np.float32) / 50,
        "flat": np.array([1, 6, 4], np.int64),
        "grid": np.ones((1, 6, 4), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["map"], strides=[32, 32]),
        helper.make_node("Reshape", ["map", "flat"], ["rows"]),
        helper.make_node("Sigmoid", ["rows"], ["scores"]),
        helper.make_node("Add" if grid else "Identity", ["scores", "grid"][: 1 + grid], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6, 4])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = ModelCard()
    if task != "raw":
        card = ModelCard(
            task=task,
            preprocess=Preprocess(size=(64, 64), resize="letterbox", scale=1 / 255),
            postprocess=Postprocess(decode="yolov8"),
        )
    put_card(model, card)
    onnx.save(model, path)
    return path


def opened(model, *, progress=None, **options):
    given = {"stream": STREAM, "target": ORT, "compute": "fp32", **options}
    return live_model(model, progress=progress or Silent(), **given)


def test_a_graph_runs_at_the_streams_own_shape(tmp_path):
    found = opened(detector(tmp_path / "m.onnx"))
    assert (found.shape, found.own_shape, found.verdict) == ((64, 64), True, None)
    # 64 x 36 is rounded up to the stride of 32: nothing is saved there, so take a wider stream.
    wide = opened(tmp_path / "m.onnx", stream=(1280, 320))
    assert (wide.shape, wide.own_shape) == ((32, 64), True)
    assert "32x64 instead of 64x64" in " ".join(wide.warnings)
    array, fit = wide.task.preprocess(np.zeros((320, 1280, 3), np.uint8))
    assert array.shape == (1, 3, 32, 64)
    outputs = wide.session.run({wide.input_name: array})
    assert outputs["y"].shape == (1, 6, 2)
    wide.task.postprocess(outputs, fit)
    wide.close()
    wide.close()
    with pytest.raises(BadInput):
        wide.session.run({wide.input_name: array})
    found.close()


def test_the_models_shape_is_kept_where_it_must_be_and_said(tmp_path):
    model = detector(tmp_path / "m.onnx", grid=True)
    found = opened(model, stream=(1280, 320))
    assert (found.shape, found.own_shape) == ((64, 64), False)
    assert "grid of anchors" in " ".join(found.warnings)
    with pytest.raises(BadInput, match="grid of anchors"):
        opened(model, stream=(1280, 320), fit="stream")
    own = opened(detector(tmp_path / "n.onnx"), stream=(1280, 320), fit="model")
    assert (own.shape, own.own_shape, own.warnings) == ((64, 64), False, ())
    with pytest.raises(BadInput, match="size of the stream is not known"):
        opened(tmp_path / "n.onnx", stream=None, fit="stream")


def test_a_dynamic_graph_that_keeps_its_shape_is_fixed_there(tmp_path):
    path = detector(tmp_path / "m.onnx", seed=3)
    model = onnx.load(path)
    for place in (0, 2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_param = "nchw"[place]
    flat = next(one for one in model.graph.initializer if one.name == "flat")
    flat.CopyFrom(numpy_helper.from_array(np.array([0, 6, -1], np.int64), "flat"))
    for place in (0, 2):
        model.graph.output[0].type.tensor_type.shape.dim[place].dim_param = "nca"[place]
    onnx.save(model, path)
    found = opened(path, fit="model")
    assert (found.shape, found.own_shape) == ((64, 64), False)
    assert found.session.inputs[0].shape == (1, 3, 64, 64)
    found.close()
    other = opened(path, stream=(320, 1280))
    assert other.session.inputs[0].shape == (1, 3, 64, 32)
    other.close()


def test_a_model_that_shows_nothing_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nothing to show") as caught:
        opened(detector(tmp_path / "m.onnx", task="raw"))
    assert "--card" in caught.value.hint
    with pytest.raises(BadInput, match="does not exist"):
        opened(tmp_path / "nothing.onnx")


def test_the_second_start_makes_nothing(tmp_path):
    model = detector(tmp_path / "m.onnx", seed=5)
    first, second, third = Heard(), Heard(), Heard()
    opened(model, progress=first).close()
    assert any("engine" in stage for stage in first.stages)
    opened(model, progress=second).close()
    assert len(second.stages) == 1
    assert "from the cache" in second.stages[0]
    # Another stream is another question.
    opened(model, progress=third, stream=(1280, 320)).close()
    assert any("engine" in stage for stage in third.stages)


def test_an_engine_that_was_pruned_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    model = detector(tmp_path / "m.onnx")
    opened(model).close()
    for stage in (tmp_path / "cache" / "stages" / "engine").iterdir():
        (stage / "stage.json").unlink()
    heard = Heard()
    opened(model, progress=heard).close()
    assert "no longer in the cache" in " ".join(heard.stages)


def test_another_card_beside_the_model_is_seen(tmp_path):
    model = detector(tmp_path / "m.onnx")
    opened(model).close()
    (tmp_path / "m.card.yaml").write_text(
        "task: detection\nlabels: [a, b]\n"
        "preprocess: {resize: letterbox, size: [64, 64]}\npostprocess: {decode: yolov8}\n"
    )
    assert opened(model).card.labels == ("a", "b")


def test_the_warm_path_imports_no_exporter(tmp_path):
    model = detector(tmp_path / "m.onnx")
    opened(model).close()
    script = f"""
        import sys
        from edgekit.core.progress import Silent
        from edgekit.jobs.opening.live import live_model
        live_model({str(model)!r}, stream={STREAM}, target={ORT!r}, compute="fp32",
                   progress=Silent()).close()
        heavy = {{"onnx", "torch", "nncf", "openvino", "onnxslim", "pycocotools", "scipy"}}
        print(sorted(heavy & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_fastest_engine_that_is_right_is_taken_and_told(tmp_path):
    heard = Heard()
    found = opened(detector(tmp_path / "m.onnx"), progress=heard, target=None, compute=None)
    (told,) = [note for note in heard.notes if "not certified" in note]
    assert told.startswith(f"{found.target} in {found.compute}: ")
    assert ORT in told
    assert OV in told
    found.close()


def test_with_a_target_only_that_is_tried(tmp_path):
    heard = Heard()
    found = opened(detector(tmp_path / "m.onnx"), progress=heard, target="ort", compute=None)
    assert found.target == ORT
    assert not any(OV in line for line in (*heard.stages, *heard.notes))
    found.close()


def test_a_graph_of_half_precision_runs_where_it_gains_nothing(tmp_path):
    half = tmp_path / "half.onnx"
    write_fp16(detector(tmp_path / "m.onnx"), half)
    found = opened(half, compute=None)
    assert (found.variant, found.compute) == ("fp16", "fp32")
    found.close()
    with pytest.raises(BadInput, match="cannot compute in bf16"):
        opened(half, compute="bf16")


def test_an_engine_that_answers_otherwise_is_out(tmp_path, monkeypatch):
    model = detector(tmp_path / "m.onnx", seed=9)

    def raced(*_, **__):
        slow = fastest._Figures(sqnr_db=120.0, latency_ms=9.0)
        wrong = fastest._Figures(sqnr_db=5.0, latency_ms=1.0)
        broken = "it fell over"
        names = [f"{ORT} in fp32", f"{OV} in fp32", f"{OV} in bf16"]
        return dict(zip(names, (slow, wrong, broken), strict=True))

    computes = api.doctor().targets
    bf16 = any(one.target == OV and "bf16" in one.computes for one in computes)
    if not bf16:
        pytest.skip("this CPU has no bf16")
    monkeypatch.setattr(fastest, "run_in_child", raced)
    heard = Heard()
    found = opened(model, progress=heard, target=None, compute=None)
    assert (found.target, found.compute) == (ORT, "fp32")
    said = " ".join(heard.notes)
    assert "5 dB from the graph as it is written, and the limit is 80 dB" in said
    assert "it fell over" in said
    found.close()
    monkeypatch.setattr(
        fastest,
        "run_in_child",
        lambda *_, **__: {f"{ORT} in fp32": fastest._Figures(sqnr_db=5.0, latency_ms=1.0)},
    )
    with pytest.raises(CheckFailed, match="No engine here answers"):
        opened(detector(tmp_path / "n.onnx", seed=10), target=ORT, compute=None)


def test_answers_and_times_are_the_engines_own(tmp_path):
    model = detector(tmp_path / "m.onnx")
    other = detector(tmp_path / "n.onnx", seed=1)
    from edgekit.jobs.process.plain import PLAIN_OPTIONS
    from edgekit.jobs.process.targets import usable
    from edgekit.jobs.steps.engine import compile_graphs

    target, probe = usable(ORT)
    made = {
        name: compile_graphs({"main": path}, target, probe, PLAIN_OPTIONS, progress=Silent())
        for name, path in (("same", model), ("other", other))
    }
    folders = {name: engines["main"].folder for name, engines in made.items()}
    feeds = {"x": np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)}
    figures = fastest._raced(folders, model, feeds)
    assert figures["same"].sqnr_db > 100
    assert figures["other"].sqnr_db < 40
    assert all(one.latency_ms > 0 for one in figures.values())
    gone = fastest._raced({"gone": tmp_path / "gone"}, None, feeds)
    assert isinstance(gone["gone"], str)


def test_a_bundle_runs_as_it_was_certified(deployed):
    document, bundle = deployed
    found = live_model(str(bundle), stream=STREAM, progress=Silent())
    assert (found.target, found.variant) == (document.best.target, document.best.variant)
    assert found.verdict == document.verdict
    assert found.shape == (32, 32)
    assert not found.own_shape
    found.close()
    heard = Heard()
    live_model(str(bundle), stream=STREAM, progress=heard).close()
    assert len(heard.stages) == 1
    with pytest.raises(BadInput, match="brings its own card"):
        live_model(str(bundle), stream=STREAM, card=bundle / "card.yaml", progress=Silent())
    given = {"labels": "[a, b, c, d, e, f, g, h, i, j]"}
    other = live_model(str(bundle), stream=STREAM, card_options=given, progress=Silent())
    assert other.card.labels[0] == "a"
    other.close()


def test_a_source_is_exported_once(tmp_path):
    heard = Heard()
    found = opened("edgekit:shapes", progress=heard)
    assert (found.shape, found.own_shape) == ((192, 320), True)
    assert found.card.labels[0] == "circle"
    found.close()
    again = Heard()
    opened("edgekit:shapes", progress=again).close()
    assert len(again.stages) == 1


def test_deploy_for_a_stream_says_its_shape_everywhere(tmp_path):
    model = detector(tmp_path / "m.onnx")
    given = {
        "targets": (ORT,), "precision": ("fp32",), "compute": ("fp32",), "time": 0.2,
        "stream": (1280, 320),
    }  # fmt: skip
    plan = api.deploy(str(model), tmp_path / "b", dry_run=True, **given)
    document = api.deploy(str(model), tmp_path / "b", **given)
    for one in (plan, document):
        assert msgspec.to_builtins(one.stream) == {
            "stream": (1280, 320), "shape": (32, 64), "model": (64, 64),
        }  # fmt: skip
        assert any("32x64 instead of 64x64" in note for note in one.notes)
    assert read_yaml(tmp_path / "b" / "recipe.yaml")["stream"] == "1280x320"
    graph = onnx.load(tmp_path / "b" / "variants" / "fp32" / "main.onnx").graph
    sides = [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim]
    assert sides == [1, 3, 32, 64]
    assert document.entries[0].checks["parity"].verdict == "PASS"
    assert api.verify(tmp_path / "b").verdict != "FAIL"
    found = live_model(str(tmp_path / "b"), stream=(1280, 320), progress=Silent())
    assert (found.shape, found.own_shape) == ((32, 64), True)
    found.close()


def test_deploy_refuses_what_cannot_be_fitted(tmp_path):
    given = {"targets": (ORT,), "stream": (1280, 320)}
    with pytest.raises(BadInput, match="stretch"):
        api.deploy("edgekit:digits", tmp_path / "b", **given)
    with pytest.raises(BadInput, match="no card"):
        api.deploy(str(detector(tmp_path / "raw.onnx", task="raw")), tmp_path / "b", **given)
    with pytest.raises(BadInput, match="grid of anchors"):
        api.deploy(str(detector(tmp_path / "g.onnx", grid=True)), tmp_path / "b", **given)
