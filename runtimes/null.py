"""The null runtime: right shapes, no arithmetic. For tests and for measuring edgekit itself."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.json_text import parse_json
from edgekit.core.runtime import (
    Array,
    Compiled,
    CompileOptions,
    Feeds,
    NodePlacement,
    Placement,
    Probe,
    TensorInfo,
)
from edgekit.core.target import Target
from edgekit.runtimes.engines import checked_engine, content_of, finish, read_tensors
from edgekit.runtimes.feeds import check_feeds, closed
from edgekit.runtimes.graph import read_graph
from edgekit.runtimes.threaded_queue import ThreadedQueue

__all__ = ["METADATA_KEY", "RUNTIME", "NullBehaviour", "NullBinding", "NullRuntime", "NullSession"]

# A graph's metadata may hold a NullBehaviour as JSON under this key.
METADATA_KEY = "edgekit.null"

_VERSION = "1"
_DEVICE = "null | none"
# Longer than anybody waits.
_LONG_S = 3600


class NullBehaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the null runtime pretends.

    Attributes:
        delay_ms: Every run sleeps so long.
        fill: Value of every element of every float output.
        device: Device that the placement names.
        precision: Precision that the placement names.
        fault: What a run does instead of answering: "raise", "hang" or "crash"; "hang-compile"
            hangs before there is anything to run; empty for none.
        fault_batch: Only where the first axis of the first input has this size; 0 means always.
    """

    delay_ms: float = 0.0
    fill: float = 0.0
    device: str = "cpu"
    precision: str = "fp32"
    fault: Literal["", "raise", "hang", "crash", "hang-compile"] = ""
    fault_batch: int = 0


class _Engine(msgspec.Struct, frozen=True):
    behaviour: NullBehaviour
    nodes: tuple[tuple[str, str], ...]


class NullRuntime:
    """The runtime; see edgekit.core.runtime.Runtime."""

    def probe(self, target: Target) -> Probe:
        """Always usable."""
        return Probe(
            target=str(target),
            usable=True,
            version=_VERSION,
            device="null",
            precisions=("fp32", "int8"),
            computes=("fp32",),
            dialect="u8s8",
        )

    def compile(
        self, graph: Path, target: Target, options: CompileOptions, folder: Path
    ) -> Compiled:
        """Note inputs, outputs and nodes; see edgekit.core.runtime.Runtime."""
        if options.compute != "fp32":
            raise BadInput(
                f"{target} computes in fp32 only, not in {options.compute}.",
                hint="Leave --compute out, or choose another target.",
            )
        facts = read_graph(graph, why=f"to compile for {target}")
        began = time.perf_counter_ns()
        behaviour = parse_json(
            facts.metadata.get(METADATA_KEY, "{}"),
            f"The metadata key {METADATA_KEY!r} of {graph}",
            NullBehaviour,
            hint="See edgekit.runtimes.null.NullBehaviour.",
        )
        if behaviour.fault == "hang-compile":
            time.sleep(_LONG_S)
        engine = folder / "engine.json"
        write_bytes(engine, msgspec.json.encode(_Engine(behaviour=behaviour, nodes=facts.nodes)))
        return finish(
            engine,
            facts,
            target=target,
            version=_VERSION,
            device=_DEVICE,
            options=options,
            began_ns=began,
        )

    def open(self, compiled: Compiled, folder: Path) -> NullSession:
        """Open what `compile` wrote; see edgekit.core.runtime.Runtime."""
        path = checked_engine(
            compiled, folder, library="The null runtime", version=_VERSION, device=_DEVICE
        )
        tensors = read_tensors(folder)
        engine = parse_json(content_of(path, compiled), path, _Engine)
        return NullSession(engine, tensors.inputs, tensors.outputs)


RUNTIME = NullRuntime()


class NullBinding:
    """Buffers that stay as they are; see edgekit.core.runtime.Binding."""

    def __init__(
        self, session: NullSession, inputs: dict[str, Array], outputs: dict[str, Array]
    ) -> None:
        self._session = session
        self._inputs = inputs
        self._outputs = outputs

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The bound input buffers."""
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Array]:
        """The output buffers."""
        return self._outputs

    def run(self) -> None:
        """Sleep for as long as the graph says, which is nothing by default."""
        self._session.pretend(self._inputs)


class NullSession:
    """An engine opened; see edgekit.core.runtime.Session."""

    def __init__(
        self, engine: _Engine, inputs: tuple[TensorInfo, ...], outputs: tuple[TensorInfo, ...]
    ) -> None:
        self._engine = engine
        self._inputs = inputs
        self._outputs = outputs
        self._delay_s = engine.behaviour.delay_ms / 1000
        self._fault = engine.behaviour.fault
        self._closed = False

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs, in the graph's order."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs, in the graph's order."""
        return self._outputs

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Return constant outputs whose dynamic axes follow the inputs by name, or are 1.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        self.pretend(feeds)
        return self._answer(feeds)

    def _answer(self, feeds: Feeds) -> dict[str, Array]:
        check_feeds(self._inputs, feeds)
        sizes: dict[int | str, int] = {
            axis: size
            for info in self._inputs
            for axis, size in zip(info.shape, feeds[info.name].shape, strict=True)
            if axis != "?"
        }
        fill = self._engine.behaviour.fill
        return {
            info.name: np.full(
                [axis if isinstance(axis, int) else sizes.get(axis, 1) for axis in info.shape],
                fill if np.dtype(info.dtype).kind == "f" else 0,
                info.dtype,
            )
            for info in self._outputs
        }

    def bind(self, feeds: Feeds) -> NullBinding:
        """Copy the feeds into buffers of their own and return the binding.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        if self._closed:
            closed()
        outputs = self._answer(feeds)
        return NullBinding(self, {name: array.copy() for name, array in feeds.items()}, outputs)

    def queue(self, feeds: Feeds, depth: int | None = None) -> ThreadedQueue:
        """Return a queue whose requests sleep side by side.

        Args:
            feeds: Every request runs on these.
            depth: Requests in flight at most; None means two.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        return ThreadedQueue([self.bind(feeds).run for _ in range(depth or 2)])

    def placement(self) -> Placement:
        """Every node of the graph, on the device and in the precision the graph says."""
        if self._closed:
            closed()
        behaviour = self._engine.behaviour
        return Placement(
            nodes=tuple(
                NodePlacement(
                    name=name, op=op, device=behaviour.device, precision=behaviour.precision
                )
                for name, op in self._engine.nodes
            )
        )

    def pretend(self, feeds: Feeds) -> None:
        """Take the time that one run is to take, or fail as it is to fail.

        Raises:
            BadInput: The session is closed, or this run is to fail.
        """
        if self._closed:
            closed()
        if self._fault:
            self._fail(feeds)
        if self._delay_s:
            time.sleep(self._delay_s)

    def _fail(self, feeds: Feeds) -> None:
        wanted = self._engine.behaviour.fault_batch
        if wanted and next(iter(feeds.values())).shape[:1] != (wanted,):
            return
        if self._fault == "crash":
            os.abort()
        if self._fault == "hang":
            time.sleep(_LONG_S)
        raise BadInput("The null runtime fails, as its graph says.")

    def close(self) -> None:
        """Calling it twice is allowed; running afterwards raises BadInput."""
        self._closed = True

    def __enter__(self) -> NullSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
