import gc
import random

import pytest

from edgekit.benchmarks.duel import Duel, quads_per_opening
from edgekit.benchmarks.ratio import RatioRule
from edgekit.benchmarks.steady import Steady
from edgekit.benchmarks.watch import Reading
from edgekit.core.errors import BadInput

STEADY = Steady(windows=2, window_samples=3, window_seconds=0.0, seconds=0.5)


@pytest.fixture
def duel(clock, idle):
    return lambda **rule: Duel(RatioRule(**rule), steady=STEADY, clock=clock, watch=idle)


def test_blocks_come_as_new_base_base_new_and_each_discards_its_first_runs(duel, clock):
    calls = []

    def one(name):
        def run():
            calls.append(name)
            clock.sleep_ms(10)

        return run

    base, new = one("base"), one("new")
    found = duel(block_seconds=0.03, rewarm_runs=2, rewarm_seconds=0)
    found.warm(base, new)
    calls.clear()
    found.round(base, new)
    assert calls == ["new"] * 5 + ["base"] * 10 + ["new"] * 5
    # Whoever has the two inner blocks has the caches in the second of them: they take turns.
    calls.clear()
    found.round(base, new)
    assert calls == ["base"] * 5 + ["new"] * 10 + ["base"] * 5
    assert list(found.summary().base.blocks) == [3, 3, 3, 3]
    assert len(found.summary().new.samples_ns) == 12


def test_a_slower_model_is_found_and_its_ratio_is_right(duel, model):
    base, new = model(10), model(10.5)
    found = duel()
    found.warm(base, new)
    while not found.done:
        found.round(base, new)
    summary = found.summary()
    assert summary.stopped_by == "interval"
    assert summary.rounds == 24
    new, base = summary.new, summary.base
    assert summary.ratios.typical.ratio == new.latency.p50_ms / base.latency.p50_ms
    assert summary.ratios.mean.ratio == pytest.approx(new.mean_ms / base.mean_ms)
    assert summary.ratios.mean.ratio == pytest.approx(1.05, rel=1e-4)
    assert summary.invalid == summary.reasons == ()
    assert len(summary.base.block_starts_ns) == 48


def test_too_few_rounds_say_how_many_are_missing(duel, model):
    base, new = model(2000), model(2000)
    found = duel(seconds=2)
    found.warm(base, new)
    while not found.done:
        found.round(base, new)
    summary = found.summary()
    assert summary.ratios.mean.low is None
    assert "too few for an interval: 6 are missing" in summary.reasons[0]


def test_the_time_being_up_first_is_said(duel, model):
    rng = random.Random(0)
    base, new = (model(*[10 * rng.lognormvariate(0, 0.3) for _ in range(5000)]) for _ in "ab")
    found = duel(seconds=3, half_width=1e-4)
    found.warm(base, new)
    while not found.done:
        found.round(base, new)
    assert "The time was up before" in " ".join(found.summary().reasons)


def test_what_makes_a_measurement_of_either_invalid_makes_the_comparison_so(clock, model):
    """Red where these only weakened it: a disturbed comparison failed builds."""
    spent = [0.0]

    def watch():
        spent[0] += 1.0
        return Reading(own_s=spent[0] * 0.5, busy_s=spent[0] * 0.9, idle_s=spent[0] * 0.1)

    found = Duel(RatioRule(), steady=STEADY, clock=clock, watch=watch)
    base = model(*[10 * (1 + index // 3 % 2) for index in range(100)], 10)
    found.warm(base, model(10))
    levels = model(*[10] * 70, 20)
    for _ in range(10):
        found.round(model(10), levels)
    words = " ".join(found.summary().invalid)
    assert "Other processes used 40% of the CPU" in words
    assert "The base is INVALID: The speed was not steady" in words
    assert "The new model is INVALID: The level was not stable" in words


def test_too_few_samples_and_too_much_measuring_are_invalid_too(duel, model):
    base, new = model(1e-6), model(4000)
    found = duel(seconds=1, block_seconds=1e-6, rewarm_seconds=0)
    found.warm(base, new)
    found.round(base, new)
    words = " ".join(found.summary().invalid)
    assert "The base is INVALID: The measuring itself takes" in words
    assert "The new model is INVALID: 2 samples are too few for a median" in words


def test_the_garbage_collector_rests_and_comes_back_after_an_error(duel, model, clock):
    seen = []

    def fails():
        seen.append(gc.isenabled())
        clock.sleep_ms(10)
        if len(seen) > 20:
            raise RuntimeError("broken")

    found = duel()
    found.warm(model(10), model(10))
    with pytest.raises(RuntimeError):
        for _ in range(10):
            found.round(model(10), fails)
    assert not any(seen)
    assert gc.isenabled()


def test_a_round_before_the_warm_up_is_refused(duel, model):
    with pytest.raises(BadInput, match="before the warm-up"):
        duel().round(model(10), model(10))


def test_both_are_opened_anew_for_every_round_where_that_is_cheap():
    rule = RatioRule(seconds=80)
    assert quads_per_opening(rule, 0.02, 0.18, 0.16) == 1
    # As many quads share an opening as take as long as it does.
    assert quads_per_opening(rule, 0.5, 0.18, 0.16) == 3
    assert quads_per_opening(rule, 5.0, 0.18, 0.16) == 0
    # The smallest number of rounds still fits into the time.
    assert quads_per_opening(rule, 1.0, 0.01, 0.5) == 6
    assert quads_per_opening(rule, 0.02, 0.0, 0.0) == 1
