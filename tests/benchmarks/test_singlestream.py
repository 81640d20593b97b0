import gc
import random

import pytest

from edgekit.benchmarks.singlestream import SingleStream, SingleStreamRule
from edgekit.benchmarks.steady import Steady
from edgekit.benchmarks.summary import summarise
from edgekit.benchmarks.watch import Reading
from edgekit.core.errors import BadInput

STEADY = Steady(windows=2, window_samples=3, window_seconds=0.0, seconds=0.5)


def noisy(seed, n=20000):
    rng = random.Random(seed)
    return [10 * rng.lognormvariate(0, 0.1) for _ in range(n)]


def test_a_narrow_interval_stops_before_the_time_is_up(clock, model, idle):
    stream = SingleStream(SingleStreamRule(seconds=60), steady=STEADY, clock=clock, watch=idle)
    run = model(10)
    stream.warm(run)
    while not stream.done:
        stream.block(run, 1.0)
    found = stream.summary()
    assert found.stopped_by == "interval"
    assert 662 <= found.latency.n <= 800
    assert found.latency.p50_ms == pytest.approx(10, rel=1e-3)
    assert found.half_width <= 0.01
    assert found.valid
    assert found.missing == {"p999": 6636 - found.latency.n}
    assert found.throughput_per_s == pytest.approx(100, rel=0.01)


def test_time_stops_a_measurement_that_stays_wide(clock, model, idle):
    rule = SingleStreamRule(seconds=5, half_width=1e-6)
    stream = SingleStream(rule, steady=STEADY, clock=clock, watch=idle)
    run = model(*noisy(1))
    stream.warm(run)
    blocks = 0
    while not stream.done:
        stream.block(run, 1.0)
        blocks += 1
    found = stream.summary()
    assert found.stopped_by == "time"
    assert blocks == 5
    assert sum(found.samples_ns) / 1e9 == pytest.approx(5, abs=0.1)


def test_too_few_samples_refuse_percentiles_and_say_how_many_lack(clock, model, idle):
    stream = SingleStream(SingleStreamRule(seconds=2), steady=STEADY, clock=clock, watch=idle)
    run = model(20)
    stream.warm(run)
    while not stream.done:
        stream.block(run, 1.0)
    found = stream.summary()
    n = found.latency.n
    assert 64 <= n < 662
    assert found.latency.p90_ms is not None
    assert found.latency.p99_ms is None
    assert found.missing["p99"] == 662 - n
    assert found.valid


def test_fewer_samples_than_a_median_needs_are_not_valid(clock, model, idle):
    stream = SingleStream(SingleStreamRule(seconds=2), steady=STEADY, clock=clock, watch=idle)
    run = model(2500)
    stream.warm(run)
    while not stream.done:
        stream.block(run, 2)
    found = stream.summary()
    assert found.latency.n == 4
    assert found.latency.p50_ms is None
    assert not found.valid
    assert "too few for a median: 7 are missing" in " ".join(found.reasons)


def test_a_slow_model_gets_more_time_for_a_median(clock, model, idle):
    stream = SingleStream(SingleStreamRule(seconds=2), steady=STEADY, clock=clock, watch=idle)
    run = model(400)
    stream.warm(run)
    while not stream.done:
        stream.block(run, 0.5)
    found = stream.summary()
    assert 11 <= found.latency.n <= 13
    assert found.stopped_by == "time"
    assert found.latency.p50_ms == pytest.approx(400, rel=0.01)


def test_each_block_discards_its_own_warm_up_and_counts_it(clock, model, idle):
    rule = SingleStreamRule(seconds=100, rewarm_runs=3, rewarm_seconds=0.05)
    stream = SingleStream(rule, steady=STEADY, clock=clock, watch=idle)
    stream.warm(model(10))
    for _ in range(4):
        # After a pause the first runs are slow: they must not be samples.
        stream.block(model(90, 40, 20, 10), 0.2)
    found = stream.summary()
    assert max(found.samples_ns) < 11e6
    assert found.rewarmup == 12
    assert len(found.blocks) == 4
    assert sum(found.blocks) == found.latency.n == len(found.samples_ns)


