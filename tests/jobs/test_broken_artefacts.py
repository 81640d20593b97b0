"""Real graphs broken on purpose, compiled and run: for each check one that it alone turns red."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from judge import Judge
from onnx import helper, numpy_helper

from edgekit.core.certificate import CHECKS
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.process.feeds import Data, open_data

# Parity looks at the outputs of so many images, the first ones.
PARITY_IMAGES = 16
EYE = np.eye(10, dtype=np.float32)


@pytest.fixture(scope="module")
def model(digits_onnx):
    return resolve_model(str(digits_onnx))


@pytest.fixture(scope="module")
def data(digits, model):
    return open_data(digits, model.card, seed=0)


@pytest.fixture(scope="module")
def judge(digits_onnx, model, data):
    return Judge(digits_onnx, model, data.samples)


@pytest.fixture(scope="module")
def brightness(data):
    """Mean of the network's input, image by image."""
    (several,) = Data(data.dataset, data.card).feeds(len(data.samples)).values()
    means = [float(array.mean()) for one in several for array in one.values()]
    assert len(means) == len(data.samples)
    return np.array(means, np.float32)


@pytest.fixture(scope="module")
def by_brightness(digits_onnx, model, data, brightness):
    """A judge that sees the darkest pictures first: data sets often have an order."""
    return Judge(digits_onnx, model, [data.samples[i] for i in np.argsort(brightness)])


def failed(certificate):
    assert set(certificate.checks) == set(CHECKS)
    return {name for name, check in certificate.checks.items() if check.verdict == "FAIL"}


def changed(source: Path, path: Path, change) -> Path:
    """Copy a graph with its last float weight matrix passed through `change`."""
    model = onnx.load(source)
    weights = [t for t in model.graph.initializer if len(t.dims) == 2][-1]
    array = numpy_helper.to_array(weights).copy()
    weights.CopyFrom(numpy_helper.from_array(change(array), weights.name))
    onnx.save(model, path)
    return path


def extended(source: Path, path: Path, nodes, constants) -> Path:
    """Copy a graph with nodes behind its output, which read "before" and write "after"."""
    model = onnx.load(source)
    graph = model.graph
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if output == name else output for output in node.output]
    for node in nodes(graph.input[0].name):
        node.output[:] = [name if output == "after" else output for output in node.output]
        graph.node.append(node)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def wrong_where(source: Path, path: Path, condition, constants, matrix) -> Path:
    """Copy a graph whose logits go through `matrix` for some of the pictures only.

    Args:
        condition: Given the input's name, the nodes that compute "gate", (batch, 1) bool.
        matrix: (10, 10) float32.
    """

    def nodes(image):
        return [
            *condition(image),
            helper.make_node("MatMul", ["before", "matrix"], ["other"]),
            helper.make_node("Where", ["gate", "other", "before"], ["after"]),
        ]

    return extended(source, path, nodes, {**constants, "matrix": matrix})


def wrong_where_bright(source: Path, path: Path, threshold, matrix) -> Path:
    def brighter(image):
        return [
            helper.make_node("Flatten", [image], ["pixels"]),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=1),
            helper.make_node("Greater", ["mean", "threshold"], ["gate"]),
        ]

    constants = {"axes": np.array([1]), "threshold": np.float32(threshold)}
    return wrong_where(source, path, brighter, constants, matrix)


def wrong_where_unsure(source: Path, path: Path, threshold, matrix) -> Path:
    def unsure(_image):
        return [
            helper.make_node("Softmax", ["before"], ["probabilities"], axis=1),
            helper.make_node("ReduceMax", ["probabilities", "axes"], ["surest"], keepdims=1),
            helper.make_node("Less", ["surest", "threshold"], ["gate"]),
        ]

    constants = {"axes": np.array([1]), "threshold": np.float32(threshold)}
    return wrong_where(source, path, unsure, constants, matrix)


def test_the_untouched_graph_passes(judge, digits_onnx):
    assert judge(digits_onnx).verdict == "PASS"


