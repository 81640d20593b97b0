"""The calls of CUDA's runtime, held against the signatures of NVIDIA's own bindings."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, ClassVar

import numpy as np
import pytest

from edgekit.core.errors import Unavailable
from edgekit.runtimes import cuda as module
from edgekit.runtimes.cuda import Cuda

runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")


class Recorder:
    """The bindings with every call checked against its signature and answered with a made-up value.

    Attributes:
        calls: Names, in order.
        fails: Name of a call that fails.
    """

    ANSWERS: ClassVar = {
        "cudaGetDeviceCount": 2,
        "cudaMemGetInfo": (1 << 20, 1 << 30),
        "cudaEventElapsedTime": 1.5,
    }

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails = ""
        self.held: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(runtime, name)
        if not callable(found) or isinstance(found, type):
            return found
        if name == "cudaGetErrorString":
            return found

        def call(*given: Any) -> tuple[Any, ...]:
            inspect.signature(found).bind(*given)
            self.calls.append(name)
            if name == self.fails:
                return (runtime.cudaError_t.cudaErrorMemoryAllocation, None)
            if name == "cudaHostAlloc":
                memory = np.zeros(given[0], np.uint8)
                self.held.append(memory)
                return (runtime.cudaError_t.cudaSuccess, memory.ctypes.data)
            answer = self.ANSWERS.get(name, 7)
            return (
                runtime.cudaError_t.cudaSuccess,
                *(answer if isinstance(answer, tuple) else (answer,)),
            )

        return call


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    real = importlib.import_module

    def imported(name: str) -> Any:
        return made if name == "cuda.bindings.runtime" else real(name)

    monkeypatch.setattr(module.importlib, "import_module", imported)
    return made


def test_every_call_fits_the_bindings(recorder: Recorder) -> None:
    cuda = Cuda(1, "tensorrt")
    cuda.use()
    assert cuda.memory() == (1 << 20, 1 << 30)
    stream, event = cuda.stream(), cuda.event()
    array = cuda.pinned((2, 3), "float32")
    assert array.shape == (2, 3)
    array[...] = 1
    pointer = cuda.allocate(0)
    cuda.upload(pointer, array, stream)
    cuda.download(array, pointer, stream)
    cuda.move(pointer, pointer, 24, stream)
    cuda.record(event, stream)
    assert cuda.between_ns(event, event) == 1_500_000
    graph = cuda.captured(stream, lambda: None)
    cuda.launch(graph, stream)
    cuda.forget(graph)
    cuda.wait(stream)
    cuda.free(pointer)
    cuda.release(stream, (event,))
    del array
    assert recorder.calls[-1] == "cudaFreeHost"
    assert len(set(recorder.calls)) == 21


def test_what_cuda_says_is_told(recorder: Recorder) -> None:
    cuda = Cuda(1, "tensorrt")
    recorder.fails = "cudaMalloc"
    with pytest.raises(Unavailable, match="GPU 1: cudaMalloc says out of memory"):
        cuda.allocate(10)


def test_a_gpu_that_is_not_there_is_told(recorder: Recorder) -> None:
    with pytest.raises(Unavailable, match="no GPU 2: CUDA sees 2") as caught:
        Cuda(2, "tensorrt")
    assert "CUDA_VISIBLE_DEVICES" in caught.value.hint


@pytest.mark.parametrize("fails", ["work", "cudaStreamEndCapture", "cudaGraphInstantiate"])
def test_a_capture_that_fails_is_ended(recorder: Recorder, fails: str) -> None:
    cuda = Cuda(0, "tensorrt")
    stream = cuda.stream()
    recorder.fails = fails

    def work() -> None:
        if fails == "work":
            raise Unavailable("no")

    with pytest.raises(Unavailable):
        cuda.captured(stream, work)
    assert recorder.calls.count("cudaStreamEndCapture") == 1
    # What was recorded is destroyed where it came to be.
    assert ("cudaGraphDestroy" in recorder.calls) == (fails != "cudaStreamEndCapture")


def test_an_output_outlives_everything_else(recorder: Recorder) -> None:
    array = Cuda(0, "tensorrt").pinned((4,), "int64")
    view = array[1:]
    del array
    assert "cudaFreeHost" not in recorder.calls
    view[...] = 3
    del view
    assert recorder.calls[-1] == "cudaFreeHost"
