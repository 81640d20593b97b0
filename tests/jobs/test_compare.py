"""Stored results against each other: what is matched, what is refused, what is proven."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edgekit import api
from edgekit.core.documents import BenchDocument, BenchEntry, Environment
from edgekit.core.errors import BadInput

MACHINE = Environment(
    identity={"cpu": "A CPU", "versions": {"openvino": "2026.1"}},
    observed={"load_average": [0.1, 0.1, 0.1], "virtual": False},
)


def entry(**changes):
    made = BenchEntry(
        target="openvino:cpu",
        variant="fp32",
        compute="fp32",
        executed_precision="fp32",
        scenario="single-stream",
        boundary="latency.host",
        valid=True,
        reasons=(),
        n=2000,
        p50_ms=10.0,
        p50_low_ms=9.9,
        p50_high_ms=10.1,
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def result(tmp_path):
    def make(name, *entries, environment=MACHINE, samples=None, **columns):
        folder = tmp_path / name
        folder.mkdir()
        if samples is not None:
            (folder / "samples").mkdir()
            np.savez(folder / "samples" / "one.npz", samples_ns=samples, **columns)
            entries = [msgspec.structs.replace(entries[0], samples="samples/one.npz")]
        document = BenchDocument(model="m.onnx", environment=environment, entries=tuple(entries))
        (folder / "bench.json").write_bytes(msgspec.json.encode(document))
        return str(folder)

    return make


def test_a_difference_beyond_the_drift_is_proven_and_one_within_is_not(result):
    base = result("base", entry())
    slower = result("slower", entry(p50_ms=13.0, p50_low_ms=12.9, p50_high_ms=13.1))
    little = result("little", entry(p50_ms=10.8, p50_low_ms=10.7, p50_high_ms=10.9))
    assert api.compare(base, slower).verdict == "SLOWER"
    assert api.compare(slower, base).verdict == "FASTER"
    document = api.compare(base, little)
    assert document.verdict == "UNCLEAR"
    assert "drift of 10%" in document.entries[0].reasons[0]
    assert "bench --against" in document.entries[0].reasons[0]
    assert api.compare(base, little, drift=0).verdict == "SLOWER"
    assert api.compare(base, base, drift=0).verdict == "SAME"


@pytest.mark.parametrize("observed", [{"virtual": True}, {}])
def test_a_virtual_machine_and_one_that_is_not_known_drift_more(result, observed):
    shaky = msgspec.structs.replace(MACHINE, observed=observed)
    base = result("base", entry(), environment=shaky)
    new = result("new", entry(p50_ms=15.0, p50_low_ms=14.9, p50_high_ms=15.1), environment=shaky)
    document = api.compare(base, new)
    assert document.verdict == "UNCLEAR"
    assert "drift of 60%" in document.entries[0].reasons[0]
    assert api.compare(base, new, drift=0.1).verdict == "SLOWER"
    far = result("far", entry(p50_ms=18.0, p50_low_ms=17.9, p50_high_ms=18.1), environment=shaky)
    assert api.compare(base, far).verdict == "SLOWER"


def test_raw_samples_go_before_the_figures_that_are_stated(result):
    rng = np.random.default_rng(0)
    times = (rng.normal(1, 0.02, 2000) * 10e6).astype(np.int64)
    base = result("base", entry(p50_ms=99.0), samples=times)
    new = result("new", entry(p50_ms=1.0), samples=(times * 1.3).astype(np.int64))
    assert api.compare(base, new).ratio == pytest.approx(1.3, rel=1e-3)


def test_figures_and_ratios_are_of_the_same_samples(result):
    """Red where offline's ratio was one of medians of chunks beside two throughputs."""
    rng = np.random.default_rng(1)
    times = (rng.lognormal(0, 0.02, 400) * 10e6).astype(np.int64)
    stalled = np.where(rng.random(400) < 0.2, 50_000_000, times // 2)
    found = api.compare(result("a", entry(), samples=times), result("b", entry(), samples=stalled))
    (one,) = found.entries
    assert one.ratio == one.new_p50_ms / one.base_p50_ms
    assert one.mean_ratio == one.new_mean_ms / one.base_mean_ms
    assert one.ratio < 0.6 < 1.2 < one.mean_ratio
    assert found.mean_ratio == one.mean_ratio
    offline = entry(scenario="offline", boundary="throughput.host", p50_ms=None)
    base = result("c", offline, samples=times, counts=np.full(400, 8))
    new = result("d", offline, samples=stalled, counts=np.full(400, 8))
    (one,) = api.compare(base, new, drift=0).entries
    assert one.ratio == pytest.approx(one.base_throughput_per_s / one.new_throughput_per_s)
    assert one.ratio > 1.2
    assert one.mean_ratio is None


def test_a_sooner_median_beside_less_in_equal_time_is_unclear_and_says_why(result):
    rate = {"throughput_low_per_s": 99.0, "throughput_high_per_s": 101.0}
    base = result("a", entry(throughput_per_s=100.0, **rate))
    sooner = {"p50_ms": 7.0, "p50_low_ms": 6.9, "p50_high_ms": 7.1}
    slow = {"throughput_per_s": 60.0, "throughput_low_per_s": 59.0, "throughput_high_per_s": 61.0}
    (one,) = api.compare(base, result("b", entry(**sooner, **slow))).entries
    assert (one.typical_verdict, one.mean_verdict, one.verdict) == ("FASTER", "SLOWER", "UNCLEAR")
    assert "FASTER" in one.reasons[0]
    assert "SLOWER" in one.reasons[0]
    both = api.compare(base, result("c", entry(**sooner, throughput_per_s=160.0,
        throughput_low_per_s=158.0, throughput_high_per_s=162.0)))  # fmt: skip
    assert both.verdict == "FASTER"


def test_offline_compares_throughputs_the_right_way_round(result):
    offline = {"scenario": "offline", "boundary": "throughput.host", "p50_ms": None}
    figures = {"throughput_per_s": 100.0, "throughput_low_per_s": 99.0}
    base = result("base", entry(**offline, **figures, throughput_high_per_s=101.0))
    new = result(
        "new",
        entry(
            **offline, throughput_per_s=50.0, throughput_low_per_s=49.5, throughput_high_per_s=50.5
        ),
    )
    document = api.compare(base, new)
    assert document.ratio == pytest.approx(2.0)
    assert document.verdict == "SLOWER"


def test_another_machine_is_refused_and_the_keys_are_named(result):
    other = Environment(identity={"cpu": "A CPU", "versions": {"openvino": "2025.4"}}, observed={})
    with pytest.raises(BadInput, match=r"unlike machines: versions.openvino: 2026.1, 2025.4"):
        api.compare(result("a", entry()), result("b", entry(), environment=other))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boundary": "latency.e2e"}, "boundary: latency.host, latency.e2e"),
        ({"scenario": "offline"}, "scenario: single-stream, offline"),
        ({"batch": 4}, "batch: 1, 4"),
        ({"threads": 2}, "threads: None, 2"),
        ({"rate": 30}, "rate: None, 30"),
    ],
)
def test_unlike_conditions_are_refused_and_named(result, changes, words):
    with pytest.raises(BadInput, match=words):
        api.compare(result("a", entry()), result("b", entry(**changes)))


