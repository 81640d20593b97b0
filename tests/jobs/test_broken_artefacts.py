"""Real graphs broken on purpose, compiled and run: the certificate turns red, and where."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit.core.certificate import Limits
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.core.variant import Variant
from edgekit.jobs.certify import Basis, certify_entry, reference_truths
from edgekit.jobs.engines import compile_graphs, open_engines, usable
from edgekit.jobs.entries import plan_entries
from edgekit.jobs.feeds import generated_feeds, open_data
from edgekit.jobs.models import resolve_model
from edgekit.jobs.plain import PLAIN_OPTIONS
from edgekit.jobs.reference import Reference


@pytest.fixture(scope="module")
def judge(digits, digits_onnx):
    """A function from an ONNX file to its certificate against the untouched model."""
    progress = Silent()
    target, probe = usable("onnxruntime:cpu")
    model = resolve_model(str(digits_onnx))
    data = open_data(digits, model.card, seed=0)
    feeds = generated_feeds(model.card, 0)

    def opener(path, options):
        engines = compile_graphs({"main": path}, target, probe, options, progress=progress)
        return partial(open_engines, {"main": engines["main"].folder})

    truths = reference_truths(
        Reference("the graph itself", opener(digits_onnx, PLAIN_OPTIONS)),
        model.card,
        Path(),
        data.samples,
        feeds,
        feeds,
        trust_code=False,
        seed=0,
        progress=progress,
    )

    def certificate(path, precision="fp32", **limits):
        (plan,) = plan_entries([(target, probe)], [precision], ["fp32"])
        variant = Variant(plan.variant, precision, {"main": str(path)})
        found, _ = certify_entry(
            plan,
            variant,
            opener(path, CompileOptions()),
            Basis(model.card, Path(), truths, Limits(**limits)),
            progress,
        )
        return found

    return certificate


def failed(certificate):
    return {name for name, check in certificate.checks.items() if check.verdict == "FAIL"}


def changed(source: Path, path: Path, change) -> Path:
    """Copy a graph with its last float weight matrix and bias passed through `change`."""
    model = onnx.load(source)
    weights = [t for t in model.graph.initializer if len(t.dims) == 2][-1]
    array = numpy_helper.to_array(weights).copy()
    weights.CopyFrom(numpy_helper.from_array(change(array), weights.name))
    onnx.save(model, path)
    return path


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


def test_less_sure_answers_fail_the_shift_though_every_answer_is_right(
    judge, digits_onnx, tmp_path
):
    found = judge(changed(digits_onnx, tmp_path / "m.onnx", lambda array: array * 0.1))
    assert found.checks["confidence_shift"].verdict == "FAIL"
    assert found.checks["confidence_shift"].details["median"] < -0.05
    assert found.checks["agreement"].verdict == "PASS"


def test_swapped_classes_fail_metric_and_agreement(judge, digits_onnx, tmp_path):
    def swap(array):
        axis = array.shape.index(10)
        return np.roll(array, 1, axis=axis)

    found = judge(changed(digits_onnx, tmp_path / "m.onnx", swap))
    assert {"metric", "agreement"} <= failed(found)
    assert found.checks["metric"].value > 50


def test_an_int8_variant_that_is_float_inside_fails_placement_alone(judge, digits_onnx):
    found = judge(digits_onnx, precision="int8")
    assert failed(found) == {"placement"}
    assert "none of the arithmetic ran in int8" in found.checks["placement"].reason
