"""Real trained models on real labelled images, the whole road."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit import api

pytestmark = pytest.mark.realdata

TARGETS = ("onnxruntime:cpu", "openvino:cpu")
SQUEEZENET = f"{Path(__file__).parent.parent / 'models' / 'squeezenet.py'}:squeezenet1_1"
# FP32 metrics as published with the models (PyTorch), and what calibrates.
MODELS = {
    "darknet_tiny.pt2": ("top1", 0.665, "imagenet", None),
    "squeezenet1_1.pth": ("top1", 0.655, "imagenet", None),
    "yolox_nano.pt2": ("mAP50-95", 0.3415, "coco/val", "coco/calib"),
    "yolox_nano_original.onnx": ("mAP50-95", 0.3415, "coco/val", "coco/calib"),
    "fastestdet.pt2": ("mAP50-95", 0.1962, "coco/val", "coco/calib"),
    "espnetv2_s1.0_voc.pt2": ("mIoU", 0.4729, "coco/val", "coco/calib"),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MODELS)
def test_deploy_meets_the_published_metric_and_ships_nothing_that_fails(name, realdata, tmp_path):
    metric, value, data, calibration = MODELS[name]
    document = api.deploy(
        str(realdata / "models" / name),
        tmp_path / "bundle",
        targets=TARGETS,
        data=realdata / data,
        calibration=realdata / calibration if calibration else None,
        arch=SQUEEZENET if name.endswith(".pth") else None,
        trust_code=True,
        time=1.0,
    )
    assert document.reference_metric.name == metric
    assert document.reference_metric.value == pytest.approx(value, abs=0.005)
    verdicts = {(e.target, e.variant, e.compute): e.verdict for e in document.entries}
    for entry in document.entries:
        if (entry.variant, entry.compute) == ("fp32", "fp32"):
            assert entry.verdict == "PASS"
            assert entry.metric.value == pytest.approx(value, abs=0.005)
            assert entry.executed_precision == "fp32"
    assert len(document.recommended) == len(TARGETS)
    for one in document.recommended:
        assert verdicts[one.target, one.variant, one.compute] == "PASS"
    assert api.verify(tmp_path / "bundle").verdict == "PASS"


@pytest.mark.slow
def test_int8_of_yolox_nano_does_not_collapse(realdata, tmp_path):
    """ONNX Runtime's defaults take this detector from .339 to .000."""
    output = tmp_path / "int8.onnx"
    source = realdata / "models" / "yolox_nano_original.onnx"
    made = api.quantize(str(source), output, calibration=realdata / "coco" / "calib")
    assert made.size_bytes < 0.4 * made.size_bytes_before
    document = api.evaluate(
        str(output),
        data=realdata / "coco" / "val",
        calibration=realdata / "coco" / "calib",
        target="openvino:cpu",
    )
    assert document.n == 64
    assert document.metric.value > 0.3415 - 0.01


def test_weights_saved_on_a_gpu_load_on_a_cpu(realdata):
    from edgekit.export.weights import read_weights

    weights = read_weights(realdata / "models" / "fastestdet_original_cuda.pth", trust_pickle=False)
    assert {value.device.type for value in weights.values()} == {"cpu"}