def test_a_nan_weight_fails_finite_alone(judge, digits_onnx, tmp_path):
    def poison(array):
        array.flat[0] = np.nan
        return array

    found = judge(changed(digits_onnx, tmp_path / "m.onnx", poison))
    assert failed(found) == {"finite"}


def test_a_small_error_in_the_weights_fails_parity_alone(judge, digits_onnx, tmp_path):
    found = judge(changed(digits_onnx, tmp_path / "m.onnx", lambda array: array * 1.002))
    assert failed(found) == {"parity"}
    assert 40 < found.checks["parity"].value < 80


def test_wrong_answers_to_the_brightest_pictures_fail_the_metric_alone(
    by_brightness, digits_onnx, brightness, tmp_path
):
    """Such as an accumulator that overflows: rare, and parity may not meet it."""
    threshold = np.sort(brightness)[-21]
    rotated = np.roll(EYE, 1, axis=1)
    path = wrong_where_bright(digits_onnx, tmp_path / "m.onnx", threshold, rotated)
    found = by_brightness(path)
    assert failed(found) == {"metric"}
    assert found.checks["metric"].value == pytest.approx(100 * 20 / 500, abs=0.5)
    assert found.checks["agreement"].value == pytest.approx(480 / 500)


def test_other_wrong_answers_where_it_was_wrong_fail_agreement_alone(
    judge, digits_onnx, model, data, tmp_path
):
    """The score stays what it was, and yet a fifth of the answers are others."""
    evaluation = judge.truths.evaluation
    surest = np.array([result.probabilities.max() for result in evaluation.results])
    answers = np.array([result.probabilities.argmax() for result in evaluation.results])
    wrong = np.flatnonzero(answers != np.array(evaluation.truths))
    assert len(wrong) == 5
    threshold = surest[wrong].max() + 0.005
    sure = np.flatnonzero(surest > threshold)[:20]
    few = Judge(digits_onnx, model, [data.samples[i] for i in (*sure, *wrong)])
    # Minus the logits: the answer becomes the least likely class, which is not the right one.
    found = few(wrong_where_unsure(digits_onnx, tmp_path / "m.onnx", threshold, -EYE))
    assert failed(found) == {"agreement"}
    assert found.checks["agreement"].value == pytest.approx(0.8)
    assert found.checks["metric"].value == 0


def test_less_sure_answers_fail_the_shift_alone_though_every_answer_is_right(
    by_brightness, digits_onnx, brightness, tmp_path
):
    threshold = np.sort(brightness)[PARITY_IMAGES - 1]
    path = wrong_where_bright(digits_onnx, tmp_path / "m.onnx", threshold, 0.1 * EYE)
    found = by_brightness(path)
    assert failed(found) == {"confidence_shift"}
    assert found.checks["confidence_shift"].details["median"] < -0.05
    assert found.checks["agreement"].value == 1


def test_an_int8_variant_that_is_float_inside_fails_placement_alone(judge, digits_onnx):
    found = judge(digits_onnx, precision="int8")
    assert failed(found) == {"placement"}
    assert "none of the arithmetic ran in int8" in found.checks["placement"].reason


def test_noise_below_every_other_limit_fails_repeatable_alone(judge, digits_onnx, tmp_path):
    def nodes(_image):
        return [
            helper.make_node("RandomNormalLike", ["before"], ["noise"], scale=1e-5),
            helper.make_node("Add", ["before", "noise"], ["after"]),
        ]

    found = judge(extended(digits_onnx, tmp_path / "m.onnx", nodes, {}))
    assert failed(found) == {"repeatable"}
    assert found.checks["repeatable"].value > 0
    assert found.checks["parity"].value > 80


def test_swapped_classes_fail_metric_and_agreement(judge, digits_onnx, tmp_path):
    def swap(array):
        axis = array.shape.index(10)
        return np.roll(array, 1, axis=axis)

    found = judge(changed(digits_onnx, tmp_path / "m.onnx", swap))
    assert {"metric", "agreement"} <= failed(found)
    assert found.checks["metric"].value > 50
