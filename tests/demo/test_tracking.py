"""Objects keep their numbers over dropped frames, and lose them where a scene is cut."""

from __future__ import annotations

import sys

import pytest

from edgekit.core.errors import MissingLibrary
from edgekit.demo.tracking import Tracker
from edgekit.pipeline.answer import Answer
from edgekit.tasks.results import Raw

pytest.importorskip("trackers", reason="trackers (the extra track) is not installed")


@pytest.fixture
def follow(boxes, frame_of, plain):
    """Track boxes at a time: (label, score, left) each, 40 wide; returns tracks in their order."""
    tracker = Tracker()
    pixels = plain(0)

    def ask(second, *found, position=None, size=(240, 320)):
        made = boxes(
            *((label, 0, score, (left, 50.0, left + 40, 150.0)) for label, score, left in found),
            size=size,
        )
        answer = Answer(frame_of(pixels, second=second, position=position), Raw({}))
        followed = tracker.follow(made, answer)
        assert [one.box for one in followed] == [one.box for one in made]
        assert [one.score for one in followed] == [one.score for one in made]
        return [one.track for one in followed]

    return ask


def test_two_objects_that_pass_each_other_keep_their_numbers(follow):
    assert follow(0.0, ("a", 0.9, 10.0), ("b", 0.8, 200.0)) == [None, None]
    first = follow(0.033, ("a", 0.9, 14.0), ("b", 0.8, 196.0))
    assert sorted(first) == [1, 2]
    for step in range(2, 20):
        # The best comes first, and that changes.
        order = [("a", 0.9, 10.0 + 4 * step), ("b", 0.8, 200.0 - 4 * step)]
        swapped = step % 2
        tracks = follow(step * 0.033, *(order[::-1] if swapped else order))
        assert tracks == (first[::-1] if swapped else first)


def test_dropped_frames_do_not_cost_an_object_its_number(follow):
    for step in range(10):
        follow(step * 0.033, ("a", 0.9, 10.0 + 3 * step))
    # Eight frames lost: it has gone on at 90 pixels a second, and no longer overlaps itself.
    assert follow(9 * 0.033 + 0.5, ("a", 0.9, 10.0 + 27 + 45)) == [1]


def test_an_object_that_comes_back_late_is_a_new_one(follow):
    for step in range(5):
        follow(step * 0.033, ("a", 0.9, 100.0))
    assert follow(0.6, ("a", 0.9, 100.0)) == [1]
    follow(1.0)
    follow(1.8)
    assert follow(2.5, ("a", 0.9, 100.0)) == [None]
    assert follow(2.53, ("a", 0.9, 100.0)) == [2]


@pytest.mark.parametrize("cut", ["again", "pause", "size"])
def test_after_a_cut_no_number_comes_again(follow, cut):
    for step in range(3):
        tracks = follow(0, ("a", 0.9, 100.0), position=50 + step * 0.033)
    assert tracks == [1]
    start = {"again": 0.0, "pause": 500.0, "size": 50.1}[cut]
    size = (480, 640) if cut == "size" else (240, 320)
    for step in range(3):
        tracks = follow(0, ("a", 0.9, 100.0), position=start + step * 0.033, size=size)
    assert tracks == [2]


def test_the_same_frame_twice_is_no_error(follow):
    follow(1.0, ("a", 0.9, 100.0))
    follow(1.0, ("a", 0.9, 100.0))


def test_frames_without_objects_and_boxes_without_bounds_are_no_error(follow):
    assert follow(0.0) == []
    assert follow(0.1, ("a", 0.9, -1e30)) == [None]
    follow(0.2, ("a", 0.9, 1e30), ("b", 0.1, 3.0))
    assert follow(0.3) == []


def test_without_the_library_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(MissingLibrary, match=r"edgekit\[track\]"):
        Tracker()
