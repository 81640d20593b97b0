import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.statistics import missing_samples, percentile, samples_needed
from edgekit.core.errors import BadInput

TABLE = {50: 11, 90: 64, 95: 130, 99: 662, 99.9: 6636}


@pytest.mark.parametrize(("percent", "needed"), TABLE.items())
def test_samples_needed_are_those_of_mlperf_early_stopping(percent, needed):
    assert samples_needed(percent) == needed


@pytest.mark.parametrize("percent", TABLE)
def test_one_sample_less_breaks_the_confidence(percent):
    # The beta-binomial rule written out by hand: p^n + n p^(n-1) (1-p) for one sample over.
    share, n = percent / 100, TABLE[percent]

    def accident(count):
        return share**count + count * share ** (count - 1) * (1 - share)

    assert accident(n) <= 0.01 < accident(n - 1)


def test_without_a_sample_over_fewer_are_needed():
    assert samples_needed(90, over=0) == 44  # 0.9^44 < 0.01 < 0.9^43
    assert samples_needed(90, over=2) > samples_needed(90)


@pytest.mark.parametrize("percent", [0, 100, -1, 250])
def test_a_percentile_out_of_range_is_refused(percent):
    with pytest.raises(BadInput, match="between 0 and 100"):
        samples_needed(percent)


@pytest.mark.parametrize(
    ("arguments", "word"), [({"confidence": 1}, "confidence"), ({"over": -1}, "over")]
)
def test_a_wrong_rule_is_refused(arguments, word):
    with pytest.raises(BadInput, match=word):
        samples_needed(50, **arguments)


def test_a_percentile_with_too_few_samples_is_refused_and_says_how_many_lack():
    assert percentile(range(63), 90) is None
    assert missing_samples(63, 90) == 1
    assert percentile(range(64), 90) == 57
    assert missing_samples(64, 90) == 0


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 1000), min_size=64, max_size=100),
    st.sampled_from([1, 7, 25, 50, 75, 90]),
)
def test_a_percentile_is_the_smallest_sample_that_enough_do_not_exceed(samples, percent):
    found = percentile(samples, percent)
    assert found in samples
    # Integer arithmetic on purpose: a share in floats is off by one at the edges.
    holds = [s for s in samples if 100 * sum(x <= s for x in samples) >= percent * len(samples)]
    assert found == min(holds)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 10**9), min_size=11, max_size=50), st.randoms())
def test_the_order_of_samples_does_not_matter_to_a_percentile(samples, random):
    shuffled = list(samples)
    random.shuffle(shuffled)
    assert percentile(np.array(shuffled), 50) == percentile(samples, 50)
