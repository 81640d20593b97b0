"""What is baked into a graph does on both engines what edgekit does in numpy."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.core.card import ModelCard, Postprocess, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.runtime import CompileOptions
from edgekit.export.bake import bake_graph
from edgekit.export.metadata import graph_card, put_card, read_card
from edgekit.runtimes.catalogue import load_runtime, parse_target
from edgekit.tasks.baked import baked_card
from edgekit.tasks.detection import Detector
from edgekit.tasks.preprocess import preprocessor
from edgekit.tasks.task import Fit

TARGETS = ("onnxruntime:cpu", "openvino:cpu")
SIZE = (64, 64)
ANCHORS = 84  # of YOLOX: 8 * 8 + 4 * 4 + 2 * 2
CLASSES = 3
SHAPES = {
    "yolox": (ANCHORS, 5 + CLASSES),
    "yolov5": (ANCHORS, 5 + CLASSES),
    "yolov8": (4 + CLASSES, ANCHORS),
    "end2end": (ANCHORS, 6),
}


def detector_card(decode, **rules):
    return ModelCard(
        task="detection",
        labels=("a", "b", "c"),
        preprocess=Preprocess(size=SIZE),
        postprocess=Postprocess(decode=decode, **{"iou": 0.5, "max_detections": 12, **rules}),
    )


def head_graph(path, shape, dtype=onnx.TensorProto.FLOAT, batch="batch"):
    """A network whose output is its input, so that a test may choose it."""
    helper = onnx.helper
    given_, made = (
        helper.make_tensor_value_info(name, kind, [batch, *shape])
        for name, kind in (("x", onnx.TensorProto.FLOAT), ("output", dtype))
    )
    node = helper.make_node("Cast", ["x"], ["output"], to=dtype)
    graph = helper.make_graph([node], "head", [given_], [made])
    opset = [helper.make_opsetid("", 11)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def opened(graph, text, folder, **options):
    target = parse_target(text)
    runtime = load_runtime(target.runtime)
    folder.mkdir()
    compiled = runtime.compile(graph, target, CompileOptions(threads=1, **options), folder)
    return runtime.open(compiled, folder)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """(decode, target) to a session of the head with NMS baked behind it."""
    made = {}
    for decode, text in itertools.product(SHAPES, TARGETS):
        folder = tmp_path_factory.mktemp("heads")
        plain = head_graph(folder / "plain.onnx", SHAPES[decode])
        bake_graph(plain, folder / "baked.onnx", detector_card(decode), ["nms"])
        made[decode, text] = opened(folder / "baked.onnx", text, folder / "engine")
    yield made
    for session in made.values():
        session.close()


def in_numpy(card, rows):
    """What edgekit makes of a batch of outputs outside the graph: (B, K, 6)."""
    detector = Detector(card)
    fit = Fit(SIZE, SIZE, scale_x=1.0, scale_y=1.0, left=0.0, top=0.0)
    expected = np.zeros((len(rows), card.postprocess.max_detections, 6), np.float32)
    for image, one in zip(expected, rows, strict=True):
        found = detector.detections({"output": one[None]}, fit, 0.01, multi_label=True)
        image[: len(found.scores)] = np.column_stack([found.boxes, found.scores, found.classes])
    return expected


def network_output(decode, seed, batch, share, *, levels=0):
    """Rows as a network gives them; `share` of the anchors see something.

    Args:
        levels: Scores are one of so many values, so that many are equal; 0 makes them differ.
    """
    random = np.random.default_rng(seed)
    boxes = random.uniform(8, 56, (batch, ANCHORS, 4)).astype(np.float32)
    boxes[..., 2:] = random.uniform(6, 30, (batch, ANCHORS, 2))
    seen = random.random((batch, ANCHORS, 1)) < share
    if levels:
        scores = random.integers(1, levels + 1, (batch, ANCHORS, CLASSES)) / (2 * levels)
    else:
        count = batch * ANCHORS * CLASSES
        scores = random.permutation(np.linspace(0.02, 0.99, count)).reshape(batch, ANCHORS, CLASSES)
    scores = scores.astype(np.float32)
    objectness = np.where(seen, np.float32(1), np.float32(0))
    if decode == "yolox":
        boxes[..., :2] = random.uniform(-1, 2, (batch, ANCHORS, 2))
        boxes[..., 2:] = random.uniform(-1, 1, (batch, ANCHORS, 2))
    if decode == "yolov8":
        return np.concatenate([boxes, scores * objectness], axis=2).transpose(0, 2, 1).copy()
    if decode == "end2end":
        labels = random.integers(0, CLASSES, (batch, ANCHORS, 1)).astype(np.float32)
        return np.concatenate([boxes, scores[..., :1] * objectness, labels], axis=2)
    return np.concatenate([boxes, objectness, scores], axis=2)


@pytest.mark.parametrize("text", TARGETS)
@pytest.mark.parametrize("decode", SHAPES)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.sampled_from([1, 3]),
    share=st.sampled_from([0, 0.03, 0.3, 1]),
)
def test_detections_are_those_of_numpy(heads, decode, text, seed, batch, share):
    rows = network_output(decode, seed, batch, share)
    expected = in_numpy(detector_card(decode), rows)
    got = heads[decode, text].run({"x": rows})["detections"]
    assert got.shape == (batch, 12, 6)
    assert got.dtype == np.float32
    assert np.allclose(got, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("decode", SHAPES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.03, 0.3, 1]))
def test_of_equal_scores_the_first_comes_first(heads, decode, seed, share):
    # As ONNX defines TopK. OpenVINO's leaves the order of equals open.
    rows = network_output(decode, seed, 2, share, levels=4)
    expected = in_numpy(detector_card(decode), rows)
    got = heads[decode, "onnxruntime:cpu"].run({"x": rows})["detections"]
    assert np.allclose(got, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("text", TARGETS)
def test_the_draws_reach_every_case(heads, text):
    session = heads["yolox", text]
    none = session.run({"x": network_output("yolox", 0, 3, 0)})["detections"]
    assert not none.any()
    many = session.run({"x": network_output("yolox", 0, 1, 1)})["detections"]
    assert (many[..., 4] > 0).all()
    some = session.run({"x": network_output("yolox", 0, 1, 0.03)})["detections"]
    assert 0 < (some[..., 4] > 0).sum() < 12


@pytest.mark.parametrize("text", TARGETS)
def test_one_image_of_a_batch_does_not_touch_another(heads, text):
    rows = network_output("yolov8", 5, 3, 0.3)
    rows[1, 4:] = 0
    together = heads["yolov8", text].run({"x": rows})["detections"]
    assert not together[1].any()
    for index in range(3):
        alone = heads["yolov8", text].run({"x": rows[index : index + 1]})["detections"]
        assert np.array_equal(alone[0], together[index])


@pytest.mark.parametrize("text", TARGETS)
def test_a_box_that_overflows_is_no_detection(heads, text):
    rows = network_output("yolox", 2, 1, 0.3)
    rows[0, 7, 2:4] = 100  # exp(100) is more than float32 holds
    rows[0, 7, 4:] = 1
    expected = in_numpy(detector_card("yolox"), rows)
    got = heads["yolox", text].run({"x": rows})["detections"]
    assert np.allclose(got, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("text", TARGETS)
def test_more_rows_are_asked_for_than_there_are_places(tmp_path, text):
    card = detector_card("yolox", max_detections=ANCHORS * CLASSES + 50, iou=1.0)
    bake_graph(head_graph(tmp_path / "p.onnx", SHAPES["yolox"]), tmp_path / "b.onnx", card, ["nms"])
    rows = network_output("yolox", 3, 2, 0.5)
    with opened(tmp_path / "b.onnx", text, tmp_path / "engine") as session:
        got = session.run({"x": rows})["detections"]
    assert np.allclose(got, in_numpy(card, rows), rtol=1e-5, atol=1e-4)


def test_a_low_threshold_of_the_users_is_kept(tmp_path):
    card = detector_card("yolov5", confidence=0.001)
    bake_graph(
        head_graph(tmp_path / "p.onnx", SHAPES["yolov5"]), tmp_path / "b.onnx", card, ["nms"]
    )
    rows = np.zeros((1, *SHAPES["yolov5"]), np.float32)
    rows[0, 3] = (20, 20, 10, 10, 1, 0.002, 0, 0)
    with opened(tmp_path / "b.onnx", "onnxruntime:cpu", tmp_path / "engine") as session:
        got = session.run({"x": rows})["detections"]
    assert got[0, 0].tolist() == pytest.approx([15, 15, 25, 25, 0.002, 0])


def test_an_output_in_half_precision_is_decoded_in_float32(tmp_path):
    graph = head_graph(tmp_path / "p.onnx", SHAPES["yolov5"], dtype=onnx.TensorProto.FLOAT16)
    bake_graph(graph, tmp_path / "b.onnx", detector_card("yolov5"), ["nms"])
    rows = network_output("yolov5", 4, 1, 0.3).astype(np.float16).astype(np.float32)
    with opened(tmp_path / "b.onnx", "onnxruntime:cpu", tmp_path / "engine") as session:
        got = session.run({"x": rows})["detections"]
    assert np.allclose(got, in_numpy(detector_card("yolov5"), rows), rtol=1e-5, atol=1e-4)


def test_only_standard_operators_are_added_and_the_card_travels(tmp_path):
    card = detector_card("yolox")
    graph = head_graph(tmp_path / "p.onnx", SHAPES["yolox"])
    bake_graph(graph, tmp_path / "b.onnx", card, ["nms"])
    model = onnx.load(tmp_path / "b.onnx")
    assert {node.domain for node in model.graph.node} == {""}
    assert "NonMaxSuppression" in {node.op_type for node in model.graph.node}
    assert [one.name for one in model.graph.output] == ["detections"]
    assert read_card(tmp_path / "b.onnx") == baked_card(card, ["nms"])
    assert graph_card(model).outputs["detections"].shape == ("batch", 12, 6)
    bake_graph(graph, tmp_path / "again.onnx", card, ["nms"])
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_tensor_that_has_the_outputs_name_makes_room(tmp_path):
    graph = head_graph(tmp_path / "p.onnx", SHAPES["end2end"])
    model = onnx.load(graph)
    model.graph.node[0].output[0] = model.graph.output[0].name = "detections"
    onnx.save(model, graph)
    bake_graph(graph, tmp_path / "b.onnx", detector_card("end2end"), ["nms"])
    rows = network_output("end2end", 6, 1, 0.3)
    with opened(tmp_path / "b.onnx", "onnxruntime:cpu", tmp_path / "engine") as session:
        got = session.run({"x": rows})["detections"]
    assert np.allclose(got, in_numpy(detector_card("end2end"), rows), atol=1e-4)


@pytest.mark.parametrize(
    ("decode", "shape", "words"),
    [
        ("yolox", (80, 8), r"\(batch, 84, 5 \+ classes\).*output \[None, 80, 8\]"),
        ("yolox", (ANCHORS, 9), "4 classes, but the card names 3"),
        ("yolov8", (4, ANCHORS), "no output fits"),
        ("end2end", (ANCHORS, 7), r"\(batch, N, 6\)"),
        ("yolov5", ("anchors", 8), "leaves open how many anchors the output 'output' has"),
    ],
)
def test_an_output_that_is_not_the_heads_is_refused(tmp_path, decode, shape, words):
    graph = head_graph(tmp_path / "p.onnx", shape)
    with pytest.raises(BadInput, match=words):
        bake_graph(graph, tmp_path / "b.onnx", detector_card(decode), ["nms"])
    assert not (tmp_path / "b.onnx").exists()


def pixel_graph(path, shape, layout="NCHW"):
    """A network that returns what it is fed, and reads its input in a subgraph as well."""
    helper = onnx.helper
    kind = onnx.TensorProto.FLOAT
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["seen"])],
        "branch",
        [],
        [helper.make_tensor_value_info("seen", kind, None)],
    )
    condition = helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True])
    graph = helper.make_graph(
        [helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)],
        "pixels",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [condition],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return TensorCard(shape=tuple(shape), layout=layout)


@pytest.mark.parametrize("text", TARGETS)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    "section",
    [
        {},
        {"scale": 1 / 255},
        {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        {"colour": "BGR", "mean": (103.5, 116.3, 123.7)},
        {"colour": "GRAY", "scale": 1 / 128, "mean": (1,), "std": (1,)},
    ],
)
def test_the_graph_normalises_as_the_preprocessor_does(tmp_path, text, layout, section):
    preprocess = Preprocess(size=(6, 9), **section)
    channels = preprocess.channels
    shape = ["batch", channels, 6, 9] if layout == "NCHW" else ["batch", 6, 9, channels]
    tensor = pixel_graph(tmp_path / "p.onnx", shape, layout)
    card = ModelCard(
        task="classification",
        inputs={"x": tensor},
        preprocess=preprocess,
        postprocess=Postprocess(decode="softmax"),
    )
    bake_graph(tmp_path / "p.onnx", tmp_path / "b.onnx", card, ["preprocess"])
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    inside, outside = preprocessor(read_card(tmp_path / "b.onnx")), preprocessor(card)
    pixels = np.concatenate([inside(image)[0] for image in images])
    expected = np.concatenate([outside(image)[0] for image in images])
    assert pixels.dtype == np.uint8
    assert pixels.shape == (3, 6, 9, channels)
    with opened(tmp_path / "b.onnx", text, tmp_path / "engine") as session:
        (info,) = session.inputs
        assert (info.dtype, info.shape[1:]) == ("uint8", (6, 9, channels))
        got = session.run({"x": pixels})["y"]
    # The mean is rounded to float32 in the graph.
    assert np.abs(got - expected).max() < 1e-6 * np.abs(expected).max()


def test_baking_keeps_the_other_metadata(tmp_path):
    tensor = pixel_graph(tmp_path / "p.onnx", ["batch", 3, 6, 9])
    card = ModelCard(
        task="classification",
        inputs={"x": tensor},
        preprocess=Preprocess(size=(6, 9)),
        postprocess=Postprocess(decode="softmax"),
    )
    model = onnx.load(tmp_path / "p.onnx")
    put_card(model, card)
    entry = model.metadata_props.add()
    entry.key, entry.value = "author", "someone"
    onnx.save(model, tmp_path / "p.onnx")
    bake_graph(tmp_path / "p.onnx", tmp_path / "b.onnx", card, ["preprocess"])
    kept = {one.key: one.value for one in onnx.load(tmp_path / "b.onnx").metadata_props}
    assert kept["author"] == "someone"
    assert kept["edgekit.role"] == "main"
