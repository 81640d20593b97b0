"""The error rates of A against B on noise that was recorded: the tool's own procedure, replayed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from edgekit.benchmarks.ratio import RatioRule

ROOT = Path(__file__).parents[2]
WINDOWS = 16


@pytest.fixture(scope="module")
def replay():
    """The script as a module; it belongs to no package."""
    path = ROOT / "benchmarks" / "peers" / "error_rates.py"
    spec = importlib.util.spec_from_file_location("error_rates", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["error_rates"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["error_rates"]


@pytest.fixture(scope="module")
def holdout(replay):
    """Series that the rule was not chosen on."""
    return list(replay.series("holdout"))


def outcomes(replay, series, true):
    return [
        outcome
        for number, one in enumerate(series)
        for outcome in replay.rates(one, true, WINDOWS, RatioRule(), seed=number)
    ]


def test_equal_systems_raise_a_false_alarm_in_one_of_a_hundred_at_most(replay, holdout):
    found = outcomes(replay, holdout, 1.0)
    alarms = sum(one.verdict in ("SLOWER", "FASTER") for one in found)
    assert len(found) == 6 * WINDOWS
    assert alarms <= 0.01 * len(found)


@pytest.mark.parametrize(("true", "verdict"), [(1.05, "SLOWER"), (1 / 1.05, "FASTER")])
def test_a_true_difference_of_five_percent_is_found_in_95_of_100_at_least(
    replay, holdout, true, verdict
):
    found = outcomes(replay, holdout, true)
    assert sum(one.verdict == verdict for one in found) >= 0.95 * len(found)


def test_a_slowdown_is_found_on_a_busy_machine_too(replay):
    """Recorded for 130 s each with four processes on two cores; the tool takes up to 120 s."""
    found = outcomes(replay, replay.series("busy"), 1.05)
    assert sum(one.verdict == "SLOWER" for one in found) >= 0.95 * len(found)


def test_an_overloaded_machine_makes_verdicts_unclear_and_not_wrong(replay):
    overloaded = list(replay.series("overloaded"))
    assert overloaded
    for true, right in ((1.0, "SAME"), (1.05, "SLOWER")):
        found = outcomes(replay, overloaded, true)
        wrong = sum(one.verdict not in (right, "UNCLEAR") for one in found)
        assert wrong <= 0.01 * len(found)
