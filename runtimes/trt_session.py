"""An engine of TensorRT on its GPU: buffers, stream, CUDA graph."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.runtime import Array, Feeds, Placement, ShapeProfile, TensorInfo
from edgekit.runtimes.cuda import Cuda
from edgekit.runtimes.feeds import check_feeds, closed
from edgekit.runtimes.trt_inspector import placement_of
from edgekit.runtimes.trt_profiles import check_covered
from edgekit.runtimes.trt_queue import TensorRtQueue
from edgekit.runtimes.trt_words import BuildLog, said_last

__all__ = ["TensorRtBinding", "TensorRtSession"]

# Requests in flight where nobody says how many.
_DEPTH = 2


class TensorRtBinding:
    """Fixed shapes on a stream, with buffers of their own on the host and on the device.

    Copies and work are captured as one CUDA graph where they can be, so that a run is one launch.

    Attributes:
        why_not_captured: What stood against a CUDA graph; empty where there is one.
    """

    def __init__(self, session: TensorRtSession, feeds: Feeds, *, capture: bool = True) -> None:
        self._session: TensorRtSession | None = session
        self._cuda = session.cuda
        self._stream: Any = None
        self._events: tuple[Any, ...] = ()
        self._context: Any = None
        self._whole: Any = None
        self._work: Any = None
        self._timed = False
        self._state: dict[str, str] = {}
        self._inputs: dict[str, Array] = {}
        self._outputs: dict[str, Array] = {}
        self._device: dict[str, int] = {}
        self._capture = capture
        self.why_not_captured = ""
        profile = check_covered(session.profiles, feeds)
        try:
            self._stream = self._cuda.stream()
            self._events = (self._cuda.event(), self._cuda.event())
            self._context = session.context(profile)
            self._bind(session, feeds)
            # The first run allocates inside the library, which a capture does not allow.
            self.run()
            self._whole = self._captured(self._enqueue_whole)
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        # Who drops a binding without closing the session gets its device memory back.
        self.close()

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The bound input buffers, pinned; write new values into them in place."""
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Array]:
        """The output buffers, pinned; valid until the next run."""
        return self._outputs

    def run(self) -> None:
        """Copy the inputs up, run, copy the outputs down, and wait.

        Raises:
            BadInput: TensorRT refuses to run, or the session is closed.
            Unavailable: The GPU failed.
        """
        self.start()
        self.wait()

    def start(self) -> None:
        """Put one run on the stream, without waiting for it; see run."""
        if self._session is None:
            closed()
        self._cuda.use()
        if self._whole is not None and not self._timed:
            self._cuda.launch(self._whole, self._stream)
        else:
            self._enqueue_whole()

    def wait(self) -> None:
        """Wait until what was started is done."""
        if self._session is None:
            closed()
        self._cuda.wait(self._stream)

    def device_ns(self) -> int:
        """Nanoseconds that the last run took on the GPU, between two events, copies left out.

        The first call runs once more, for events are recorded from then on.
        """
        if not self._timed:
            self._work = self._captured(self._enqueue_work)
            self._timed = True
            self.run()
        return self._cuda.between_ns(*self._events)

    def loop(self, state: Mapping[str, str]) -> None:
        """Let outputs become inputs of the next run without leaving the device.

        Args:
            state: Output name to input name; the inputs start with what is in their buffers.

        Raises:
            BadInput: No such tensor, or the two differ in shape or dtype.
        """
        for output, name in state.items():
            if output not in self._outputs or name not in self._inputs:
                raise BadInput(f"There is no output {output!r} or no input {name!r} to loop.")
            one, other = self._outputs[output], self._inputs[name]
            if one.shape != other.shape or one.dtype != other.dtype:
                raise BadInput(
                    f"The output {output!r} ({one.dtype} {one.shape}) cannot become the input "
                    f"{name!r} ({other.dtype} {other.shape})."
                )
        for name in state.values():
            self._cuda.upload(self._device[name], self._inputs[name], self._stream)
        self._cuda.wait(self._stream)
        self._state = dict(state)
        self._forget(self._whole)
        self._whole = None
        if not self._timed:
            self._whole = self._captured(self._enqueue_whole)

    def close(self) -> None:
        """Free buffers, stream and graphs; calling it twice is allowed."""
        if self._session is None:
            return
        self._session = None
        self._forget(self._whole)
        self._forget(self._work)
        # It holds memory of its own on the device.
        self._context = self._whole = self._work = None
        for pointer in self._device.values():
            self._cuda.free(pointer)
        if self._stream is not None:
            self._cuda.release(self._stream, self._events)
        self._device, self._inputs, self._outputs = {}, {}, {}

    def _bind(self, session: TensorRtSession, feeds: Feeds) -> None:
        context, cuda = self._context, self._cuda
        for info in session.inputs:
            array = cuda.pinned(feeds[info.name].shape, info.dtype)
            array[...] = feeds[info.name]
            self._inputs[info.name] = array
            # An input that nothing reads is no tensor of the engine.
            if info.name in session.known and not context.set_input_shape(info.name, array.shape):
                raise BadInput(
                    f"TensorRT refuses the shape {array.shape} for the input {info.name!r}: "
                    f"{said_last(session.log)}",
                    hint="Build the engine with --shapes that cover it.",
                )
        for info in session.outputs:
            shape = tuple(context.get_tensor_shape(info.name))
            if any(size < 0 for size in shape):
                raise BadInput(
                    f"The size of the output {info.name!r} depends on the values of the inputs.",
                    hint="Such outputs are not supported on TensorRT: bake a fixed number.",
                )
            self._outputs[info.name] = cuda.pinned(shape, info.dtype)
        for name, array in (*self._inputs.items(), *self._outputs.items()):
            self._device[name] = cuda.allocate(array.nbytes)
            if name in session.known:
                context.set_tensor_address(name, self._device[name])

    def _enqueue_whole(self) -> None:
        """Put everything that a run is on the stream."""
        cuda, stream = self._cuda, self._stream
        looped = self._state.values()
        for name, array in self._inputs.items():
            if name not in looped:
                cuda.upload(self._device[name], array, stream)
        if self._timed:
            cuda.record(self._events[0], stream)
        if self._work is not None:
            cuda.launch(self._work, stream)
        else:
            self._enqueue_work()
        if self._timed:
            cuda.record(self._events[1], stream)
        for name, array in self._outputs.items():
            cuda.download(array, self._device[name], stream)
        for output, name in self._state.items():
            size = self._inputs[name].nbytes
            cuda.move(self._device[name], self._device[output], size, stream)

    def _enqueue_work(self) -> None:
        if not self._context.execute_async_v3(int(self._stream)):
            assert self._session is not None
            raise BadInput(f"TensorRT does not run the engine: {said_last(self._session.log)}")

    def _captured(self, work: Callable[[], None]) -> Any:
        """Capture work as a CUDA graph; None, and why, where that is not possible."""
        if not self._capture:
            return None
        self.why_not_captured = ""
        try:
            return self._cuda.captured(self._stream, work)
        except EdgekitError as error:
            self.why_not_captured = error.message
            return None

    def _forget(self, graph: Any) -> None:
        if graph is not None:
            self._cuda.forget(graph)


