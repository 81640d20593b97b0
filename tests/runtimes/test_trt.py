"""The conformance suite on TensorRT's two engines, and the same suite where there is no GPU.

Without one, every graph is built for a GPU that is not here, and ONNX Runtime answers in its place:
what a GPU will be asked is asked here before.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from conformance import BATCH, RuntimeConformance, conv_graph, random, tensor, weights, write
from onnx import helper

from edgekit.core.documents import Gpu
from edgekit.core.errors import BadInput
from edgekit.core.runtime import Compiled, CompileOptions, Session
from edgekit.core.target import Target
from edgekit.runtimes import trt
from edgekit.runtimes.trt import RUNTIME
from edgekit.runtimes.trt_session import TensorRtBinding

RANGES = ((1, 1, 1, 3), (1, 4, 4, 3), (2, 8, 8, 3))


def symmetric_graph(path: Path) -> Path:
    """`conv_graph` with explicit Q/DQ as TensorRT takes it: S8, per channel, nothing shifted."""
    kernel = random(32, 16, 3, 3, seed=1)
    scale = (np.abs(kernel).max(axis=(1, 2, 3)) / 127).astype(np.float32)
    levels = np.round(kernel / scale[:, None, None, None]).astype(np.int8)
    node = helper.make_node
    return write(
        path,
        [
            node("QuantizeLinear", ["x", "xs", "zero"], ["xq"], "q_in"),
            node("DequantizeLinear", ["xq", "xs", "zero"], ["xd"], "dq_in"),
            node("DequantizeLinear", ["wq", "ws", "zeros"], ["wd"], "dq_w", axis=0),
            node("Conv", ["xd", "wd", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
            node("QuantizeLinear", ["c", "ys", "zero"], ["yq"], "q_out"),
            node("DequantizeLinear", ["yq", "ys", "zero"], ["y"], "dq_out"),
        ],
        [tensor("x", [BATCH, 16, 12, 12])],
        [tensor("y", [BATCH, 32, 12, 12])],
        [
            weights("xs", np.float32(0.03)),
            weights("zero", np.int8(0)),
            weights("wq", levels),
            weights("ws", scale),
            weights("zeros", np.zeros(32, np.int8)),
            weights("b", np.zeros(32, np.float32)),
            weights("ys", np.float32(0.4)),
        ],
    )


class TensorRtConformance(RuntimeConformance):
    runtime = RUNTIME
    # Bytes are taken only where they are cast or rounded at once.
    dtypes = ("float32", "float16", "int64", "int32", "int8", "bool")

    def quantized(self, path: Path) -> Path:
        return symmetric_graph(path)

    def ranged(self, graph: Path, folder: Path) -> Session:
        return self.session(graph, folder, profiles=({"x": RANGES},))

    def test_sizes_that_depend_on_the_data(self, tmp_path: Path) -> None:
        graph = write(
            tmp_path / "g.onnx",
            [helper.make_node("NonZero", ["x"], ["y"], "nonzero")],
            [tensor("x", [6])],
            [tensor("y", [1, "found"], "int64")],
        )
        with (
            pytest.raises(BadInput, match="nonzero|depends on the values"),
            self.session(graph, tmp_path / "e") as session,
        ):
            session.run({"x": np.ones(6, np.float32)})

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"runtime_version": "0.0.1"}, "was built by .*; this is"),
            ({"device": "Other GPU | driver 1 | sm1"}, "was built by .* for SM 0.1; this is"),
            ({"engine": "../e/engine.plan"}, "is missing"),
            ({"engine": "other"}, "is missing"),
            ({"engine_sha256": "0" * 64}, "is damaged"),
        ],
    )
    def test_an_engine_from_elsewhere_is_refused(
        self, tmp_path: Path, change: dict[str, str], message: str
    ) -> None:
        compiled = self.compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e")
        with pytest.raises(BadInput, match=message):
            self.runtime.open(msgspec.structs.replace(compiled, **change), tmp_path / "e")

    def test_a_float_convolution_is_placed_in_fp32(self, tmp_path: Path) -> None:
        compiled = self.compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e")
        assert compiled.planned == {"fp32": 1.0}

    def test_a_quantized_convolution_is_placed_in_int8(self, tmp_path: Path) -> None:
        compiled = self.compiled(symmetric_graph(tmp_path / "g.onnx"), tmp_path / "e")
        assert compiled.planned == {"int8": 1.0}

    def test_flops_of_every_kind_of_layer_follow_their_formula(self, tmp_path: Path) -> None:
        pytest.skip("fused layers do not say their shapes")


class OnGpu(TensorRtConformance):
    """What only a GPU can answer; each has its twin among the tests that build or that use a fake.

    Twins: test_trt_session.py for the session, test_trt_build.py for what is built.
    """

    def bound(self, folder: Path, x: Any, **options: Any) -> TensorRtBinding:
        session = self.session(conv_graph(folder / "g.onnx"), folder / "e", **options)
        binding = session.bind({"x": x})
        assert isinstance(binding, TensorRtBinding)
        return binding

    def test_a_binding_is_one_cuda_graph(self, tmp_path: Path) -> None:
        assert self.bound(tmp_path, random(1, 16, 12, 12)).why_not_captured == ""

    def test_the_time_on_the_device_is_told(self, tmp_path: Path) -> None:
        binding = self.bound(tmp_path, random(8, 16, 12, 12))
        for _ in range(3):
            binding.run()
            assert 0 < binding.device_ns() < 1e9

    def test_the_engine_itself_says_what_it_computes_in(self, tmp_path: Path) -> None:
        for name, graph in (("fp32", conv_graph), ("int8", symmetric_graph)):
            with self.session(graph(tmp_path / f"{name}.onnx"), tmp_path / name) as session:
                assert name in session.placement().share_by_precision()

    def test_state_stays_on_the_device(self, tmp_path: Path) -> None:
        graph = write(
            tmp_path / "g.onnx",
            [helper.make_node("Add", ["h", "x"], ["h_next"], "add")],
            [tensor("x", [BATCH, 4]), tensor("h", [BATCH, 4])],
            [tensor("h_next", [BATCH, 4])],
        )
        x = random(2, 4)
        with self.session(graph, tmp_path / "e") as session:
            binding = session.bind({"x": x, "h": np.zeros_like(x)})
            assert isinstance(binding, TensorRtBinding)
            binding.loop({"h_next": "h"})
            for count in range(1, 6):
                binding.run()
                np.testing.assert_allclose(binding.outputs["h_next"], count * x, rtol=1e-5)

    def test_two_profiles_are_used(self, tmp_path: Path) -> None:
        profiles = tuple(
            {"x": tuple((batch, 16, 12, 12) for batch in row)} for row in ((1, 1, 1), (4, 8, 8))
        )
        graph = conv_graph(tmp_path / "g.onnx")
        with self.session(graph, tmp_path / "e", profiles=profiles) as session:
            eight = random(8, 16, 12, 12)
            whole = session.run({"x": eight})["y"]
            one = session.run({"x": eight[:1]})["y"]
            np.testing.assert_allclose(one, whole[:1], rtol=1e-4, atol=1e-4)
            with pytest.raises(BadInput, match="the engine was built for"):
                session.run({"x": eight[:2]})

    def test_closing_gives_the_memory_back(self, tmp_path: Path) -> None:
        graph = conv_graph(tmp_path / "g.onnx")
        free = []
        for place in range(4):
            session = self.session(graph, tmp_path / str(place))
            session.bind({"x": random(8, 16, 12, 12)}).run()
            memory = session.cuda.memory  # type: ignore[attr-defined]
            session.close()
            free.append(memory()[0])
        # The first time the library keeps some for itself.
        assert free[-1] >= free[1] - (4 << 20)


@pytest.mark.gpu
class TestTensorRt(OnGpu):
    target = Target("tensorrt", "cuda")


@pytest.mark.gpu
class TestTensorRtForRtx(OnGpu):
    target = Target("tensorrt-rtx", "cuda")


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: pip install 'edgekit[tensorrt-rtx]'",
)
class TestWithoutGpu(TensorRtConformance):
    """Builds every graph for an RTX 3060; ONNX Runtime runs it."""

    target = Target("tensorrt-rtx", "cuda")

    @pytest.fixture(autouse=True)
    def _usable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gpu = Gpu(index=0, name="NVIDIA GeForce RTX 3060", sm=86, driver="580.82.07")
        monkeypatch.setattr(trt, "_gpus", lambda: (gpu,))

    def compiled(self, graph: Path, folder: Path, **options: Any) -> Compiled:
        folder.mkdir(exist_ok=True)
        chosen = CompileOptions(**{"threads": 1, "sm": (86,), **options})
        return self.runtime.compile(graph, self.target, chosen, folder)

    def session(self, graph: Path, folder: Path, **options: Any) -> Session:
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        from edgekit.runtimes.ort import RUNTIME as ORT

        self.compiled(graph, folder, **options)
        beside = folder / "onnxruntime"
        beside.mkdir()
        cpu = Target("onnxruntime", "cpu")
        return ORT.open(ORT.compile(graph, cpu, CompileOptions(threads=1), beside), beside)

    def test_an_engine_moves_with_its_folder(self, tmp_path: Path) -> None:
        pytest.skip("opening one takes the GPU")
