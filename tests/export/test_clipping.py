"""What 8 bits cost a tensor: which range is taken, and what of the error is clipping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgekit.export.clipping import (
    LEAST_ERROR,
    least_error_limit,
    loss_of,
    measure_spreads,
    ranges_by_method,
)

BINS = 2048


def counts(values, largest):
    edges = np.linspace(0, largest, BINS + 1)
    found = np.histogram(np.minimum(np.abs(values), largest), bins=edges)[0]
    return (edges[1:] + edges[:-1]) / 2, found


def error(values, limit):
    step = limit / 127
    return float(((values - np.clip(np.rint(values / step), -127, 127) * step) ** 2).mean())


def test_one_large_value_does_not_cost_all_the_others():
    rng = np.random.default_rng(0)
    values = np.append(rng.normal(size=100_000), 20.0)
    limit = least_error_limit(*counts(values, 20.0), 20.0)
    assert limit < 15
    assert error(values, limit) < 0.8 * error(values, 20.0)


def test_an_even_spread_is_not_clipped():
    values = np.random.default_rng(0).uniform(-3, 3, 100_000)
    assert least_error_limit(*counts(values, 3.0), 3.0) == pytest.approx(3.0, rel=0.02)


def test_a_tensor_of_zeros_keeps_its_range():
    assert least_error_limit(np.arange(BINS) / BINS, np.zeros(BINS, np.int64), 4.0) == 4.0


@given(
    seed=st.integers(0, 2**32 - 1),
    heavy=st.floats(0.5, 4.0),
    largest=st.floats(1e-6, 1e6),
)
def test_clipping_is_never_worse_than_not_clipping(seed, heavy, largest):
    values = np.abs(np.random.default_rng(seed).standard_t(heavy, 5000))
    values *= largest / values.max()
    limit = least_error_limit(*counts(values, largest), largest)
    assert 0 < limit <= largest
    # The histogram knows a value to a sixteenth of a step.
    assert error(values, limit) <= 1.05 * error(values, largest)


def passing(*names):
    """A graph whose inputs go nowhere but out."""
    value = helper.make_tensor_value_info
    return helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", [name], [f"{name}_out"]) for name in names],
            "g",
            [value(name, TensorProto.FLOAT, None) for name in names],
            [value(f"{name}_out", TensorProto.FLOAT, None) for name in names],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def spreads(**tensors):
    """Spreads of tensors whose first axis counts the samples."""
    model = passing(*tensors)
    length = len(next(iter(tensors.values())))
    samples = [
        {name: array[n : n + 1].astype(np.float32) for name, array in tensors.items()}
        for n in range(length)
    ]
    return measure_spreads(model, set(tensors), samples)


def measured(values, ends):
    """Share of the clipping, and dB, of 8 bits over a range, without a histogram."""
    low, high = min(ends[0], 0), max(ends[1], 0)
    step = (high - low) / 255
    rounded = np.clip(np.rint(values / step) * step, low, high)
    lost = (values - rounded) ** 2
    outside = (values < low - step / 2) | (values > high + step / 2)
    return lost[outside].sum() / lost.sum(), 10 * np.log10((values**2).sum() / lost.sum())


def chosen(name, **tensors):
    found = spreads(**tensors)
    every = ranges_by_method({one: (0.0, float(n)) for n, one in enumerate(tensors)}, found)
    return found[name], {method: ranges[name] for method, ranges in every.items()}


@pytest.mark.parametrize("size", [1, 8, 64, 512])
def test_rows_of_few_values_keep_their_true_extremes(size):
    """The mean of each row's extremes left 24 dB of rows of 64 values, and clipping was called
    rounding."""
    values = np.random.default_rng(0).normal(size=(16, size))
    spread, ranges = chosen("x", x=values)
    assert ranges[LEAST_ERROR] == pytest.approx((min(values.min(), 0), values.max()), rel=1e-5) or (
        ranges[LEAST_ERROR] == pytest.approx((values.min(), values.max()), rel=1e-5)
    )
    best, old = (loss_of(spread, ranges[name]) for name in (LEAST_ERROR, "mean-extremes"))
    assert best.clipping_share == 0
    assert best.sqnr_db > 40
    assert old.sqnr_db < best.sqnr_db - 3
    assert old.clipping_share > 0.5


def test_loud_and_quiet_recordings_keep_the_loud_ones_extremes():
    """Not the number of values decides: samples differ for other reasons than chance."""
    loudness = np.geomspace(0.01, 1, 16).reshape(-1, 1)
    values = loudness * np.random.default_rng(0).normal(size=(16, 20_000))
    _, ranges = chosen("x", x=values)
    assert ranges[LEAST_ERROR] == pytest.approx((values.min(), values.max()), rel=1e-5)


def test_one_outlier_among_many_values_is_clipped():
    values = np.random.default_rng(0).normal(size=(16, 100_000))
    values[3, 5] = 100.0
    spread, ranges = chosen("x", x=values)
    assert ranges[LEAST_ERROR] == ranges["mean-extremes"]
    assert ranges[LEAST_ERROR][1] < 15
    assert loss_of(spread, ranges["extremes"]).clipping_share == 0


@pytest.mark.parametrize("ends", [(-1.0, 1.5), (-3.0, 3.0), (0.0, 2.0), (-9.0, 9.0)])
def test_the_shares_of_clipping_and_rounding_are_those_of_the_values(ends):
    values = np.random.default_rng(1).normal(size=(4, 5000))
    loss = loss_of(spreads(x=values)["x"], ends)
    share, decibels = measured(values.astype(np.float32), ends)
    assert loss.clipping_share == pytest.approx(share, abs=0.02)
    assert loss.sqnr_db == pytest.approx(decibels, abs=0.2)
    assert f"{round(100 * loss.clipping_share)} % is clipping" in str(loss)


def test_tensors_of_one_scale_keep_one_scale():
    random = np.random.default_rng(2)
    values = {"x": random.normal(size=(8, 30)), "y": 3 * random.normal(size=(8, 30))}
    ranges = ranges_by_method({"x": (0.0, 1.0), "y": (0.0, 1.0)}, spreads(**values))
    for found in ranges.values():
        assert found["x"] == found["y"]
    assert ranges["extremes"]["x"][1] == pytest.approx(values["y"].max(), rel=1e-5)


def test_what_is_not_finite_or_empty_has_no_range():
    values = np.zeros((3, 4))
    values[1, 2] = -np.inf
    assert set(spreads(x=values, y=np.ones((3, 4)), z=np.ones((3, 0)))) == {"y"}
