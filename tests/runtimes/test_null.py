"""The null runtime meets the suite as far as shapes go, and pretends what it is told to."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from conformance import RuntimeConformance, tensor, write
from onnx import helper

from edgekit.core.errors import BadInput
from edgekit.core.runtime import CompileOptions
from edgekit.core.target import Target
from edgekit.runtimes.null import METADATA_KEY, RUNTIME


class TestNull(RuntimeConformance):
    runtime = RUNTIME
    target = Target("null", "cpu")
    computes = False


def graph(path: Path, behaviour: str) -> Path:
    return write(
        path,
        [helper.make_node("Relu", ["x"], ["y"], "relu")],
        [tensor("x", ["n", 2])],
        [tensor("y", ["n", 2])],
        metadata={METADATA_KEY: behaviour},
    )


def test_it_pretends_what_the_graph_says(tmp_path: Path) -> None:
    target = Target("null", "cpu")
    behaviour = '{"delay_ms": 30, "fill": 1.5, "device": "elsewhere", "precision": "bf16"}'
    compiled = RUNTIME.compile(
        graph(tmp_path / "g.onnx", behaviour), target, CompileOptions(), tmp_path
    )
    with RUNTIME.open(compiled, tmp_path) as session:
        began = time.perf_counter()
        output = session.run({"x": np.zeros((3, 2), np.float32)})["y"]
        assert time.perf_counter() - began >= 0.03
        np.testing.assert_array_equal(output, np.full((3, 2), 1.5, np.float32))
        assert session.placement().share_by_device() == {"elsewhere": 1.0}
        assert session.placement().executed_precision == "bf16"


def test_a_wrong_behaviour_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="delay"):
        RUNTIME.compile(
            graph(tmp_path / "g.onnx", '{"delay": 1}'),
            Target("null", "cpu"),
            CompileOptions(),
            tmp_path,
        )
