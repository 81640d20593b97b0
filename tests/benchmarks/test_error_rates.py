"""The error rates of A against B on noise that was recorded: the tool's own procedure, replayed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from edgekit.benchmarks.ratio import RatioRule

ROOT = Path(__file__).parents[2]
WINDOWS = 3
# Both added up: shorter than by default, so that the test is.
RULE = RatioRule(seconds=15)


@pytest.fixture(scope="module")
def replay():
    """The script as a module; it belongs to no package."""
    path = ROOT / "tools" / "peers" / "error_rates.py"
    spec = importlib.util.spec_from_file_location("error_rates", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["error_rates"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["error_rates"]


@pytest.mark.parametrize("kind", ["holdout", "bursty"])
@pytest.mark.parametrize("true", [1.0, 1.05])
def test_no_verdict_is_false_on_series_that_the_rule_was_not_chosen_on(replay, kind, true):
    """One model against itself, and in "bursty" two engines whose disturbances differ in shape."""
    several = list(replay.series(kind))
    assert any("+" in one.name for one in several) == (kind == "bursty")
    found = [
        outcome
        for number, one in enumerate(several)
        for outcome in replay.rates(one, true, WINDOWS, RULE, seed=number)
    ]
    assert len(found) >= 12
    assert not any(one.false for one in found)


def test_a_true_difference_is_found_where_the_machine_is_quiet(replay):
    (quiet,) = [one for one in replay.series("holdout") if one.name == "shapes-onnxruntime-holdout"]
    found = replay.rates(quiet, 1.05, 6, RULE)
    assert {one.verdict for one in found} == {"SLOWER"}


@pytest.mark.parametrize(
    ("verdict", "truth", "false"),
    [
        ("FASTER", (0.9, 0.9), False),
        ("FASTER", (0.9, 1.1), True),
        ("SLOWER", (1.1, 0.9), True),
        ("SAME", (1.0, 1.1), True),
        ("UNCLEAR", (1.0, 1.0), False),
    ],
)
def test_a_verdict_is_false_where_one_of_the_ratios_says_otherwise(replay, verdict, truth, false):
    assert replay.is_false(verdict, truth, 0.03) is false
