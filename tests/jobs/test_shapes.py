"""The built-in detector: what it reaches, and what a naive int8 of it loses."""

from __future__ import annotations

import onnx
import pytest
from judge import Judge

from edgekit import api
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.process.feeds import open_data

IMAGES = 80


def test_it_is_a_real_detector(shapes, shapes_onnx):
    """On 500 unseen scenes, as `edgekit data shapes -n 500` writes them."""
    found = api.evaluate(str(shapes_onnx), data=shapes, target="onnxruntime:cpu")
    assert (found.n, found.split, found.skipped) == (500, "role", ())
    assert found.metric.name == "mAP50-95"
    assert found.metric.value >= 0.60
    assert found.metric.others["mAP50-95 small"] >= 0.35


def naive(graph, path, data):
    """What people try first: onnxruntime's defaults, one scale a tensor from its extremes."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Pictures(CalibrationDataReader):
        def __init__(self):
            self._left = iter(data.calibration_feeds("main", 50))

        def get_next(self):
            return next(self._left, None)

    quantize_static(graph, path, Pictures(), quant_format=QuantFormat.QDQ, per_channel=False)
    return path


@pytest.mark.filterwarnings("ignore")
def test_the_certificate_catches_a_naive_int8_of_it(shapes, shapes_onnx, tmp_path):
    model = resolve_model(str(shapes_onnx))
    data = open_data(shapes, model.card, seed=0)
    judge = Judge(shapes_onnx, model, data.samples[:IMAGES], target="openvino:cpu")
    broken = judge(naive(shapes_onnx, tmp_path / "naive.onnx", data), precision="int8")
    assert broken.verdict == "FAIL"
    failed = {name for name, check in broken.checks.items() if check.verdict == "FAIL"}
    # Boxes reach 320 and scores 1: under one scale, a score is less than one step, and rounds to 0
    # or to 1.25. Parity is about the boxes then and sees nothing.
    assert failed == {"metric", "agreement", "confidence_shift"}
    assert broken.checks["metric"].value > 10
    assert broken.checks["confidence_shift"].value > 0.2

    api.quantize(str(shapes_onnx), tmp_path / "ours.onnx", data=shapes)
    ours = judge(tmp_path / "ours.onnx", precision="int8")
    assert ours.verdict == "PASS", {n: c.reason for n, c in ours.checks.items() if c.reason}


def test_height_and_width_are_free(shapes_onnx):
    sizes = [
        size.dim_param for size in onnx.load(shapes_onnx).graph.input[0].type.tensor_type.shape.dim
    ]
    assert sizes == ["batch", "", "height", "width"]
