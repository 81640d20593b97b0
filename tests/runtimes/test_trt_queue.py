"""Several runs in flight; and what CUDA itself says on a machine without a GPU."""

from __future__ import annotations

import pytest

from edgekit.core.errors import Unavailable
from edgekit.core.runtime import DeviceMemory, DeviceTimed, Queue, Queueing
from edgekit.runtimes.cuda import Cuda
from edgekit.runtimes.nvidia import gpus
from edgekit.runtimes.trt_queue import TensorRtQueue
from edgekit.runtimes.trt_session import TensorRtBinding, TensorRtSession


class Binding:
    """Notes what is asked of it."""

    def __init__(self, number: int, notes: list[str]) -> None:
        self.number, self.notes = number, notes

    def start(self) -> None:
        self.notes.append(f"start {self.number}")

    def wait(self) -> None:
        self.notes.append(f"wait {self.number}")


def test_a_queue_waits_for_the_oldest_run_once_all_are_in_flight():
    notes: list[str] = []
    queue: Queue = TensorRtQueue([Binding(number, notes) for number in range(2)])
    assert queue.depth == 2
    for _ in range(3):
        queue.submit()
    assert notes == ["start 0", "start 1", "wait 0", "start 0"]
    queue.drain()
    assert notes[4:] == ["wait 0", "wait 1"]
    queue.submit()
    assert notes[6:] == ["start 0"]


def test_a_session_offers_what_offline_device_time_and_device_memory_need():
    assert issubclass(TensorRtSession, Queueing)
    assert issubclass(TensorRtSession, DeviceMemory)
    assert issubclass(TensorRtBinding, DeviceTimed)


def test_without_a_driver_cuda_says_so_in_one_sentence():
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    if gpus():
        pytest.skip("this machine has an NVIDIA GPU")
    with pytest.raises(Unavailable, match="GPU 0: cudaGetDeviceCount says") as raised:
        Cuda(0, "tensorrt")
    assert "doctor" in raised.value.hint
