"""OpenVINO's own queue of inference requests, with as little Python for each as possible."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from edgekit.core.runtime import Array

__all__ = ["OpenVinoQueue"]


class OpenVinoQueue:
    """Requests that OpenVINO runs side by side; see edgekit.core.runtime.Queue.

    Args:
        queue: An openvino.AsyncInferQueue.
        buffers: The inputs of each request, in the graph's order; kept alive as long as the queue.
        tensor: Makes OpenVINO's tensor of a buffer, sharing its memory.
        checked: Calls into OpenVINO, its errors as ours.
    """

    def __init__(
        self,
        queue: Any,
        buffers: Sequence[Sequence[Array]],
        tensor: Callable[[Array], Any],
        checked: Callable[[Callable[[], Any]], None],
    ) -> None:
        self._queue = queue
        self._buffers = buffers
        self._checked = checked
        for request, arrays in zip(queue, buffers, strict=True):
            for place, array in enumerate(arrays):
                request.set_input_tensor(place, tensor(array))
        # The binding below OpenVINO's Python class: that one asks for a free request and looks at
        # inputs that are set already, which costs a small model up to a tenth of its throughput.
        self._start = functools.partial(_below(queue).start_async, {}, None)

    @property
    def depth(self) -> int:
        """Inferences in flight at most."""
        return len(self._buffers)

    def submit(self) -> None:
        """Start one inference; waits while all requests are busy.

        Raises:
            BadInput: This or an earlier one failed.
        """
        self._checked(self._start)

    def drain(self) -> None:
        """Wait until all are done.

        Raises:
            BadInput: One of them failed.
        """
        self._checked(self._queue.wait_all)


def _below(queue: Any) -> Any:
    return super(type(queue), queue)
