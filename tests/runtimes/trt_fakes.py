"""A GPU that is none: its memory is numpy's, its streams are lists, its engine computes 2 x + 1."""

from __future__ import annotations

import ctypes
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.core.errors import Unavailable
from edgekit.core.runtime import Array, TensorInfo
from edgekit.runtimes.trt_session import TensorRtSession
from edgekit.runtimes.trt_words import BuildLog

__all__ = ["FakeCuda", "FakeEngine", "fake_session"]


class FakeCuda:
    """Stands for edgekit.runtimes.cuda.Cuda. Work waits on its stream until it is waited for.

    Attributes:
        calls: How often each call was made.
        alive: Device memory that was not freed, by address.
        handles: Streams, events and graphs that were not destroyed.
        refuses: Why nothing can be captured; empty where it can.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.alive: dict[int, Array] = {}
        self.handles: set[int] = set()
        self.streams: dict[int, list[Callable[[], None]]] = {}
        self.refuses = ""
        self.clock = 0
        self.times: dict[int, int] = {}
        self._next = 1

    def _handle(self) -> int:
        self._next += 1
        self.handles.add(self._next)
        return self._next

    def use(self) -> None:
        self.calls["use"] += 1

    def stream(self) -> int:
        made = self._handle()
        self.streams[made] = []
        return made

    def event(self) -> int:
        return self._handle()

    def allocate(self, size: int) -> int:
        self.calls["allocate"] += 1
        # As unlike zeros as what lies in a GPU's memory.
        memory = np.full(max(size, 1), 0xAB, np.uint8)
        address = memory.ctypes.data
        self.alive[address] = memory
        return address

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Array:
        self.calls["pinned"] += 1
        return np.zeros(shape, dtype)

    def free(self, pointer: int) -> None:
        del self.alive[pointer]

    def upload(self, pointer: int, array: Array, stream: int) -> None:
        assert array.flags["C_CONTIGUOUS"]
        self._copy("upload", pointer, array.ctypes.data, array.nbytes, stream, array)

    def download(self, array: Array, pointer: int, stream: int) -> None:
        assert array.flags["C_CONTIGUOUS"]
        self._copy("download", array.ctypes.data, pointer, array.nbytes, stream, array)

    def move(self, to: int, pointer: int, size: int, stream: int) -> None:
        self._copy("move", to, pointer, size, stream, None)

    def _copy(self, name: str, to: int, source: int, size: int, stream: int, keep: Any) -> None:
        def copy(keep: Any = keep) -> None:
            self.calls[name] += 1
            ctypes.memmove(to, source, size)

        self.streams[stream].append(copy)

    def wait(self, stream: int) -> None:
        work, self.streams[stream] = self.streams[stream], []
        for one in work:
            one()

    def record(self, event: int, stream: int) -> None:
        def note() -> None:
            self.clock += 1000
            self.times[event] = self.clock

        self.streams[stream].append(note)

    def between_ns(self, first: int, last: int) -> int:
        return self.times[last] - self.times[first]

    def captured(self, stream: int, work: Callable[[], None]) -> Any:
        assert not self.streams[stream], "a capture begins on a stream that is idle"
        self.calls["captured"] += 1
        work()
        recorded, self.streams[stream] = self.streams[stream], []
        if self.refuses:
            raise Unavailable(self.refuses)
        graph = self._handle()
        self.streams[graph] = recorded
        return graph

    def launch(self, graph: int, stream: int) -> None:
        assert graph in self.handles, "a graph that was destroyed is launched"
        self.calls["launch"] += 1
        self.streams[stream].extend(self.streams[graph])

    def forget(self, graph: int) -> None:
        self.handles.remove(graph)

    def release(self, stream: int, events: tuple[int, ...]) -> None:
        for one in (stream, *events):
            self.handles.remove(one)


class FakeContext:
    """Stands for IExecutionContext of `FakeEngine`."""

    surface_name = "IExecutionContext"

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.profile = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.profile = profile
        return profile < self.engine.profiles

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "x"
        self.shapes[name] = shape
        return not self.engine.refuses_shapes

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 4) if self.engine.unknown_output else self.shapes["x"]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        engine = self.engine
        if engine.fails:
            engine.log.errors.append("the engine is ill")
            return False
        engine.runs.append(self.profile)
        shape = self.shapes["x"]
        x, y = (
            np.ctypeslib.as_array((ctypes.c_float * 10_000).from_address(self.addresses[name]))[
                : int(np.prod(shape))
            ]
            for name in ("x", "y")
        )
        engine.cuda.streams[stream].append(lambda: np.copyto(y, 2 * x + 1))
        return True


class FakeEngine:
    """Stands for ICudaEngine: (batch, 4) float32 to 2 x + 1; "unread" is no tensor of it.

    Attributes:
        cuda: Set by `fake_session`; likewise the log.
        runs: The profile of every execution that was enqueued.
    """

    surface_name = "ICudaEngine"
    num_io_tensors = 2

    def __init__(self, profiles: int = 1) -> None:
        self.profiles = profiles
        self.cuda: Any = None
        self.log: Any = None
        self.fails = self.refuses_shapes = self.unknown_output = self.no_context = False
        self.runs: list[int] = []

    def get_tensor_name(self, place: int) -> str:
        return ("x", "y")[place]

    def create_execution_context(self) -> Any:
        return None if self.no_context else FakeContext(self)

    def create_engine_inspector(self) -> Any:
        class Inspector:
            surface_name = "EngineInspector"

            def get_engine_information(self, form: Any) -> str:
                layer = {
                    "Name": "scale",
                    "LayerType": "kgen",
                    "Inputs": [{"Name": "x", "Format/Datatype": "Half"}],
                }
                return json.dumps({"Layers": [layer]})

        return Inspector()


def fake_session(
    engine: Any, cuda: FakeCuda, *, module: Any = None, unread: bool = False
) -> TensorRtSession:
    """A session on a fake GPU; profile 0 is for batches of 1 to 4, profile 1 for 5 to 16."""
    from trt_surface import real

    held = real(engine)
    held.cuda, held.log = cuda, BuildLog()
    ranges = [((1, 4), (1, 4), (4, 4)), ((5, 4), (8, 4), (16, 4))][: held.profiles]
    inputs = [TensorInfo("x", "float32", ("batch", 4))]
    if unread:
        inputs.append(TensorInfo("unread", "int64", ("batch", 2)))
    return TensorRtSession(
        engine,
        cuda,  # type: ignore[arg-type]
        tuple(inputs),
        (TensorInfo("y", "float32", ("batch", 4)),),
        profiles=[{"x": three} for three in ranges],
        module=module,
        log=held.log,
    )
