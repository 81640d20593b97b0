"""Between two threads: nothing is lost silently, nobody waits for ever."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from edgekit.pipeline.slot import Closed, NewestSlot, ShortQueue


def test_the_newest_replaces_what_nobody_took():
    slot = NewestSlot[int]()
    for number in range(5):
        slot.put(number)
    assert slot.take() == 4
    assert slot.dropped == 4
    assert slot.take(timeout=0) is None


def test_a_queue_keeps_all_in_order_and_makes_the_faster_one_wait():
    queue = ShortQueue[int](2)
    put = []

    def fill():
        for number in range(6):
            queue.put(number)
            put.append(number)
        queue.close()

    thread = Thread(target=fill)
    thread.start()
    taken = []
    with pytest.raises(Closed):
        while True:
            # Never further ahead than it is long.
            assert len(put) <= len(taken) + 3
            taken.append(queue.take())
    thread.join()
    assert taken == [0, 1, 2, 3, 4, 5]
    assert queue.dropped == 0


@pytest.mark.parametrize("make", [NewestSlot, lambda: ShortQueue(3)])
def test_what_is_in_it_is_taken_before_the_end(make):
    handover = make()
    handover.put(1)
    handover.close()
    handover.close()
    assert handover.take() == 1
    with pytest.raises(Closed):
        handover.take()
    with pytest.raises(Closed):
        handover.put(2)


@pytest.mark.parametrize("make", [NewestSlot, lambda: ShortQueue(1)])
def test_closing_wakes_a_reader(make):
    handover, ended = make(), Event()

    def wait():
        with pytest.raises(Closed):
            handover.take()
        ended.set()

    Thread(target=wait, daemon=True).start()
    handover.close()
    assert ended.wait(10)


def test_closing_wakes_a_writer():
    queue, ended = ShortQueue[int](1), Event()
    queue.put(1)

    def wait():
        with pytest.raises(Closed):
            queue.put(2)
        ended.set()

    Thread(target=wait, daemon=True).start()
    queue.close()
    assert ended.wait(10)