class TensorRtSession:
    """An engine opened; see edgekit.core.runtime.Session. Threads take turns in `run`.

    Args:
        engine: tensorrt.ICudaEngine.
        cuda: Its GPU.
        inputs: As the ONNX graph has them.
        outputs: Likewise.
        profiles: Optimization profiles of the engine.
        module: tensorrt or tensorrt_rtx.
        log: Fills while it runs.
        keep: What must live as long as the engine does: TensorRT's runtime and logger.
        free_before: Free memory of the GPU before the engine was deserialized, bytes.
    """

    def __init__(
        self,
        engine: Any,
        cuda: Cuda,
        inputs: tuple[TensorInfo, ...],
        outputs: tuple[TensorInfo, ...],
        *,
        profiles: Sequence[ShapeProfile],
        module: Any,
        log: BuildLog,
        keep: tuple[Any, ...] = (),
        free_before: int = 0,
    ) -> None:
        self._free_before = free_before
        self._engine: Any = engine
        self._module = module
        self._keep = keep
        self.cuda = cuda
        self.log = log
        self.profiles = tuple(profiles)
        self.known = {engine.get_tensor_name(at) for at in range(engine.num_io_tensors)}
        self._inputs, self._outputs = inputs, outputs
        self._turn = threading.Lock()
        self._latest: TensorRtBinding | None = None
        self._bindings: weakref.WeakSet[TensorRtBinding] = weakref.WeakSet()

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs, in the graph's order."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs, in the graph's order."""
        return self._outputs

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once on arrays by input name; the outputs belong to the caller.

        The buffers of the last shapes are kept for the next run.

        Raises:
            BadInput: A name, dtype or shape is wrong, no profile covers it, or it is closed.
        """
        with self._turn:
            if self._engine is None:
                closed()
            check_feeds(self._inputs, feeds)
            self.cuda.use()
            latest = self._latest
            if latest is None or any(
                latest.inputs[name].shape != array.shape for name, array in feeds.items()
            ):
                if latest is not None:
                    latest.close()
                self._latest = None
                self._latest = latest = TensorRtBinding(self, feeds, capture=False)
            else:
                for name, array in feeds.items():
                    latest.inputs[name][...] = array
                latest.run()
            return {name: np.array(array) for name, array in latest.outputs.items()}

    def bind(self, feeds: Feeds) -> TensorRtBinding:
        """Copy the feeds into buffers of their own and return the reusable binding.

        Raises:
            BadInput: A name, dtype or shape is wrong, no profile covers it, or it is closed.
        """
        if self._engine is None:
            closed()
        check_feeds(self._inputs, feeds)
        self.cuda.use()
        binding = TensorRtBinding(self, feeds)
        self._bindings.add(binding)
        return binding

    def queue(self, feeds: Feeds, depth: int | None = None) -> TensorRtQueue:
        """Copy the feeds into the buffers of `depth` bindings, each on a stream of its own.

        Args:
            feeds: Every request runs on these.
            depth: Requests in flight at most; None means two, so that the copies of one run beside
                the work of the other.

        Raises:
            BadInput: A name, dtype or shape is wrong, no profile covers it, or it is closed.
        """
        return TensorRtQueue([self.bind(feeds) for _ in range(depth or _DEPTH)])

    def device_bytes(self) -> int:
        """Memory of the GPU that was taken since the engine was about to be opened.

        By CUDA's own count of free memory: what other programs took meanwhile is in it.
        """
        return max(0, self._free_before - self.cuda.memory()[0])

    def context(self, profile: int) -> Any:
        """An execution context of its own, with an optimization profile chosen.

        Raises:
            BadInput: TensorRT makes none: mostly too little memory on the device.
        """
        context = self._engine.create_execution_context()
        if context is None:
            raise BadInput(
                f"TensorRT makes no execution context: {said_last(self.log)}",
                hint="Close what else uses the GPU, or build the engine for smaller --shapes.",
            )
        if profile:
            stream = self.cuda.stream()
            try:
                chosen = context.set_optimization_profile_async(profile, int(stream))
                self.cuda.wait(stream)
            finally:
                self.cuda.release(stream, ())
            if not chosen:
                raise BadInput(
                    f"TensorRT refuses the optimization profile {profile}: {said_last(self.log)}",
                    hint="Build the engine again: edgekit compile --force.",
                )
        return context

    def placement(self) -> Placement:
        """What ran in which precision, by the engine's own inspector.

        Raises:
            BadInput: The session is closed.
        """
        if self._engine is None:
            closed()
        inspector = self._engine.create_engine_inspector()
        text = inspector.get_engine_information(self._module.LayerInformationFormat.JSON)
        return placement_of(text)

    def close(self) -> None:
        """Free the engine; calling it twice is allowed, running afterwards raises BadInput."""
        with self._turn:
            for binding in (*self._bindings, *([self._latest] if self._latest else [])):
                binding.close()
            self._bindings.clear()
            self._latest = None
            self._engine = None
            self._keep = ()

    def __enter__(self) -> TensorRtSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
