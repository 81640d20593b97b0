"""A deployment knows its stages beforehand, and how long they took before."""

from __future__ import annotations

import msgspec
import pytest

from edgekit import api
from edgekit.core.documents import DeployStage
from edgekit.core.progress import Position, Silent
from edgekit.core.stage import StageRecord
from edgekit.jobs.steps.course import Course

STAGES = (
    ("export", "m"),
    ("engine", "m, fp32"),
    ("certificate", "m, fp32"),
    ("engine", "m, int8"),
    ("certificate", "m, int8"),
    ("measurement", "m"),
)
COURSE = Course(STAGES, measuring_s=26.0)


def record(stage, subject, seconds, created="2026-01-01"):
    return StageRecord(
        stage=stage, subject=subject, key="k", parts={}, created=created, seconds=seconds, files={}
    )


def done(stage, subject, seconds, *, hit=False):
    return DeployStage(
        stage=stage, subject=subject, key="k", hit=hit, reason="", seconds=seconds, size_bytes=0,
        created="2026-01-01",
    )  # fmt: skip


def test_a_stage_has_its_place_and_a_stranger_has_none():
    assert COURSE.position("certificate", "m, fp32") == Position(3, 6)
    assert COURSE.position("certificate", "another") is None


def test_times_are_those_of_the_last_run():
    history = [record(stage, subject, 10.0) for stage, subject in STAGES[:-1]]
    history += [record("export", "m", 4.0, "2026-02-01"), record("export", "other", 99.0)]
    timed = COURSE.timed(Position(1, 6), (), history)
    assert timed == Position(1, 6, seconds=4.0, seconds_after=4 * 10.0 + 26.0)


def test_what_was_never_measured_is_not_guessed():
    timed = COURSE.timed(Position(1, 6), (), [])
    assert (timed.seconds, timed.seconds_after) == (None, None)


def test_entries_that_were_made_in_this_run_stand_for_those_to_come():
    so_far = [done("engine", "m, fp32", 2.0), done("certificate", "m, fp32", 7.0)]
    timed = COURSE.timed(Position(4, 6), so_far, [])
    assert timed == Position(4, 6, seconds=2.0, seconds_after=7.0 + 26.0)
    # What came from the cache took its time on another day, perhaps on another machine.
    cached = [msgspec.structs.replace(one, hit=True) for one in so_far]
    assert COURSE.timed(Position(4, 6), cached, []).seconds is None


class Told(Silent):
    def __init__(self):
        self.stages = []

    def stage(self, name, position=None):
        self.stages.append((name, position))


@pytest.fixture(scope="module")
def told(tmp_path_factory, request):
    """The stages of a first deployment, of a second, and of one that measures again."""
    folder = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(folder / "cache"))
        runs = []
        for seconds in (0.1, 0.1, 0.2):
            progress = Told()
            api.deploy(
                "edgekit:digits", folder / "bundle", targets=("onnxruntime:cpu",), force=True,
                precision=("fp32",), time=seconds, progress=progress,
            )  # fmt: skip
            runs.append(progress.stages)
    return runs


def test_every_stage_of_a_deployment_stands_at_its_place(told):
    pytest.importorskip("torch")
    for run in told:
        numbers = [position.number for _, position in run]
        assert numbers == sorted(numbers)
        assert set(numbers) == {1, 2, 3, 4, 5}
        assert {position.of for _, position in run} == {5}


def test_the_first_deployment_knows_only_the_time_it_was_asked_to_measure(told):
    seconds = [position.seconds for _, position in told[0] if position.number < 5]
    assert set(seconds) == {None}
    assert told[0][-1][1].seconds_after == 0


def test_what_is_in_the_cache_claims_no_time(told):
    assert all(position.seconds is None for _, position in told[1])
    assert all("from the cache" in name for name, _ in told[1])


def test_a_stage_that_is_made_again_says_how_long_it_takes(told):
    name, position = told[2][-1]
    assert name == "measurement of digits" or position.number == 5
    assert position.seconds == pytest.approx(3.2)
    assert position.seconds_after == 0
