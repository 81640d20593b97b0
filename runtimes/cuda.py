"""The few calls of the CUDA runtime that running an engine takes, each checked.

NVIDIA's own bindings (`cuda-bindings`) bring the CUDA runtime with them; the driver is the
machine's. Pointers and handles are plain integers or the bindings' own objects.
"""

from __future__ import annotations

import ctypes
import importlib
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.core.errors import Unavailable
from edgekit.core.requires import requires
from edgekit.core.runtime import Array

__all__ = ["Cuda"]


class Cuda:
    """One GPU through the CUDA runtime.

    Attributes:
        index: Of the GPU.

    Args:
        index: Of the GPU.
        extra: The extra of edgekit that installs the bindings.

    Raises:
        MissingLibrary: cuda-bindings is not installed.
        Unavailable: The driver or the GPU is not there; in CUDA's words.
    """

    def __init__(self, index: int, extra: str) -> None:
        with requires("cuda-bindings", extra=extra, why="to run on an NVIDIA GPU"):
            runtime = importlib.import_module("cuda.bindings.runtime")
        self._runtime: Any = runtime
        self.index = index
        count = int(self._call("cudaGetDeviceCount"))
        if not 0 <= index < count:
            raise Unavailable(
                f"There is no GPU {index}: CUDA sees {count}.",
                hint="Choose another index, or look at CUDA_VISIBLE_DEVICES.",
            )
        self._call("cudaSetDevice", index)

    def use(self) -> None:
        """Make the GPU this thread's own; the first one is every thread's already."""
        if self.index:
            self._call("cudaSetDevice", self.index)

    def memory(self) -> tuple[int, int]:
        """Free and total memory of the GPU, bytes."""
        free, total = self._call("cudaMemGetInfo")
        return int(free), int(total)

    def stream(self) -> Any:
        """A stream that does not wait for the default one."""
        return self._call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)

    def event(self) -> Any:
        """An event that keeps its time."""
        return self._call("cudaEventCreate")

    def allocate(self, size: int) -> int:
        """Device memory of `size` bytes, at least one."""
        return int(self._call("cudaMalloc", max(size, 1)))

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Array:
        """A host array that the GPU copies from and to by itself, freed with its last view."""
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        flags = self._runtime.cudaHostAllocDefault
        address = int(self._call("cudaHostAlloc", max(size, 1), flags))
        raw = (ctypes.c_uint8 * max(size, 1)).from_address(address)
        # Whoever still holds an output keeps its memory, even behind a closed session.
        weakref.finalize(raw, self._runtime.cudaFreeHost, address).atexit = False
        flat = np.ctypeslib.as_array(raw)[:size]
        return flat.view(kind).reshape(shape)

    def free(self, pointer: int) -> None:
        """Free device memory."""
        self._call("cudaFree", pointer)

    def upload(self, pointer: int, array: Array, stream: Any) -> None:
        """Copy a host array to the device, on a stream."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", pointer, array.ctypes.data, array.nbytes, kind, stream)

    def download(self, array: Array, pointer: int, stream: Any) -> None:
        """Copy from the device into a host array, on a stream."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, pointer, array.nbytes, kind, stream)

    def move(self, to: int, pointer: int, size: int, stream: Any) -> None:
        """Copy `size` bytes inside the device, on a stream."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        self._call("cudaMemcpyAsync", to, pointer, size, kind, stream)

    def wait(self, stream: Any) -> None:
        """Wait until everything on a stream is done."""
        self._call("cudaStreamSynchronize", stream)

    def record(self, event: Any, stream: Any) -> None:
        """Note the time at which a stream gets here."""
        self._call("cudaEventRecord", event, stream)

    def between_ns(self, first: Any, last: Any) -> int:
        """Nanoseconds between two recorded events; CUDA counts half microseconds."""
        return round(float(self._call("cudaEventElapsedTime", first, last)) * 1e6)

    def captured(self, stream: Any, work: Callable[[], None]) -> Any:
        """Record what `work` puts on a stream as a graph, ready to launch.

        Raises:
            Unavailable: Something in it cannot be captured.
        """
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            # A capture that failed has to be ended all the same.
            error, graph = self._runtime.cudaStreamEndCapture(stream)
            if int(error) == 0:
                self._call("cudaGraphDestroy", graph)
            raise
        graph = self._call("cudaStreamEndCapture", stream)
        try:
            return self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: Any, stream: Any) -> None:
        """Put a captured graph on a stream."""
        self._call("cudaGraphLaunch", graph, stream)

    def forget(self, graph: Any) -> None:
        """Destroy a captured graph."""
        self._call("cudaGraphExecDestroy", graph)

    def release(self, stream: Any, events: tuple[Any, ...]) -> None:
        """Destroy a stream and its events."""
        for event in events:
            self._call("cudaEventDestroy", event)
        self._call("cudaStreamDestroy", stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *rest = getattr(self._runtime, name)(*arguments)
        self._check(name, error)
        return rest[0] if len(rest) == 1 else tuple(rest)

    def _check(self, name: str, error: Any) -> None:
        if int(error) == 0:
            return
        _, words = self._runtime.cudaGetErrorString(error)
        said = words.decode() if isinstance(words, bytes) else str(words)
        raise Unavailable(
            f"GPU {self.index}: {name} says {said or error.name}.",
            hint="See: edgekit doctor, and nvidia-smi.",
        )
