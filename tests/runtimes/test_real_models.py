"""A real detector on both CPU engines: the same answers, fp32 as asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.core.parity import SQNR_LIMIT_DB, ParityMeter
from edgekit.core.runtime import CompileOptions
from edgekit.runtimes.catalogue import load_runtime, parse_target

# Sum over the model's 113 convolutions; ONNX Runtime pads some channels, which adds 1.2 %.
YOLOX_NANO_FLOPS = 1_045_106_816


@pytest.mark.realdata
def test_yolox_nano_runs_in_fp32_on_both_engines(realdata: Path, tmp_path: Path) -> None:
    graph = realdata / "models" / "yolox_nano_original.onnx"
    x = np.random.default_rng(0).uniform(0, 255, (1, 3, 416, 416)).astype(np.float32)
    outputs = []
    for text in ("onnxruntime:cpu", "openvino:cpu"):
        target = parse_target(text)
        runtime = load_runtime(target.runtime)
        folder = tmp_path / target.runtime
        folder.mkdir()
        compiled = runtime.compile(graph, target, CompileOptions(threads=2), folder)
        with runtime.open(compiled, folder) as session:
            outputs.append(session.run({"images": x})["output"])
            placement = session.placement()
        assert placement.share_by_precision()["fp32"] == pytest.approx(1)
        assert placement.share_by_device() == {"cpu": pytest.approx(1)}
        flops = sum(node.flops for node in placement.nodes)
        assert 1 <= flops / YOLOX_NANO_FLOPS < 1.02
    meter = ParityMeter()
    meter.add(outputs[0], outputs[1])
    assert meter.result().sqnr_db > SQNR_LIMIT_DB["fp32"]
