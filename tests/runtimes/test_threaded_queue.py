"""Calls side by side: as many as are allowed, none lost, and an error reaches the caller."""

from __future__ import annotations

import gc
import threading

import pytest

from edgekit.runtimes.threaded_queue import ThreadedQueue


def test_requests_run_side_by_side_up_to_the_depth():
    inside, most, lock = 0, 0, threading.Lock()
    # Passed only by three together.
    together = threading.Barrier(3, timeout=120)

    def run():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        together.wait()
        with lock:
            inside -= 1

    queue = ThreadedQueue([run] * 3)
    for _ in range(12):
        queue.submit()
    queue.drain()
    assert (inside, most) == (0, 3)


def test_every_request_runs_once():
    runs = []
    queue = ThreadedQueue([lambda: runs.append(1)] * 4)
    for _ in range(500):
        queue.submit()
    queue.drain()
    assert len(runs) == 500


def test_what_a_request_raises_reaches_the_caller_once_and_the_queue_goes_on():
    def run():
        raise ValueError("no")

    queue = ThreadedQueue([run, run])
    queue.submit()
    with pytest.raises(ValueError, match="no"):
        queue.drain()
    queue.drain()
    with pytest.raises(ValueError, match="no"):
        for _ in range(5):
            queue.submit()
    queue.drain()


def test_the_threads_end_with_the_queue():
    before = set(threading.enumerate())
    queue = ThreadedQueue([lambda: None] * 5)
    own = set(threading.enumerate()) - before
    assert len(own) == 5
    del queue
    gc.collect()
    for thread in own:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in own)