def test_outliers_stay_among_the_samples(clock, model, idle):
    rule = SingleStreamRule(seconds=100, rewarm_runs=0, rewarm_seconds=0)
    stream = SingleStream(rule, steady=STEADY, clock=clock, watch=idle)
    stream.warm(model(10))
    stream.block(model(10, 5000, 10), 6)
    assert max(stream.summary().samples_ns) > 4e9


def test_a_block_before_the_warm_up_is_refused(clock, model, idle):
    with pytest.raises(BadInput, match="before the warm-up"):
        SingleStream(clock=clock, watch=idle).block(model(10), 1)


def test_a_measurement_without_time_is_refused():
    with pytest.raises(BadInput, match="above 0 s"):
        SingleStreamRule(seconds=0)


def test_a_speed_that_is_not_steady_makes_the_measurement_invalid(clock, model, idle):
    stream = SingleStream(SingleStreamRule(seconds=5), steady=STEADY, clock=clock, watch=idle)
    stream.warm(model(*[10 * (1 + index // 3 % 2) for index in range(1000)]))
    stream.block(model(10), 5)
    found = stream.summary()
    assert not found.steady
    assert not found.valid
    assert "not steady" in found.reasons[0]


def test_load_by_others_makes_the_measurement_invalid(clock, model):
    spent = [0.0]

    def watch():
        spent[0] += 1.0
        return Reading(own_s=spent[0] * 0.5, busy_s=spent[0] * 0.9, idle_s=spent[0] * 0.1)

    stream = SingleStream(SingleStreamRule(seconds=5), steady=STEADY, clock=clock, watch=watch)
    run = model(10)
    stream.warm(run)
    stream.block(run, 5)
    found = stream.summary()
    assert not found.valid
    assert "Other processes used 40% of the CPU" in found.reasons[0]


def test_garbage_is_not_collected_during_a_block_but_afterwards_again(clock, idle):
    seen = []

    def run():
        seen.append(gc.isenabled())
        clock.sleep_ms(10)

    stream = SingleStream(SingleStreamRule(seconds=5), steady=STEADY, clock=clock, watch=idle)
    stream.warm(run)
    seen.clear()
    stream.block(run, 0.1)
    assert seen
    assert not any(seen)
    assert gc.isenabled()


def test_an_inference_that_fails_leaves_the_collector_as_it_was(clock, idle, model):
    stream = SingleStream(SingleStreamRule(seconds=5), steady=STEADY, clock=clock, watch=idle)
    stream.warm(model(10))

    def broken():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        stream.block(broken, 1)
    assert gc.isenabled()


def test_a_summary_before_any_block_has_no_figures(clock, idle):
    found = SingleStream(clock=clock, watch=idle).summary()
    assert found.latency.n == 0
    assert found.throughput_per_s is None
    assert not found.valid


def test_a_summary_names_its_boundary_and_brackets_its_median():
    samples = [round(ms * 1e6) for ms in noisy(2, 700)]
    latency, missing = summarise(samples, "latency.device")
    assert latency.boundary == "latency.device"
    assert latency.p50_low_ms <= latency.p50_ms <= latency.p50_high_ms < latency.p90_ms
    assert latency.p90_ms < latency.p95_ms < latency.p99_ms
    assert latency.p999_ms is None
    assert missing == {"p999": 6636 - 700}


def test_entries_that_take_turns_see_the_same_drift(clock, idle):
    """Two equal models on a machine that slows down all the time must come out equal."""
    from itertools import islice

    from edgekit.benchmarks.interleave import mirrored_rounds

    def drifting():
        clock.sleep_ms(5 + clock.now_ns / 1e9)

    rule = SingleStreamRule(seconds=1000, rewarm_runs=0, rewarm_seconds=0)
    streams = {name: SingleStream(rule, steady=STEADY, clock=clock, watch=idle) for name in "ab"}
    for stream in streams.values():
        stream.warm(drifting)
    for turn in islice(mirrored_rounds("ab"), 8):
        for name in turn:
            streams[name].block(drifting, 0.5)
    means = [sum(s.summary().samples_ns) / s.summary().latency.n for s in streams.values()]
    assert means[0] == pytest.approx(means[1], rel=0.02)


def test_the_engine_s_own_time_is_the_sample_where_it_tells(clock, model, idle):
    rule = SingleStreamRule(seconds=3, rewarm_runs=0, rewarm_seconds=0)
    told = iter(range(1_000_000, 2_000_000))
    stream = SingleStream(
        rule, steady=STEADY, clock=clock, watch=idle, boundary="latency.device",
        told_ns=lambda: next(told),
    )  # fmt: skip
    run = model(10)
    stream.warm(run)
    stream.block(run, 1)
    found = stream.summary()
    assert found.samples_ns[:3] == (1_000_000, 1_000_001, 1_000_002)
    assert found.latency.boundary == "latency.device"


def test_the_steps_of_a_pipeline_add_up_to_the_whole(clock, model, idle):
    rule = SingleStreamRule(seconds=3, rewarm_runs=0, rewarm_seconds=0)
    steps = {"preprocess": model(2), "inference": model(7), "postprocess": model(1)}

    def run():
        for step in steps.values():
            step()

    stream = SingleStream(
        rule, steady=STEADY, clock=clock, watch=idle, boundary="latency.e2e", steps=steps
    )
    stream.warm(run)
    while not stream.done:
        stream.block(run, 1)
    found = stream.summary()
    assert list(found.stages) == ["preprocess", "inference", "postprocess"]
    assert found.stages["inference"].p50_ms == pytest.approx(7, rel=1e-3)
    for place, whole in enumerate(found.samples_ns):
        assert whole == sum(stage[place] for stage in found.stages_ns.values())


def test_a_measurement_that_changes_its_level_half_way_is_not_valid(clock, model, idle):
    rule = SingleStreamRule(seconds=4, half_width=1e-9, rewarm_runs=0, rewarm_seconds=0)
    stream = SingleStream(rule, steady=STEADY, clock=clock, watch=idle)
    stream.warm(model(10))
    stream.block(model(10), 2)
    stream.block(model(15), 2)
    found = stream.summary()
    ((first, last),) = found.unstable
    assert first == found.blocks[0]
    assert last == len(found.samples_ns)
    assert "The level was not stable" in " ".join(found.reasons)


def test_a_clock_that_runs_backwards_is_named_and_its_samples_are_kept(clock, model, idle):
    rule = SingleStreamRule(seconds=2, rewarm_runs=0, rewarm_seconds=0)
    stream = SingleStream(rule, steady=STEADY, clock=clock, watch=idle)
    stream.warm(model(10))
    stream.block(model(10, 10, -500, 10), 1)
    found = stream.summary()
    assert min(found.samples_ns) < 0
    assert "ran backwards during 1 of" in " ".join(found.reasons)
    assert not found.valid


def test_when_each_block_began_is_noted(clock, model, idle):
    rule = SingleStreamRule(seconds=100, rewarm_runs=0, rewarm_seconds=0)
    stream = SingleStream(rule, steady=STEADY, clock=clock, watch=idle)
    run = model(10)
    stream.warm(run)
    stream.block(run, 1)
    clock.sleep_ms(5000)
    stream.block(run, 1)
    starts = stream.summary().block_starts_ns
    assert starts[0] == 0
    assert starts[1] == pytest.approx(6e9, rel=0.01)


def test_what_is_observed_during_the_run_becomes_a_range(clock, model, idle):
    clocks = iter([2400.0, 1200.0, 1800.0])
    stream = SingleStream(
        SingleStreamRule(seconds=100, rewarm_runs=0, rewarm_seconds=0),
        steady=STEADY, clock=clock, watch=idle, observe=lambda: {"clock_mhz": next(clocks)},
    )  # fmt: skip
    run = model(10)
    stream.warm(run)
    for _ in range(3):
        stream.block(run, 0.1)
    assert stream.summary().observed == {"clock_mhz": (1200.0, 2400.0)}


@pytest.mark.parametrize("n", [0, 1])
def test_no_sample_or_one_is_a_sentence_and_no_figure(clock, model, idle, n):
    stream = SingleStream(SingleStreamRule(seconds=0.001), steady=STEADY, clock=clock, watch=idle)
    run = model(10)
    stream.warm(run)
    if n:
        stream.block(run, 0.001)
    found = stream.summary()
    assert found.latency.n == n
    assert found.latency.p50_ms is None
    assert found.half_width is None
    assert f"{n} samples are too few for a median: {11 - n} are missing." in found.reasons
