"""Answers on their way to the outputs."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from edgekit.demo.presenting import Presenter
from edgekit.pipeline.slot import Closed


class Kept:
    """An output that keeps what it is shown, and may be slow."""

    def __init__(self, *, wants_picture=True, gate=None):
        self.wants_picture = wants_picture
        self.views = []
        self.gate = gate

    def show(self, view):
        if self.gate is not None:
            assert self.gate.wait(10)
        self.views.append(view)

    def close(self):
        pass


@pytest.fixture
def presenter(counts, controls):
    made = []

    def make(*outputs, **options):
        one = Presenter(controls.labels, lambda: controls.setting, outputs, counts, **options)
        one.start()
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def _shown(output, count):
    limit = time.monotonic() + 120
    while len(output.views) < count and time.monotonic() < limit:
        time.sleep(0.002)
    return output.views


def test_every_output_gets_the_same_view(presenter, answer_of):
    one, other = Kept(), Kept(wants_picture=False)
    presenter(one, other, every_frame=True).deliver(answer_of(classes=(0, 1)))
    (view,), (second,) = _shown(one, 1), _shown(other, 1)
    assert view is second
    assert [each.label for each in view.prediction] == ["person", "car"]
    assert view.picture is not None
    assert view.picture.shape == view.answer.frame.pixels.shape
    assert view.picture.any()
    assert not view.answer.frame.pixels.any(), "nobody draws into the frame itself"


def test_nothing_is_drawn_where_nobody_looks(presenter, answer_of, counts):
    output = Kept(wants_picture=False)
    presenter(output, every_frame=True).deliver(answer_of())
    assert _shown(output, 1)[0].picture is None
    assert "draw" not in counts.document().stages


def test_only_the_classes_of_the_moment_are_shown(presenter, answer_of, controls):
    output = Kept()
    shows = presenter(output, every_frame=True)
    shows.deliver(answer_of(classes=(0, 1, 2)))
    _shown(output, 1)
    controls.set_classes(["dog"])
    shows.deliver(answer_of(classes=(0, 1, 2)))
    labels = [[each.label for each in view.prediction] for view in _shown(output, 2)]
    assert labels == [["person", "car", "dog"], ["dog"]]


def test_a_slow_output_sees_the_newest_and_holds_nobody_up(presenter, answer_of, wait_until):
    gate = threading.Event()
    output = Kept(gate=gate)
    shows = presenter(output, every_frame=False)
    for number in range(20):
        shows.deliver(answer_of(number))
    gate.set()
    numbers = lambda: [view.answer.frame.number for view in output.views]  # noqa: E731
    wait_until(lambda: 19 in numbers(), "the newest")
    numbers = numbers()
    assert numbers[-1] == 19
    assert len(numbers) < 20
    assert numbers == sorted(numbers)


def test_with_every_frame_nothing_is_left_out(presenter, answer_of):
    output = Kept()
    shows = presenter(output, every_frame=True)
    for number in range(50):
        shows.deliver(answer_of(number))
    assert [view.answer.frame.number for view in _shown(output, 50)] == list(range(50))


def test_tracks_come_between_the_threshold_and_the_picture(presenter, answer_of, counts):
    def follow(prediction, answer):
        found = tuple(replace(one, track=7) for one in prediction.detections)
        return replace(prediction, detections=found)

    output = Kept()
    presenter(output, every_frame=True, track=follow).deliver(answer_of())
    assert _shown(output, 1)[0].prediction.detections[0].track == 7
    assert counts.document().stages["track"].n == 1


def test_an_output_that_breaks_ends_the_demo_with_its_error(presenter, answer_of):
    class Broken(Kept):
        def show(self, view):
            raise OSError("gone")

    shows = presenter(Broken(), every_frame=True)
    shows.deliver(answer_of())
    limit = time.monotonic() + 120
    with pytest.raises(Closed):
        while time.monotonic() < limit:
            shows.deliver(answer_of())
    assert isinstance(shows.error, OSError)


def test_closing_shows_what_was_delivered(counts, controls, answer_of):
    output = Kept()
    shows = Presenter(
        controls.labels, lambda: controls.setting, (output,), counts, every_frame=True
    )
    shows.start()
    shows.deliver(answer_of(1))
    shows.deliver(answer_of(2))
    shows.close()
    assert [view.answer.frame.number for view in output.views] == [1, 2]
