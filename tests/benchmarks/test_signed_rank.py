import math

import numpy as np
import pytest

from edgekit.benchmarks.signed_rank import ratio_interval


def test_ninety_nine_percent_take_eight_rounds_and_fewer_have_no_ends():
    assert ratio_interval([0.1] * 7, 0.99).low is None
    assert ratio_interval([0.1] * 8, 0.99).low == pytest.approx(math.exp(0.1))
    assert ratio_interval([], 0.99) is None


def test_the_ends_are_those_of_the_tables_of_the_signed_rank_test():
    # n = 20, two-sided 5 %: the critical value is 52, so the ends are the 53rd averages.
    values = np.random.default_rng(1).normal(size=20) / 100
    walsh = np.sort([(a + b) / 2 for i, a in enumerate(values) for b in values[i:]])
    found = ratio_interval(values, 0.95)
    assert found.low == pytest.approx(math.exp(walsh[52]))
    assert found.high == pytest.approx(math.exp(walsh[-53]))


def test_thousands_of_rounds_are_averaged_in_groups():
    values = np.random.default_rng(0).normal(0.05, 0.02, size=5000)
    found = ratio_interval(values, 0.99)
    assert found.low < math.exp(0.05) < found.high
    assert found.half_width < 0.002
