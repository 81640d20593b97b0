from edgekit.benchmarks.recommend import Candidate, best, recommend
from edgekit.core.measurement import Latency


def candidate(variant, p50, *, compute="fp32", verdict="PASS", spread=0.01, failed=()):
    latency = None
    if p50 is not None:
        latency = Latency(
            boundary="latency.host",
            n=700,
            p50_ms=p50,
            p50_low_ms=p50 * (1 - spread),
            p50_high_ms=p50 * (1 + spread),
        )
    return Candidate(
        variant=variant,
        precision=variant.split("-")[0],
        compute=compute,
        verdict=verdict,
        latency=latency,
        failed=failed,
    )


def chosen(*candidates):
    found = recommend("openvino:cpu", candidates)
    return found.variant, found.compute, found.reason


def test_the_fastest_that_passes_is_recommended():
    variant, compute, reason = chosen(
        candidate("fp32", 10), candidate("fp32", 7, compute="bf16"), candidate("int8-u8s8", 3)
    )
    assert (variant, compute) == ("int8-u8s8", "fp32")
    assert "fastest of the 3" in reason


def test_a_fail_is_never_recommended_however_fast():
    assert chosen(candidate("fp32", 10), candidate("int8-u8s8", 3, verdict="FAIL"))[0] == "fp32"


def test_a_pass_is_preferred_over_what_is_not_verified():
    assert (
        chosen(candidate("fp32", 10), candidate("int8-u8s8", 3, verdict="UNVERIFIED"))[0] == "fp32"
    )
    variant, _, reason = chosen(candidate("int8-u8s8", 3, verdict="UNVERIFIED"))
    assert variant == "int8-u8s8"
    assert "nothing proves its accuracy" in reason


def test_int8_that_is_no_faster_is_advised_against():
    variant, compute, reason = chosen(
        candidate("fp32", 14),
        candidate("fp32", 9.2, compute="bf16"),
        candidate("int8-u8s8", 9.0),
    )
    assert (variant, compute) == ("fp32", "bf16")
    assert "do not quantize here" in reason
    assert "1.02 times" in reason


def test_overlapping_intervals_are_a_tie_and_narrow_ones_are_not():
    assert (
        chosen(candidate("fp32", 10, spread=0.1), candidate("int8-u8s8", 9, spread=0.1))[0]
        == "fp32"
    )
    assert chosen(candidate("fp32", 10), candidate("int8-u8s8", 9))[0] == "int8-u8s8"


def test_of_several_ties_the_most_faithful_is_taken():
    variant, compute, reason = chosen(
        candidate("fp32", 10, compute="bf16"), candidate("fp32", 10.1), candidate("fp16", 10.2)
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


def test_without_a_measurement_the_most_faithful_is_taken():
    variant, _, reason = chosen(candidate("int8-u8s8", None), candidate("fp32", None))
    assert variant == "fp32"
    assert "Nothing was measured" in reason


def test_the_best_of_all_targets_is_the_fastest_that_passes():
    candidates = {
        "onnxruntime:cpu": [candidate("fp32", 10), candidate("int8-u8s8", 5)],
        "openvino:cpu": [candidate("fp32", 8), candidate("int8-u8s8", 3, verdict="UNVERIFIED")],
        "null:cpu": [candidate("fp32", 1, verdict="FAIL")],
    }
    recommended = [recommend(target, several) for target, several in candidates.items()]
    found = best(recommended, candidates)
    assert (found.target, found.variant) == ("onnxruntime:cpu", "int8-u8s8")
    assert best([recommended[2]], candidates) is None
    assert best([], {}) is None
