import pytest

from edgekit.benchmarks.recommend import Candidate, best, recommend
from edgekit.core.certificate import Check
from edgekit.core.documents import DeployEntry
from edgekit.core.measurement import Latency

TARGET = "openvino:cpu"


def candidate(
    variant, p50, *, compute="fp32", verdict="PASS", spread=0.01, failed=(), valid=True, mean=1.0,
    target=TARGET,
):  # fmt: skip
    """`spread` is half of each interval; `mean` is the mean's time over the median's."""
    latency = None
    rate = 1e3 / (p50 * mean) if p50 else None
    if p50 is not None:
        latency = Latency(
            boundary="latency.host",
            n=700,
            p50_ms=p50,
            p50_low_ms=p50 * (1 - spread),
            p50_high_ms=p50 * (1 + spread),
        )
    entry = DeployEntry(
        target=target, variant=variant, compute=compute, verdict=verdict, executed_precision="",
        checks={name: Check(verdict="FAIL", value=None, limit=None) for name in failed},
        metric=None, latency=latency, throughput_per_s=rate,
        throughput_low_per_s=rate and rate * (1 - spread),
        throughput_high_per_s=rate and rate * (1 + spread), size_bytes=1, load_ms=None,
        first_ms=None, rss_peak_bytes=None, energy_j=None, valid=valid,
    )  # fmt: skip
    return Candidate(precision=variant.split("-")[0], entry=entry)


def settling(new, base):
    return f"settle {new.variant} {new.target} against {base.variant} {base.target}"


def choice(*candidates):
    return recommend(TARGET, candidates, settling)


def chosen(*candidates):
    found = choice(*candidates)
    return found.variant, found.compute, found.reason


def test_the_fastest_that_passes_is_recommended():
    variant, compute, reason = chosen(
        candidate("fp32", 10), candidate("fp32", 7, compute="bf16"), candidate("int8-u8s8", 3)
    )
    assert (variant, compute) == ("int8-u8s8", "fp32")
    assert "fastest of the 3" in reason
    assert "fp32 in bf16" in reason


def test_a_fail_is_never_recommended_however_fast():
    assert chosen(candidate("fp32", 10), candidate("int8-u8s8", 3, verdict="FAIL"))[0] == "fp32"


def test_a_pass_is_preferred_over_what_is_not_verified():
    assert (
        chosen(candidate("fp32", 10), candidate("int8-u8s8", 3, verdict="UNVERIFIED"))[0] == "fp32"
    )
    variant, _, reason = chosen(candidate("int8-u8s8", 3, verdict="UNVERIFIED"))
    assert variant == "int8-u8s8"
    assert "nothing proves its accuracy" in reason


def test_int8_that_is_shown_to_be_no_faster_is_advised_against():
    found = choice(
        candidate("fp32", 14, spread=0.002),
        candidate("fp32", 9.1, compute="bf16", spread=0.002),
        candidate("int8-u8s8", 9.0, spread=0.002),
    )
    assert (found.variant, found.compute, found.settled) == ("fp32", "bf16", True)
    assert "do not quantize here" in found.reason
    assert "1.011 (" in found.reason


@pytest.mark.parametrize(
    "other",
    [
        # Intervals that overlap, which was called as fast: 2.96 times the median, in one case.
        candidate("fp32", 10, spread=0.3),
        candidate("fp32", 27, spread=0.8),
        # A median that is close, with an interval that reaches beyond the margin.
        candidate("fp32", 9.1, spread=0.04),
        # Far away, and INVALID: it settles nothing.
        candidate("fp32", 30, valid=False),
        candidate("fp32", None),
        # Slower at the median, and more in equal time.
        candidate("fp32", 10, mean=0.5),
    ],
)
def test_what_the_figures_do_not_show_is_not_settled(other):
    """Red where overlapping intervals were equality and INVALID measurements counted."""
    found = choice(other, candidate("int8-u8s8", 9))
    assert (found.variant, found.settled) == ("int8-u8s8", False)
    assert found.settle == (f"settle fp32 {TARGET} against int8-u8s8 {TARGET}",)
    assert found.settle[0] in found.reason
    assert "not settled" in found.reason
    assert "as fast" not in found.reason


def test_every_open_pair_has_its_command_and_the_nearest_is_named_first():
    found = choice(
        candidate("fp16", 10, spread=0.3),
        candidate("fp32", 9.5, spread=0.3),
        candidate("int8-u8s8", 9),
    )
    assert [one.split()[1] for one in found.settle] == ["fp32", "fp16"]
    assert "1 more" in found.reason


def test_the_only_entry_that_holds_needs_no_measurement_to_be_the_choice():
    found = choice(candidate("fp32", 30, valid=False), candidate("fp16", 3, verdict="FAIL"))
    assert (found.variant, found.settled, found.settle) == ("fp32", True, ())


def test_of_several_that_are_as_fast_the_most_faithful_is_taken():
    variant, compute, reason = chosen(
        candidate("fp32", 10, compute="bf16", spread=0.002),
        candidate("fp32", 10.1, spread=0.002),
        candidate("fp16", 10.2, spread=0.002),
    )
    assert (variant, compute) == ("fp32", "fp32")
    assert "nothing is gained by fp32 in bf16" in reason


def test_a_target_where_everything_fails_has_no_recommendation_but_reasons():
    variant, compute, reason = chosen(
        candidate("fp32", 10, verdict="FAIL", failed=("parity",)),
        candidate("int8-u8s8", 3, verdict="FAIL", failed=("metric", "agreement")),
    )
    assert variant is compute is None
    assert "int8-u8s8 in fp32: metric, agreement" in reason
    assert chosen()[0] is None


def test_without_a_measurement_the_most_faithful_is_offered():
    found = choice(candidate("int8-u8s8", None), candidate("fp32", None))
    assert (found.variant, found.settled) == ("fp32", False)


def of_targets(*several):
    recommended = [
        recommend(target, [one for one in several if one.entry.target == target], settling)
        for target in dict.fromkeys(one.entry.target for one in several)
    ]
    return best(recommended, several, settling)


def test_the_best_of_all_targets_is_the_fastest_that_passes():
    several = [
        candidate("fp32", 10, target="onnxruntime:cpu"),
        candidate("int8-u8s8", 5, target="onnxruntime:cpu"),
        candidate("fp32", 8),
        candidate("int8-u8s8", 3, verdict="UNVERIFIED"),
        candidate("fp32", 1, verdict="FAIL", target="null:cpu"),
    ]
    found = of_targets(*several)
    assert (found.target, found.variant) == ("onnxruntime:cpu", "int8-u8s8")
    assert found.settled
    assert "fp32 in fp32 on openvino:cpu" in found.reason
    assert of_targets(several[-1]) is None
    assert best([], [], settling) is None


def test_targets_whose_intervals_overlap_are_not_settled_either():
    found = of_targets(
        candidate("fp32", 10, target="onnxruntime:cpu", spread=0.1), candidate("fp32", 9.5)
    )
    assert (found.target, found.settled) == (TARGET, False)
    assert found.settle == (f"settle fp32 onnxruntime:cpu against fp32 {TARGET}",)
    assert found.settle[0] in found.reason


def test_a_target_that_is_not_settled_leaves_the_whole_open():
    found = of_targets(
        candidate("fp32", 30, target="onnxruntime:cpu"),
        candidate("fp32", 9, valid=False),
        candidate("int8-u8s8", 8, valid=False),
    )
    assert not found.settled
    assert len(found.settle) == 2
    assert all(command in found.reason for command in found.settle)