def test_one_entry_each_may_differ_in_target_variant_and_compute(result):
    document = api.compare(
        result("a", entry()), result("b", entry(variant="int8-u8s8", target="onnxruntime:cpu"))
    )
    assert document.differences == (
        "target: openvino:cpu, onnxruntime:cpu",
        "variant: fp32, int8-u8s8",
    )


def test_nothing_in_common_is_refused_and_what_has_no_partner_is_said(result):
    both = result("both", entry(), entry(variant="int8-u8s8"))
    with pytest.raises(BadInput, match="no entry of the same conditions in common"):
        api.compare(both, result("other", entry(compute="bf16")))
    document = api.compare(both, result("one", entry()))
    assert document.missing == (f"Only {both} has int8-u8s8 on openvino:cpu in fp32, batch 1.",)


def test_the_worst_entry_decides(result):
    base = result("a", entry(), entry(batch=4))
    new = result(
        "b",
        entry(p50_ms=5.0, p50_low_ms=4.9, p50_high_ms=5.1),
        entry(batch=4, p50_ms=20.0, p50_low_ms=19.0, p50_high_ms=21.0),
    )
    document = api.compare(base, new)
    assert [one.verdict for one in document.entries] == ["FASTER", "SLOWER"]
    assert (document.verdict, document.ratio) == ("SLOWER", pytest.approx(2.0))


def test_an_invalid_entry_proves_nothing_whatever_its_ratio(result):
    busy = entry(p50_ms=30.0, p50_low_ms=29.9, p50_high_ms=30.1, valid=False, reasons=("Busy.",))
    document = api.compare(result("a", entry()), result("b", busy))
    assert document.verdict == "INVALID"
    assert not document.entries[0].valid
    assert document.ratio == pytest.approx(3.0)
    assert document.ratio_low is None
    assert "INVALID, so nothing is proven: Busy." in " ".join(document.entries[0].reasons)


def test_another_tools_figure_without_an_interval_is_unclear(result):
    bare = entry(tool="trtexec", p50_low_ms=None, p50_high_ms=None, p50_ms=20.0)
    document = api.compare(result("a", entry()), result("b", bare))
    assert document.verdict == "UNCLEAR"
    assert "no interval" in " ".join(document.entries[0].reasons)


def test_a_figure_that_was_refused_is_said(result):
    document = api.compare(result("a", entry()), result("b", entry(p50_ms=None)))
    assert document.ratio is None
    assert "no figure to compare" in " ".join(document.entries[0].reasons)


def test_observed_load_only_warns(result):
    busy = Environment(identity=MACHINE.identity, observed={"load_average": [2.0, 1.0, 1.0]})
    document = api.compare(result("a", entry()), result("b", entry(), environment=busy))
    assert document.differences == ("load_average: [0.1, 0.1, 0.1], [2.0, 1.0, 1.0]",)


def test_a_file_that_is_no_result_is_refused(tmp_path, result):
    with pytest.raises(BadInput, match="nothing cannot be read: no such file"):
        api.compare(str(tmp_path / "nothing"), result("a", entry()))


@pytest.mark.parametrize("wrong", [{"drift": -0.1}, {"margin": 0}, {"confidence": 1.0}])
def test_a_share_out_of_its_range_is_refused(result, wrong):
    one = result("a", entry())
    with pytest.raises(BadInput, match="from 0 to below 1"):
        api.compare(one, one, **wrong)
