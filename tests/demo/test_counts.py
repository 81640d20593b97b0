"""What the demo says of itself."""

from __future__ import annotations

import time
from threading import Event, Thread

import msgspec
import pytest

from edgekit.demo.counts import Tally
from edgekit.pipeline.slot import Closed, NewestSlot, ShortQueue


def test_before_the_first_frame_there_are_no_figures(counts):
    document = counts.final(interrupted=False)
    assert document.frames == 0
    assert document.fps == 0
    assert document.stages == {}
    assert document.frame_age_ms.p50_ms is None
    assert document.source.state == "connecting"


def test_stages_ages_and_detections_are_those_of_the_answers(counts, answer_of):
    for number in range(12):
        counts.answered(answer_of(number, classes=(0, 2), age_ms=20))
    document = counts.final(interrupted=False)
    assert document.frames == 12
    assert document.detections == 24
    assert document.stages["inference"].p50_ms == pytest.approx(10, rel=0.006)
    assert document.frame_age_ms.p50_ms == pytest.approx(20, rel=0.006)
    # 64 are needed.
    assert document.stages["inference"].p90_ms is None
    assert list(document.stages) == ["read", "preprocess", "inference"]


def test_what_was_shown_has_an_age_of_its_own(counts, answer_of):
    for number in range(20):
        answer = answer_of(number)
        counts.answered(answer)
        if number % 2:
            counts.shown(answer.frame.captured_ns, answer.frame.captured_ns + 50_000_000)
    document = counts.document()
    assert document.not_shown == 10
    assert document.shown_age_ms.n == 10
    assert document.shown_age_ms.mean_ms == pytest.approx(50)


def test_frames_that_nobody_took_are_dropped(counts, answer_of):
    for number in range(5):
        counts._tally.put(answer_of(number).frame)
    assert counts._tally.take().number == 4
    document = counts.document()
    assert document.captured == 5
    assert document.dropped == 4


def test_the_source_is_what_was_granted(counts):
    source = counts.document().source
    assert (source.width, source.height, source.pixel_format) == (640, 480, "MJPG")


def test_what_a_camera_gave_before_the_model_was_there_was_not_dropped(answer_of):
    tally = Tally(NewestSlot())
    for number in range(5):
        tally.put(answer_of(number).frame)
    tally.begin()
    assert tally.take(timeout=0) is None, "it would be an old one"
    assert (tally.rate.count, tally.dropped) == (0, 0)
    tally.put(answer_of(5).frame)
    tally.put(answer_of(6).frame)
    assert (tally.rate.count, tally.dropped) == (2, 1)
    assert tally.take().number == 6


def test_a_file_waits_for_the_model_and_its_first_frame_is_not_old(answer_of):
    tally = Tally(NewestSlot(), hold=True)
    frame = answer_of(0, age_ms=60_000).frame
    thread = Thread(target=tally.put, args=(frame,))
    thread.start()
    assert tally.take(timeout=0.05) is None
    begun_ns = time.perf_counter_ns()
    tally.begin()
    thread.join(10)
    taken = tally.take(timeout=10)
    assert taken.number == 0
    assert taken.captured_ns >= begun_ns - frame.read_ns
    assert (tally.rate.count, tally.dropped) == (1, 0)


def test_a_file_that_waits_is_let_go_at_the_end(answer_of):
    tally = Tally(ShortQueue(1), hold=True)
    ended = Event()

    def wait():
        with pytest.raises(Closed):
            tally.put(answer_of().frame)
        ended.set()

    Thread(target=wait, daemon=True).start()
    tally.close()
    assert ended.wait(10)


def test_controls_of_the_moment_stand_in_the_document(counts, controls):
    controls.set_classes(["dog", "person"])
    controls.set_confidence(0.3)
    document = counts.document()
    assert document.classes == ("person", "dog")
    assert document.confidence == 0.3


def test_notes_are_kept_once_and_do_not_grow_without_end(counts):
    for number in range(1000):
        counts.note("The disk is full.")
        counts.note(f"Note {number}.")
    notes = counts.document().notes
    assert notes.count("The disk is full.") == 1
    assert len(notes) == 100


def test_an_interrupted_demo_says_so(counts, answer_of):
    counts.answered(answer_of())
    document = counts.final(interrupted=True)
    assert document.interrupted
    assert b'"schema":"edgekit.demo/1"' in msgspec.json.encode(document)
