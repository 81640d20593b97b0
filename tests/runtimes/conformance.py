"""What every runtime must do. A runtime's test subclasses `RuntimeConformance` and names itself."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.errors import BadInput
from edgekit.core.runtime import Compiled, CompileOptions, Queue, Queueing, Runtime, Session
from edgekit.core.target import Target

__all__ = ["RuntimeConformance", "conv_graph", "qdq_graph", "tensor", "weights", "write"]

BATCH = "batch"


def tensor(name: str, shape: Sequence[int | str] | None, dtype: str = "float32") -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, shape)


def weights(name: str, array: Any) -> Any:
    return numpy_helper.from_array(np.asarray(array), name)


def write(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    initializers: Sequence[Any] = (),
    metadata: dict[str, str] | None = None,
) -> Path:
    graph = helper.make_graph(nodes, "test", inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    # Graphs in the wild leave the shapes of outputs out, which the checker does not take.
    if all(output.type.tensor_type.HasField("shape") for output in outputs):
        onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def conv_graph(path: Path, dtype: str = "float32") -> Path:
    """(batch, 16, 12, height) to (batch, 32, 12, height), Relu after."""
    kernel = random(32, 16, 3, 3, seed=1).astype(dtype)
    return write(
        path,
        [
            helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["y"], "relu"),
        ],
        [tensor("x", [BATCH, 16, 12, 12], dtype)],
        [tensor("y", [BATCH, 32, 12, 12], dtype)],
        [weights("w", kernel)],
    )


CONV_FLOPS = 2 * (32 * 12 * 12) * (16 * 3 * 3)


def qdq_graph(path: Path) -> Path:
    """The same convolution with explicit Q/DQ: U8 activations, S8 weights per channel."""
    kernel = random(32, 16, 3, 3, seed=1)
    scale = (np.abs(kernel).max(axis=(1, 2, 3)) / 127).astype(np.float32)
    quantized = np.round(kernel / scale[:, None, None, None]).astype(np.int8)
    return write(
        path,
        [
            helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"], "q_in"),
            helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"], "dq_in"),
            helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], "dq_w", axis=0),
            helper.make_node("Conv", ["xd", "wd", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
            helper.make_node("QuantizeLinear", ["c", "ys", "yz"], ["yq"], "q_out"),
            helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"], "dq_out"),
        ],
        [tensor("x", [BATCH, 16, 12, 12])],
        [tensor("y", [BATCH, 32, 12, 12])],
        [
            weights("xs", np.float32(0.03)),
            weights("xz", np.uint8(128)),
            weights("wq", quantized),
            weights("ws", scale),
            weights("wz", np.zeros(32, np.int8)),
            weights("b", np.zeros(32, np.float32)),
            weights("ys", np.float32(0.4)),
            weights("yz", np.uint8(128)),
        ],
    )


def scale_graph(path: Path) -> Path:
    """(batch, 4) float32, doubled."""
    return write(
        path,
        [helper.make_node("Mul", ["x", "two"], ["y"], "mul")],
        [tensor("x", [BATCH, 4])],
        [tensor("y", [BATCH, 4])],
        [weights("two", np.float32(2))],
    )


def gru_step_graph(path: Path, size: int, hidden: int) -> tuple[Path, Any]:
    """One step of a GRU cell, PyTorch's formula; returns the file and the same step in numpy."""
    w_ih, w_hh = random(3 * hidden, size, seed=2), random(3 * hidden, hidden, seed=3)
    w_ih, w_hh = w_ih * np.float32(0.3), w_hh * np.float32(0.3)
    node = helper.make_node
    file = write(
        path,
        [
            node("Gemm", ["x", "wi"], ["i"], "gemm_i", transB=1),
            node("Gemm", ["h", "wh"], ["g"], "gemm_h", transB=1),
            node("Split", ["i", "thirds"], ["ir", "iz", "in_"], "split_i", axis=1),
            node("Split", ["g", "thirds"], ["hr", "hz", "hn"], "split_h", axis=1),
            node("Add", ["ir", "hr"], ["ar"], "add_r"),
            node("Sigmoid", ["ar"], ["r"], "sig_r"),
            node("Add", ["iz", "hz"], ["az"], "add_z"),
            node("Sigmoid", ["az"], ["z"], "sig_z"),
            node("Mul", ["r", "hn"], ["rh"], "mul_r"),
            node("Add", ["in_", "rh"], ["an"], "add_n"),
            node("Tanh", ["an"], ["n"], "tanh"),
            node("Sub", ["h", "n"], ["d"], "sub"),
            node("Mul", ["z", "d"], ["zd"], "mul_z"),
            node("Add", ["n", "zd"], ["h_next"], "add_h"),
        ],
        [tensor("x", [BATCH, size]), tensor("h", [BATCH, hidden])],
        [tensor("h_next", [BATCH, hidden])],
        [
            weights("wi", w_ih),
            weights("wh", w_hh),
            weights("thirds", np.array([hidden] * 3, np.int64)),
        ],
    )

    def step(x: Any, h: Any) -> Any:
        ir, iz, in_ = np.split(x @ w_ih.T, 3, axis=1)
        hr, hz, hn = np.split(h @ w_hh.T, 3, axis=1)
        r, z = 1 / (1 + np.exp(-(ir + hr))), 1 / (1 + np.exp(-(iz + hz)))
        n = np.tanh(in_ + r * hn)
        return n + z * (h - n)

    return file, step


