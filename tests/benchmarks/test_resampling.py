import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.resampling import bootstrap_interval
from edgekit.core.errors import BadInput


def mean(values):
    column = np.asarray(values, dtype=float)
    return lambda weights: weights @ column / weights.sum(axis=1)


def test_the_interval_of_a_share_has_the_width_of_a_binomial():
    values = np.arange(400) < 280
    found = bootstrap_interval(mean(values), 400)
    assert found.value == 0.7
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(0.7 * 0.3 / 400), rel=0.15)


def test_a_paired_drop_is_narrower_than_the_figures_it_is_made_of():
    rng = np.random.default_rng(0)
    reference = rng.random(300) < 0.7
    entry = reference.copy()
    entry[np.flatnonzero(reference)[:6]] = False
    found = bootstrap_interval(mean(entry), 300, reference=mean(reference))
    assert found.drop == pytest.approx(0.02)
    assert found.drop_low <= 0.02 <= found.drop_high
    assert found.drop_low >= 0
    assert found.drop_high - found.drop_low < 0.5 * (found.high - found.low)


def test_the_same_answers_drop_by_nothing():
    values = np.arange(50) % 3 == 0
    for pivotal in (False, True):
        found = bootstrap_interval(mean(values), 50, reference=mean(values), pivotal=pivotal)
        assert (found.drop, found.drop_low, found.drop_high) == (0, 0, 0)


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 5))
def test_value_and_ends_are_ordered_and_shares(values, seed):
    for pivotal in (False, True):
        found = bootstrap_interval(
            mean(values), len(values), seed=seed, resamples=40, pivotal=pivotal
        )
        assert 0 <= found.low <= found.high <= 1
        if pivotal:
            assert found.low <= found.value <= found.high


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).random(80)
    first, again, other = (bootstrap_interval(mean(values), 80, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.low != other.low


def test_each_resample_holds_as_many_images_as_there_are():
    seen = []

    def statistic(weights):
        seen.append(weights)
        return weights[:, 0] / weights.sum(axis=1)

    bootstrap_interval(statistic, 7, resamples=30)
    resamples = np.concatenate(seen[1:])
    assert resamples.shape == (30, 7)
    assert (resamples.sum(axis=1) == 7).all()
    assert (resamples != 1).any()


def test_a_pivotal_interval_takes_off_the_bias_that_percentiles_double():
    # The largest of few numbers: every resample can only fall short of it.
    values = np.linspace(0, 0.9, 30)

    def largest(weights):
        return np.where(weights > 0, values, 0).max(axis=1)

    percentiles = bootstrap_interval(largest, 30)
    pivotal = bootstrap_interval(largest, 30, pivotal=True)
    assert percentiles.high == percentiles.value
    assert pivotal.high > pivotal.value == pivotal.low


def test_resamples_without_anything_to_score_are_left_out():
    def only_first(weights):
        return np.where(weights[:, 0] > 0, 0.5, np.nan)

    found = bootstrap_interval(only_first, 3)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_no_image_and_nothing_to_score_are_refused():
    with pytest.raises(BadInput, match="no image"):
        bootstrap_interval(mean([]), 0)
    with pytest.raises(BadInput, match="nothing to score"):
        bootstrap_interval(lambda weights: np.full(len(weights), np.nan), 3)
