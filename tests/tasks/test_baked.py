"""What may be baked, the baked card, and the reference of a baked model."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.card import Axis, Postprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.runtime import CompileOptions
from edgekit.runtimes.catalogue import load_runtime, parse_target
from edgekit.tasks.baked import BAKES, baked_card, parse_bake, score_floor
from edgekit.tasks.baked_reference import BakedReference, open_baked
from edgekit.tasks.cards import dump_card, read_card
from edgekit.tasks.registry import task_for

IMAGE = {"shape": [{"name": "batch", "max": 8}, 3, 32, 32]}
NUMBERS = {"scale": 1 / 255, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "colour": "BGR"}


@pytest.fixture
def detector(card):
    return card("detection", ["a", "b", "c"], inputs={"x": IMAGE}, preprocess=NUMBERS)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], set()),
        (["nms"], {"nms"}),
        (["preprocess,nms"], {"preprocess", "nms"}),
        (["preprocess", " nms ,"], {"preprocess", "nms"}),
    ],
)
def test_words_are_read(words, found):
    assert parse_bake(words) == found


def test_another_word_is_refused_with_the_closest():
    with pytest.raises(BadInput, match="'preproces'.*Did you mean 'preprocess'"):
        parse_bake(["nms,preproces"])


def test_pixels_are_normalised_inside_and_resized_outside(detector):
    baked = baked_card(detector, ["preprocess"])
    assert baked.inputs["x"] == TensorCard(
        shape=(Axis("batch", max=8), 32, 32, 3), dtype="uint8", layout="NHWC", range=(0, 255)
    )
    assert (baked.preprocess.scale, set(baked.preprocess.mean), set(baked.preprocess.std)) == (
        1,
        {0},
        {1},
    )
    assert (baked.preprocess.colour, baked.preprocess.size) == ("BGR", (32, 32))
    assert baked.postprocess == detector.postprocess
    pixels, fit = task_for(baked).preprocess(np.full((20, 20, 3), 9, np.uint8))
    assert pixels.shape == (1, 32, 32, 3)
    assert pixels.dtype == np.uint8
    assert fit == task_for(detector).preprocess(np.full((20, 20, 3), 9, np.uint8))[1]


def test_detections_come_out_in_a_fixed_number(detector):
    baked = baked_card(detector, ["nms"])
    assert baked.outputs == {"detections": TensorCard(shape=(Axis("batch", max=8), 100, 6))}
    assert baked.postprocess == Postprocess(decode="end2end")
    assert baked.inputs == detector.inputs


def test_the_baked_card_travels(detector, tmp_path):
    baked = baked_card(detector, BAKES)
    assert baked.provenance == {"baked": "preprocess, nms"}
    (tmp_path / "b.card.yaml").write_text(dump_card(baked), encoding="utf-8")
    assert read_card(tmp_path / "b.card.yaml") == baked


def test_nothing_baked_is_the_card_itself(detector):
    assert baked_card(detector, []) is detector


def test_the_floor_is_low_and_a_users_lower_one_counts(card):
    assert score_floor(card("detection")) == 0.01
    assert score_floor(card("detection", postprocess={"confidence": 0.001})) == 0.001


@pytest.mark.parametrize(
    ("task", "keys", "what", "words"),
    [
        ("classification", {"inputs": {"x": IMAGE}}, "nms", "'classification'"),
        ("raw", {"inputs": {"x": IMAGE}}, "nms", "'raw'"),
        ("raw", {"inputs": {"x": IMAGE}}, "preprocess", "takes images"),
        ("detection", {}, "preprocess", "takes images"),
        ("detection", {"postprocess": {"decode": "d.py:head"}}, "nms", "Python code"),
        ("detection", {"inputs": {"x": {**IMAGE, "dtype": "uint8"}}}, "preprocess", "uint8"),
    ],
)
def test_what_cannot_be_baked_is_refused(card, task, keys, what, words):
    with pytest.raises(BadInput, match=words):
        baked_card(card(task, **keys), [what])


@pytest.fixture
def session(tmp_path):
    """YOLOX's 21 rows of 8 numbers computed of an image: each its own linear function."""
    import onnx
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    weight = random.normal(0, 0.02, (3 * 32 * 32, 21 * 8)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weight"], ["raw"]),
        helper.make_node("Reshape", ["raw", "rows"], ["shaped"]),
        helper.make_node("Sigmoid", ["shaped"], ["output"]),
    ]
    constants = {
        "flat": np.array([-1, 3 * 32 * 32]),
        "rows": np.array([-1, 21, 8]),
        "weight": weight,
    }
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", kind, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("output", kind, ["batch", 21, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "g.onnx")
    target = parse_target("onnxruntime:cpu")
    runtime = load_runtime(target.runtime)
    (tmp_path / "engine").mkdir()
    options = CompileOptions(optimize=False, threads=1)
    compiled = runtime.compile(tmp_path / "g.onnx", target, options, tmp_path / "engine")
    with runtime.open(compiled, tmp_path / "engine") as opened:
        yield opened


def test_the_reference_answers_as_the_plain_model_with_its_task_around(detector, session):
    plain, baked = task_for(detector), task_for(baked_card(detector, BAKES))
    reference = open_baked(lambda: {"main": session}, detector, BAKES)["main"]
    (given,), (made,) = reference.inputs, reference.outputs
    assert (given.name, given.dtype, given.shape) == ("x", "uint8", ("batch", 32, 32, 3))
    assert (made.name, made.dtype, made.shape) == ("detections", "float32", ("batch", 100, 6))
    images = np.random.default_rng(1).integers(0, 256, (3, 50, 40, 3), np.uint8)
    laid = [baked.preprocess(image) for image in images]
    rows = reference.run({"x": np.concatenate([pixels for pixels, _ in laid])})["detections"]
    assert rows.shape == (3, 100, 6)
    for image, one, (_, fit) in zip(images, rows, laid, strict=True):
        numbers, _ = plain.preprocess(image)
        expected = plain.postprocess(session.run({"x": numbers}), fit, confidence=0.1)
        got = baked.postprocess({"detections": one[None]}, fit, confidence=0.1)
        assert len(expected.scores) > 3
        # Three images or one at a time: a matrix product may round differently.
        assert np.allclose(got.boxes, expected.boxes, atol=1e-3)
        assert np.allclose(got.scores, expected.scores, atol=1e-5)
        assert np.array_equal(got.classes, expected.classes)


def test_the_reference_can_be_bound_and_closed(detector, session):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    with BakedReference(session, detector, frozenset(BAKES)) as reference:
        binding = reference.bind({"x": pixels})
        first = reference.run({"x": pixels})["detections"]
        assert np.array_equal(binding.outputs["detections"], first)
        binding.inputs["x"][...] = 0
        binding.run()
        black = reference.run({"x": np.zeros_like(pixels)})["detections"]
        assert np.array_equal(binding.outputs["detections"], black)
        assert reference.placement().share_by_device() == {"cpu": 1}
    with pytest.raises(BadInput):
        reference.run({"x": pixels})


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"x": np.zeros((1, 3, 32, 32), np.uint8)},
        {"x": np.zeros((1, 32, 32, 3), np.float32)},
    ],
)
def test_the_reference_refuses_what_the_graph_would(detector, session, feeds):
    reference = BakedReference(session, detector, frozenset({"preprocess"}))
    with pytest.raises(BadInput, match="'x'"):
        reference.run(feeds)


def test_nothing_baked_opens_the_plain_sessions(detector, session):
    assert open_baked(lambda: {"main": session}, detector, [])["main"] is session