class RuntimeConformance:
    """Subclass it, set `runtime` and `target`, and say what does not apply.

    Attributes:
        runtime: The runtime under test.
        target: A target that is usable on the machine of the test.
        computes: Whether outputs hold the model's values; the null runtime has shapes only.
        dtypes: Of tensors that go in and come out; all of numpy's that are tried, unless it says.
    """

    runtime: Runtime
    target: Target
    computes = True
    dtypes: Sequence[str] | None = None

    def quantized(self, path: Path) -> Path:
        """`conv_graph` in the dialect of int8 that the runtime takes."""
        return qdq_graph(path)

    @pytest.fixture(autouse=True)
    def _usable(self) -> None:
        probe = self.runtime.probe(self.target)
        if not probe.usable:
            pytest.skip(f"{probe.target}: {probe.reason}")

    def compiled(self, graph: Path, folder: Path, **options: Any) -> Compiled:
        folder.mkdir(exist_ok=True)
        return self.runtime.compile(
            graph, self.target, CompileOptions(**{"threads": 1, **options}), folder
        )

    def session(self, graph: Path, folder: Path, **options: Any) -> Session:
        return self.runtime.open(self.compiled(graph, folder, **options), folder)

    def ranged(self, graph: Path, folder: Path) -> Session:
        """Opened for x of (batch, height, width, 3), up to (2, 8, 8, 3)."""
        return self.session(graph, folder)

    def same(self, output: Any, expected: Any, **tolerance: float) -> None:
        assert output.shape == expected.shape
        assert output.dtype == expected.dtype
        if self.computes:
            np.testing.assert_allclose(output, expected, **tolerance)

    # Tensors

    @pytest.mark.parametrize(
        "dtype",
        ["float32", "float16", "float64", "int64", "int32", "int8", "uint8", "bool"],
    )
    def test_every_dtype_goes_in_and_comes_out(self, tmp_path: Path, dtype: str) -> None:
        if self.dtypes is not None and dtype not in self.dtypes:
            pytest.skip(f"has no tensors of {dtype}")
        graph = write(
            tmp_path / "g.onnx",
            [helper.make_node("Concat", ["x", "x"], ["y"], "concat", axis=1)],
            [tensor("x", [BATCH, 3], dtype)],
            [tensor("y", [BATCH, 6], dtype)],
        )
        x = np.array([[0, 1, 2], [1, 0, 100]]).astype(dtype)
        with self.session(graph, tmp_path / "e") as session:
            assert session.inputs[0].dtype == session.outputs[0].dtype == dtype
            self.same(session.run({"x": x})["y"], np.concatenate([x, x], axis=1))
            binding = session.bind({"x": x})
            binding.run()
            self.same(binding.outputs["y"], np.concatenate([x, x], axis=1))

    def test_inputs_and_outputs_keep_names_order_and_axes(self, tmp_path: Path) -> None:
        with self.session(self.mixed(tmp_path), tmp_path / "e") as session:
            assert [info.name for info in session.inputs] == ["b", "a", "s"]
            assert [info.name for info in session.outputs] == ["sum", "twice"]
            assert session.inputs[0].shape == (BATCH, 4)
            assert session.inputs[2].shape == ()
            assert session.outputs[1].shape == (BATCH, 4)

    def mixed(self, folder: Path) -> Path:
        return write(
            folder / "mixed.onnx",
            [
                helper.make_node("Cast", ["b"], ["bf"], "cast", to=TensorProto.FLOAT),
                helper.make_node("Mul", ["a", "s"], ["as"], "mul"),
                helper.make_node("Add", ["as", "bf"], ["sum"], "add"),
                helper.make_node("Add", ["b", "b"], ["twice"], "add_b"),
            ],
            [tensor("b", [BATCH, 4], "int64"), tensor("a", [BATCH, 4]), tensor("s", [])],
            [tensor("sum", [BATCH, 4]), tensor("twice", [BATCH, 4], "int64")],
        )

    def test_several_inputs_and_outputs_of_several_dtypes(self, tmp_path: Path) -> None:
        a, b, s = random(2, 4), np.arange(8).reshape(2, 4), np.array(3, np.float32)
        with self.session(self.mixed(tmp_path), tmp_path / "e") as session:
            out = session.run({"a": a, "b": b, "s": s})
            assert list(out) == ["sum", "twice"]
            self.same(out["sum"], (a * s + b).astype(np.float32), rtol=1e-6)
            self.same(out["twice"], b + b)

    @pytest.mark.parametrize("batch", [1, 2, 5])
    def test_the_batch_is_dynamic(self, tmp_path: Path, batch: int) -> None:
        x = random(batch, 4)
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            self.same(session.run({"x": x})["y"], x * 2)
            binding = session.bind({"x": x})
            binding.run()
            self.same(binding.outputs["y"], x * 2)

    def test_other_axes_are_dynamic_too(self, tmp_path: Path) -> None:
        graph = write(
            tmp_path / "g.onnx",
            [helper.make_node("Transpose", ["x"], ["y"], "t", perm=[0, 3, 1, 2])],
            [tensor("x", [BATCH, "height", "width", 3])],
            [tensor("y", [BATCH, 3, "height", "width"])],
        )
        with self.ranged(graph, tmp_path / "e") as session:
            assert session.inputs[0].shape == (BATCH, "height", "width", 3)
            for height, width in ((4, 6), (7, 2), (4, 6)):
                x = random(2, height, width, 3)
                self.same(session.run({"x": x})["y"], x.transpose(0, 3, 1, 2))

    def test_strided_and_read_only_arrays_are_accepted(self, tmp_path: Path) -> None:
        strided = random(4, 3).T[:, :4]
        frozen = random(2, 4)
        frozen.flags.writeable = False
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            for x in (strided, frozen):
                self.same(session.run({"x": x})["y"], x * 2)
                binding = session.bind({"x": x})
                binding.run()
                self.same(binding.outputs["y"], x * 2)

    # Running

    def test_a_convolution_is_right(self, tmp_path: Path) -> None:
        x = random(2, 16, 12, 12)
        with self.session(conv_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            output = session.run({"x": x})["y"]
        kernel = random(32, 16, 3, 3, seed=1)
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        expected = np.maximum(np.einsum("nihwkl,oikl->nohw", windows, kernel), 0)
        self.same(output, expected.astype(np.float32), rtol=1e-4, atol=1e-4)

    def test_state_loops_from_output_to_input(self, tmp_path: Path) -> None:
        graph, step = gru_step_graph(tmp_path / "g.onnx", size=6, hidden=8)
        h = expected = np.zeros((2, 8), np.float32)
        with self.session(graph, tmp_path / "e") as session:
            binding = session.bind({"x": np.zeros((2, 6), np.float32), "h": h})
            for place in range(5):
                x = random(2, 6, seed=10 + place)
                expected = step(x, expected)
                h = session.run({"x": x, "h": h})["h_next"]
                self.same(h, expected.astype(np.float32), rtol=1e-4, atol=1e-5)
                binding.inputs["x"][...] = x
                binding.run()
                self.same(binding.outputs["h_next"], h, rtol=1e-5, atol=1e-6)
                binding.inputs["h"][...] = binding.outputs["h_next"]

    def test_outputs_of_run_belong_to_the_caller(self, tmp_path: Path) -> None:
        x = random(2, 4)
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            first = session.run({"x": x})["y"]
            kept = first.copy()
            session.run({"x": x + 1})
            np.testing.assert_array_equal(first, kept)
            first[...] = 7

    def test_a_binding_copies_its_feeds_and_sees_what_is_written_later(
        self, tmp_path: Path
    ) -> None:
        x = random(2, 4)
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            binding = session.bind({"x": x})
            kept = x.copy()
            x[...] = 99
            for place in range(4):
                binding.run()
                self.same(binding.outputs["y"], (kept + place) * 2, rtol=1e-6)
                binding.inputs["x"][...] = kept + place + 1

    def test_the_call_alone_keeps_its_buffers_alive(self, tmp_path: Path) -> None:
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            binding = session.bind({"x": np.ones((1, 4), np.float32)})
            binding.run()
            run, buffer = binding.run, weakref.ref(binding.inputs["x"])
            del binding
            gc.collect()
            run()
            # An engine that is given an address reads freed memory otherwise.
            assert buffer() is not None

    def queue_of(self, session: Session, depth: int | None = None) -> Queue:
        if not isinstance(session, Queueing):
            pytest.skip("has no queue of requests")
        return session.queue({"x": np.ones((1, 4), np.float32)}, depth)

    def test_a_queue_takes_more_requests_than_it_is_deep(self, tmp_path: Path) -> None:
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            queue = self.queue_of(session, 3)
            assert queue.depth == 3
            for _ in range(50):
                queue.submit()
            queue.drain()
            queue.drain()
            queue.submit()
            queue.drain()

    def test_the_engine_chooses_the_depth_of_a_queue(self, tmp_path: Path) -> None:
        graph = scale_graph(tmp_path / "g.onnx")
        with self.session(graph, tmp_path / "e", hint="throughput", threads=2) as session:
            assert self.queue_of(session).depth >= 1

    def test_a_queue_refuses_inputs_that_do_not_fit(self, tmp_path: Path) -> None:
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            if not isinstance(session, Queueing):
                pytest.skip("has no queue of requests")
            with pytest.raises(BadInput, match="x"):
                session.queue({"x": np.ones((1, 5), np.float32)})
            session.close()
            with pytest.raises(BadInput):
                session.queue({"x": np.ones((1, 4), np.float32)})

    def test_streams_and_hint_reach_the_engine(self, tmp_path: Path) -> None:
        options = {"hint": "throughput", "threads": 2, "streams": 2}
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e", **options) as session:
            self.same(
                session.run({"x": np.ones((1, 4), np.float32)})["y"], np.full((1, 4), 2, np.float32)
            )
            queue = self.queue_of(session)
            queue.submit()
            queue.drain()

    def test_two_bindings_do_not_share_buffers(self, tmp_path: Path) -> None:
        one, two = random(1, 4), random(3, 4, seed=1)
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            first, second = session.bind({"x": one}), session.bind({"x": two})
            for _ in range(3):
                first.run()
                second.run()
                self.same(first.outputs["y"], one * 2)
                self.same(second.outputs["y"], two * 2)

    def test_bind_gives_what_run_gives(self, tmp_path: Path) -> None:
        for name, graph in (("f", conv_graph), ("q", self.quantized)):
            x = random(1, 16, 12, 12)
            with self.session(graph(tmp_path / f"{name}.onnx"), tmp_path / name) as session:
                binding = session.bind({"x": x})
                binding.run()
                binding.run()
                expected = session.run({"x": x})["y"]
                np.testing.assert_array_equal(binding.outputs["y"], expected)

    def test_sizes_that_depend_on_the_data(self, tmp_path: Path) -> None:
        if not self.computes:
            pytest.skip("needs values")
        graph = write(
            tmp_path / "g.onnx",
            [helper.make_node("NonZero", ["x"], ["y"], "nonzero")],
            [tensor("x", [6])],
            [tensor("y", [1, "found"], "int64")],
        )
        inputs = [np.array(row, np.float32) for row in ([0, 1, 0, 1, 0, 0], [1] * 6, [0] * 6)]
        with self.session(graph, tmp_path / "e") as session:
            binding = session.bind({"x": inputs[0]})
            for x in inputs:
                expected = np.stack(np.nonzero(x))
                np.testing.assert_array_equal(session.run({"x": x})["y"], expected)
                binding.inputs["x"][...] = x
                binding.run()
                np.testing.assert_array_equal(binding.outputs["y"], expected)

    def test_an_output_whose_declared_shape_lies(self, tmp_path: Path) -> None:
        if not self.computes:
            pytest.skip("needs values")
        graph = write(
            tmp_path / "g.onnx",
            [helper.make_node("Concat", ["x", "x"], ["y"], "concat", axis=0)],
            [tensor("x", [BATCH, 4])],
            [tensor("y", [BATCH, 4])],
        )
        x = random(2, 4)
        with self.session(graph, tmp_path / "e") as session:
            binding = session.bind({"x": x})
            for _ in range(2):
                binding.run()
                np.testing.assert_array_equal(binding.outputs["y"], np.concatenate([x, x]))

    def test_concurrent_sessions_and_threads_do_not_mix(self, tmp_path: Path) -> None:
        graph = conv_graph(tmp_path / "g.onnx")
        sessions = [self.session(graph, tmp_path / f"e{place}") for place in range(2)]
        feeds = [random(1, 16, 12, 12, seed=place) for place in range(4)]
        expected = [sessions[0].run({"x": x})["y"] for x in feeds]
        failures: list[object] = []

        def work(place: int) -> None:
            try:
                for _ in range(10):
                    output = sessions[place % 2].run({"x": feeds[place]})["y"]
                    np.testing.assert_array_equal(output, expected[place])
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for session in sessions:
            session.close()
        assert not failures

    def test_the_same_input_gives_the_same_bits(self, tmp_path: Path) -> None:
        x = random(1, 16, 12, 12)
        with self.session(self.quantized(tmp_path / "g.onnx"), tmp_path / "e") as session:
            first = session.run({"x": x})["y"]
            np.testing.assert_array_equal(session.run({"x": x})["y"], first)

    def test_nothing_is_printed(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with self.session(conv_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            session.run({"x": random(1, 16, 12, 12)})
            session.placement()
        assert capfd.readouterr() == ("", "")

    # Closing

    def test_closing_twice_is_fine_and_running_afterwards_is_refused(self, tmp_path: Path) -> None:
        x = random(1, 4)
        session = self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e")
        binding = session.bind({"x": x})
        binding.run()
        session.close()
        session.close()
        for call in (
            lambda: session.run({"x": x}),
            lambda: session.bind({"x": x}),
            lambda: binding.run(),
            session.placement,
        ):
            with pytest.raises(BadInput, match="closed"):
                call()

    # Wrong input

    @pytest.mark.parametrize(
        ("feeds", "message"),
        [
            ({}, "Input 'x' is missing"),
            ({"y": random(1, 4)}, "no input 'y'"),
            ({"x": random(1, 4), "z": random(1, 4)}, "no input 'z'"),
            ({"x": random(1, 4).astype(np.float64)}, "'x' needs the dtype float32, got float64"),
            ({"x": random(1, 5)}, r"'x' needs the shape \(batch, 4\), got \(1, 5\)"),
            ({"x": random(4)}, r"'x' needs the shape \(batch, 4\), got \(4,\)"),
            ({"x": [[1.0] * 4]}, "'x' needs a numpy array, got list"),
        ],
    )
    def test_wrong_feeds_are_named(self, tmp_path: Path, feeds: Any, message: str) -> None:
        with self.session(scale_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            for call in (session.run, session.bind):
                with pytest.raises(BadInput, match=message):
                    call(feeds)

    def test_a_file_that_is_not_onnx_is_refused(self, tmp_path: Path) -> None:
        whole = conv_graph(tmp_path / "whole.onnx").read_bytes()
        files = {
            "text.onnx": b"this is a text file\n" * 10,
            "cut.onnx": whole[: len(whole) // 2],
            "empty.onnx": b"",
        }
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(BadInput, match=f"{name} (is not an ONNX file|cannot be read)"):
                self.compiled(tmp_path / name, tmp_path / "e")
        with pytest.raises(BadInput, match=r"none\.onnx"):
            self.compiled(tmp_path / "none.onnx", tmp_path / "e")
        assert list((tmp_path / "e").iterdir()) == []

    @pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname"])
    def test_weights_outside_the_folder_are_refused(self, tmp_path: Path, location: str) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        (tmp_path / "outside.bin").write_bytes(bytes(16))
        graph = self.external(folder, location)
        with pytest.raises(BadInput, match=r"out of (its|the) folder"):
            self.compiled(graph, tmp_path / "e")

    def test_weights_beside_the_graph_are_read(self, tmp_path: Path) -> None:
        graph = self.external(tmp_path, "weights.bin")
        with pytest.raises(BadInput, match=r"weights\.bin.*does not exist"):
            self.compiled(graph, tmp_path / "e")
        (tmp_path / "weights.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
        x = random(2, 4)
        with self.session(graph, tmp_path / "e") as session:
            self.same(session.run({"x": x})["y"], x + np.arange(4, dtype=np.float32), rtol=1e-6)

    def external(self, folder: Path, location: str) -> Path:
        weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)
        graph = helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"], "add")],
            "test",
            [tensor("x", [BATCH, 4])],
            [tensor("y", [BATCH, 4])],
            [weight],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        path = folder / "g.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    def test_a_compute_that_the_target_has_not_is_refused(self, tmp_path: Path) -> None:
        computes = self.runtime.probe(self.target).computes
        lacking = next(name for name in ("fp16", "bf16", "fp8") if name not in computes)
        with pytest.raises(BadInput, match=f"not in {lacking}"):
            self.compiled(scale_graph(tmp_path / "g.onnx"), tmp_path / "e", compute=lacking)

    # Engines

    def test_an_engine_moves_with_its_folder(self, tmp_path: Path) -> None:
        compiled = self.compiled(scale_graph(tmp_path / "g.onnx"), tmp_path / "e")
        (tmp_path / "e").rename(tmp_path / "moved")
        (tmp_path / "g.onnx").unlink()
        with self.runtime.open(compiled, tmp_path / "moved") as session:
            self.same(session.run({"x": random(1, 4)})["y"], random(1, 4) * 2)

    def test_what_was_compiled_is_described(self, tmp_path: Path) -> None:
        compiled = self.compiled(scale_graph(tmp_path / "g.onnx"), tmp_path / "e")
        assert compiled.target == str(self.target)
        assert compiled.compile_ns > 0
        assert compiled.runtime_version == self.runtime.probe(self.target).version
        assert (tmp_path / "e" / compiled.engine).is_file()
        assert msgspec.json.decode(msgspec.json.encode(compiled), type=Compiled) == compiled

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"runtime_version": "0.0.1"}, "compiled by .* 0.0.1, but .* is installed"),
            ({"device": "Other CPU | sse9"}, "compiled for the instruction set 'sse9'"),
            ({"engine": "../e/engine"}, "is missing"),
            ({"engine": "other"}, "is missing"),
            ({"engine_sha256": "0" * 64}, "is damaged"),
        ],
    )
    def test_an_engine_from_elsewhere_is_refused(
        self, tmp_path: Path, change: dict[str, str], message: str
    ) -> None:
        compiled = self.compiled(scale_graph(tmp_path / "g.onnx"), tmp_path / "e")
        with pytest.raises(BadInput, match=message):
            self.runtime.open(msgspec.structs.replace(compiled, **change), tmp_path / "e")

    def test_a_damaged_engine_is_refused(self, tmp_path: Path) -> None:
        compiled = self.compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e")
        engine = tmp_path / "e" / compiled.engine
        content = bytearray(engine.read_bytes())
        content[len(content) // 2] ^= 0xFF
        engine.write_bytes(content)
        with pytest.raises(BadInput, match="is damaged"):
            self.runtime.open(compiled, tmp_path / "e")

    # Placement

    def test_a_float_convolution_is_placed_in_fp32(self, tmp_path: Path) -> None:
        with self.session(conv_graph(tmp_path / "g.onnx"), tmp_path / "e") as session:
            placement = session.placement()
        assert placement.executed_precision == "fp32"
        assert placement.share_by_device() == {self.target.device: 1.0}
        if self.computes:
            assert sum(node.flops for node in placement.nodes) == CONV_FLOPS

    def test_a_quantized_convolution_is_placed_in_int8(self, tmp_path: Path) -> None:
        if not self.computes:
            pytest.skip("needs arithmetic")
        with self.session(self.quantized(tmp_path / "g.onnx"), tmp_path / "e") as session:
            placement = session.placement()
        assert placement.share_by_precision()["int8"] == 1.0
        assert sum(node.flops for node in placement.nodes) == CONV_FLOPS

    def test_flops_of_every_kind_of_layer_follow_their_formula(self, tmp_path: Path) -> None:
        if not self.computes:
            pytest.skip("needs arithmetic")
        node = helper.make_node
        cases: dict[str, tuple[list[Any], list[Any], list[Any], int]] = {
            "depthwise": (
                [node("Conv", ["x", "w"], ["y"], "n", group=16, pads=[1, 1, 1, 1])],
                [BATCH, 16, 8, 8],
                [weights("w", random(16, 1, 3, 3))],
                2 * (16 * 8 * 8) * 9,
            ),
            "grouped": (
                [node("Conv", ["x", "w"], ["y"], "n", group=2)],
                [BATCH, 32, 4, 4],
                [weights("w", random(32, 16, 1, 1))],
                2 * (32 * 4 * 4) * 16,
            ),
            "transposed": (
                [node("ConvTranspose", ["x", "w"], ["y"], "n", strides=[2, 2])],
                [BATCH, 16, 4, 4],
                [weights("w", random(16, 8, 2, 2))],
                2 * (16 * 4 * 4) * (8 * 2 * 2),
            ),
            "gemm": (
                [node("Gemm", ["x", "w", "b"], ["y"], "n", transB=1)],
                [BATCH, 24],
                [weights("w", random(10, 24)), weights("b", random(10))],
                2 * 24 * 10,
            ),
            "matmul": (
                [node("MatMul", ["x", "w"], ["y"], "n")],
                [BATCH, 7, 24],
                [weights("w", random(24, 10))],
                2 * 7 * 24 * 10,
            ),
            "attention": (
                [
                    node("Transpose", ["x"], ["t"], "t", perm=[0, 2, 1]),
                    node("MatMul", ["x", "t"], ["y"], "n"),
                ],
                [BATCH, 7, 24],
                [],
                2 * 7 * 7 * 24,
            ),
            "gru": (
                [node("GRU", ["x", "w", "r"], ["y"], "n", hidden_size=8, linear_before_reset=1)],
                [5, BATCH, 6],
                [weights("w", random(1, 24, 6)), weights("r", random(1, 24, 8))],
                2 * 5 * (24 * 6 + 24 * 8),
            ),
        }
        for name, (nodes, shape, initializers, expected) in cases.items():
            output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
            graph = write(
                tmp_path / f"{name}.onnx", nodes, [tensor("x", shape)], [output], initializers
            )
            with self.session(graph, tmp_path / name) as session:
                flops = sum(one.flops for one in session.placement().nodes)
            assert flops == expected, name
