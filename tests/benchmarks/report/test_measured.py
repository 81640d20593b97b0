"""The page about measurements: nothing left out, nothing flattered, nothing executed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.report.measured import BenchSubject, Compared, render_measured
from edgekit.benchmarks.report.measured_charts import Series, time_chart
from edgekit.benchmarks.report.thinning import apart, thinned
from edgekit.core.documents import (
    BenchDocument,
    BenchEntry,
    ComparedEntry,
    CompareDocument,
    Environment,
    Outliers,
    StageLatency,
)

pytest.importorskip("matplotlib")


def entry(**changes):
    made = BenchEntry(
        target="openvino:cpu", variant="fp32", compute="fp32", executed_precision="fp32",
        scenario="single-stream", boundary="latency.host", valid=True, reasons=(), n=700,
        p50_ms=2.0, p50_low_ms=1.9, p50_high_ms=2.1, p90_ms=2.5, p99_ms=3.0,
        throughput_per_s=500.0, throughput_low_per_s=490.0, throughput_high_per_s=510.0,
        missing={"p999": 5936}, load_ms=44.0, steady=True, stopped_by="interval",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def document(*entries, **changes):
    made = BenchDocument(
        model="model.onnx",
        environment=Environment(identity={"cpu": "A CPU"}, observed={}),
        entries=entries or (entry(),),
        created="2026-11-25T10:00:00+00:00",
    )
    return msgspec.structs.replace(made, **changes)


def series(n=700, seed=0, blocks=2):
    values = np.random.default_rng(seed).normal(2e6, 1e5, n).astype(np.int64)
    sizes = np.full(blocks, n // blocks, np.int64)
    return Series(values, sizes, np.arange(blocks, dtype=np.int64) * 3_000_000_000)


def page(*subjects):
    return render_measured(subjects)


def test_two_entries_that_differ_in_their_batch_alone_both_stand_there():
    text = page(
        BenchSubject("a", document(entry(batch=1, p50_ms=1.11), entry(batch=4, p50_ms=4.44)))
    )
    assert "batch 4" in text
    assert "1.11" in text
    assert "4.44" in text


def test_what_speaks_against_a_figure_stands_first_and_in_words():
    bad = entry(valid=False, reasons=("Other processes used 50% of the CPU.",))
    text = page(BenchSubject("a", document(bad)))
    assert text.index("Other processes used 50% of the CPU.") < text.index("Figures</h3>")
    assert "INVALID" in text
    assert "Nothing speaks against" not in text
    assert "Nothing speaks against" in page(BenchSubject("a", document()))


def test_a_cell_that_failed_is_in_the_table_with_its_sentence():
    dead = entry(
        n=0, valid=False, p50_ms=None, throughput_per_s=None, batch=8, reasons=("It died.",)
    )
    text = page(BenchSubject("a", document(entry(), dead, sweep={"batch": (1, 8)})))
    assert "It died." in text
    assert "batch 8" in text
    assert "Throughput against latency" in text


def test_a_refused_percentile_says_how_many_samples_it_lacks():
    assert "p99.9: 5936" in page(BenchSubject("a", document()))


def test_outliers_are_explained():
    odd = entry(outliers=Outliers(count=2, limit_ms=3.0, advice="2 of 700 samples are far above."))
    assert "2 of 700 samples are far above." in page(BenchSubject("a", document(odd)))


def test_unstable_stretches_are_shaded_and_in_words():
    text = page(BenchSubject("a", document(entry(unstable=((100, 200),))), {0: series()}))
    assert "for 100 samples" in text
    assert "1 unstable stretches" in text
    # What a stranger's document claims beyond its samples is left out.
    wild = entry(unstable=((-5, 10), (650, 99999), (3, 3)))
    assert "Unstable stretches, shaded" not in page(
        BenchSubject("a", document(wild), {0: series()})
    )


def test_samples_above_the_picture_are_counted():
    high = series()
    high.samples_ns[5] = 90_000_000
    text = page(BenchSubject("a", document(), {0: high}))
    assert "1 samples lie above the picture" in text
    assert "The largest is 90.0 ms" in text


def test_missing_samples_are_said():
    text = page(
        BenchSubject("a", document(), {}, ("The raw samples x.npz are missing or damaged.",))
    )
    assert "x.npz are missing or damaged" in text
    assert "nothing can be drawn over time" in text


def test_the_pauses_between_blocks_are_kept_on_the_axis():
    seconds = series(blocks=2).seconds
    assert seconds[0] == 0
    assert seconds[350] == pytest.approx(3.0)
    assert np.all(np.diff(seconds) > 0)


def test_the_steps_of_a_pipeline_are_drawn_and_told():
    steps = {"preprocess": StageLatency(p50_ms=0.5), "inference": StageLatency(p50_ms=1.5)}
    text = page(BenchSubject("a", document(entry(boundary="latency.e2e", stages=steps))))
    assert "From image to result" in text
    assert "preprocess" in text


def test_frames_that_a_camera_gave_in_vain_are_told():
    text = page(
        BenchSubject(
            "a", document(entry(scenario="paced", boundary="age.e2e", rate=60, dropped=1234))
        )
    )
    assert "paced, rate 60" in text
    assert "1,234 left out" in text


def comparison(verdict="SLOWER", **changes):
    one = ComparedEntry(
        base="fp32 on openvino:cpu in fp32, batch 1", new="int8 on openvino:cpu in fp32, batch 1",
        boundary="latency.host", scenario="single-stream", verdict=verdict, ratio=1.08,
        ratio_low=1.05, ratio_high=1.11, confidence=0.99, paired=True, base_n=100, new_n=100,
        blocks=20, reasons=("The time was up.",),
    )  # fmt: skip
    made = CompareDocument(
        base="old.onnx", new="new.onnx", verdict=verdict, ratio=1.08, ratio_low=1.05,
        ratio_high=1.11, differences=("variant: fp32, int8",), entries=(one,),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def test_a_comparison_says_its_verdict_in_words_first():
    text = page(Compared("a", comparison(), {"0-base": series(seed=1), "0-new": series(seed=2)}))
    assert "The new one is slower: it takes 8.0 % more time than the base" in text
    assert text.index("The new one is slower") < text.index("Time of the new over time of the base")
    assert "variant: fp32, int8" in text
    assert "The time was up." in text


def test_the_margin_is_the_one_that_was_asked_for():
    text = page(Compared("a", comparison("SAME", margin=0.01)))
    assert "the band 1 % around it" in text
    assert "Both take the same time within 1 %" in text


@pytest.mark.parametrize("verdict", ["FASTER", "SAME", "UNCLEAR"])
def test_every_verdict_has_its_words(verdict):
    assert verdict in page(Compared("a", comparison(verdict)))


def test_a_comparison_without_a_ratio_claims_nothing():
    text = page(Compared("a", comparison("UNCLEAR", ratio=None, ratio_low=None, entries=())))
    assert "No ratio could be measured." in text


def test_texts_from_anywhere_stay_texts():
    evil = "<script>alert(1)</script>"
    text = page(
        BenchSubject(evil, document(entry(target=evil, reasons=(evil,), valid=False), model=evil)),
        Compared(evil, comparison(differences=(evil,))),
    )
    assert "<script>alert" not in text
    assert text.count("<script>") == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=400), st.integers(1, 50))
def test_thinning_keeps_the_smallest_and_the_largest(values, columns):
    y = np.array(values, np.float64)
    found = thinned(np.cumsum(y), y, columns)
    assert found.x.size <= columns
    assert found.low.min() == y.min()
    assert found.high.max() == y.max()
    assert np.all(found.low <= found.middle)
    assert np.all(found.middle <= found.high)


def test_a_hundred_thousand_samples_make_a_small_picture():
    drawn = time_chart(series(100_000), (), width=760, name="t", title="t")
    assert len(drawn) < 200_000


def test_no_line_is_drawn_across_a_pause():
    found = apart(thinned(series(blocks=2).seconds, np.ones(700), 300))
    assert np.isnan(found.middle).sum() == 1
    assert np.isnan(apart(thinned(series(blocks=1).seconds, np.ones(700), 300)).middle).sum() == 0


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A page with everything that one can hold."""
    steps = {"preprocess": StageLatency(p50_ms=0.5), "inference": StageLatency(p50_ms=1.5)}
    entries = (
        entry(unstable=((100, 200),), outliers=Outliers(count=2, advice="2 are far above.")),
        entry(batch=4, stages=steps, p50_ms=5.0),
        entry(batch=8, n=0, valid=False, p50_ms=None, reasons=("It died.",)),
    )
    bench = document(*entries, sweep={"batch": (1, 4, 8)})
    path = tmp_path_factory.mktemp("page") / "measured.html"
    sides = {"base": series(seed=1), "new": series(seed=2)}
    path.write_text(
        page(
            BenchSubject("a", bench, {0: series(), 1: series(seed=3)}),
            Compared("b", comparison(), sides),
        )
    )
    return path


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation(browser, shown, dark):
    browser.open(shown, dark=dark)
    assert browser.violations() == []
    assert browser.complaints() == []
    assert all(address.startswith("file:") for address in browser.requests())


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_no_width_makes_the_page_wider_than_the_window(browser, shown, width):
    browser.open(shown, width=width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
