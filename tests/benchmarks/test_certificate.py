import math

import msgspec
import numpy as np
import pytest

from edgekit.benchmarks.agreement import Agreement
from edgekit.benchmarks.certificate import (
    Figures,
    ShapeCase,
    Simulated,
    certify,
    check_agreement,
    check_confidence_shift,
    check_finite,
    check_metric,
    check_parity,
    check_placement,
    check_repeatable,
    check_shapes,
    compare_runs,
    computed_in,
    entry_precision,
    images_needed,
)
from edgekit.benchmarks.shift import Shift
from edgekit.core.certificate import CHECKS, Limits, Metric
from edgekit.core.parity import ParityMeter, TensorParity
from edgekit.core.runtime import NodePlacement, Placement
from edgekit.core.variant import EntryName

ENTRY = EntryName("onnxruntime:cpu", "fp32", "fp32")
SAME = TensorParity(1e-6, 1e-6, 1.0, 110.0, True)
SHAPES = check_shapes(
    {"logits": 110.0}, [ShapeCase("main", {}, {"logits": 110.0})], limit=80, generated=False
)


def metric(drop=0.001, low=0.0, high=0.004, n=400):
    return Metric(
        name="top1", value=0.7, low=0.65, high=0.75, n=n, drop=drop, drop_low=low, drop_high=high
    )


def agree(value=0.97, low=0.95, n=400, unit="images"):
    return Agreement(value=value, low=low, high=1.0, n=n, unit=unit)


def nodes(*rows):
    """Rows of device, precision, FLOPs."""
    return Placement(tuple(NodePlacement(f"n{i}", "Conv", *row) for i, row in enumerate(rows)))


def figures(**changes):
    good = {
        "outputs": {"logits": SAME},
        "metric": metric(),
        "agreement": agree(),
        "shift": Shift(median=-0.001, p90=0.01, n=400),
        "placement": nodes(("cpu", "fp32", 100)),
        "differing": 0,
        "difference": 0.0,
    }
    return Figures(**{**good, **changes})


def judge(found, entry=ENTRY, limits=None, **options):
    good = {"task": "classification", "precision": "fp32", "devices": ("cpu",), "shapes": SHAPES}
    return certify(entry, found, limits or Limits(), **{**good, **options})


def test_a_good_entry_passes_all_eight_checks_in_their_order():
    found = judge(figures())
    assert tuple(found.checks) == CHECKS
    assert found.verdict == "PASS"
    assert {check.verdict for check in found.checks.values()} == {"PASS"}
    assert found.executed_precision == "fp32"


def off_at(batch, sqnr_db, noise_db=None):
    """The check of a graph that is right at a batch of 1 and off at another."""
    noise = {} if noise_db is None else {"logits": noise_db}
    cases = [
        ShapeCase("main", {"batch": 1}, {"logits": 110.0}),
        ShapeCase("main", {"batch": batch}, {"logits": sqnr_db}, noise),
    ]
    return check_shapes({"logits": sqnr_db}, cases, limit=80, generated=True)


BROKEN = {
    "finite": {"outputs": {"logits": TensorParity(math.inf, math.inf, 0.0, -300.0, False)}},
    "parity": {"outputs": {"logits": TensorParity(1.0, 0.1, 0.99, 42.0, True)}},
    "metric": {"metric": metric(drop=0.02)},
    "agreement": {"agreement": agree(value=0.6)},
    "confidence_shift": {"shift": Shift(median=-0.2, p90=0.3, n=400)},
    "placement": {"placement": nodes(("cpu", "fp32", 90), ("gpu", "fp32", 10))},
    "repeatable": {"differing": 3, "difference": 0.1},
    "shapes": {},
}


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_alone_turns_red(name):
    shapes = off_at(3, 2.0) if name == "shapes" else SHAPES
    found = judge(figures(**BROKEN[name]), shapes=shapes)
    assert [n for n, check in found.checks.items() if check.verdict == "FAIL"] == [name]
    assert found.verdict == "FAIL"
    assert found.checks[name].reason.endswith(".")
    assert found.checks[name].value is not None
    assert found.checks[name].limit is not None


def test_what_is_made_of_nan_is_not_judged_further():
    found = judge(figures(**BROKEN["finite"], metric=metric(drop=0.7), agreement=agree(value=0.0)))
    verdicts = {name: check.verdict for name, check in found.checks.items()}
    assert verdicts == {
        "finite": "FAIL",
        "parity": "UNVERIFIED",
        "metric": "UNVERIFIED",
        "agreement": "UNVERIFIED",
        "confidence_shift": "UNVERIFIED",
        "placement": "PASS",
        "repeatable": "PASS",
        "shapes": "PASS",
    }
    assert found.checks["metric"].value == pytest.approx(70)


def test_a_graph_that_is_off_at_one_size_fails_and_the_size_is_named():
    found = off_at(3, 2.0)
    assert (found.verdict, found.value) == ("FAIL", 2.0)
    assert "batch=3" in found.reason
    assert "generated" in found.reason
    assert [case["axes"] for case in found.details["sizes"]] == [{"batch": 1}, {"batch": 3}]


def test_an_error_that_rounding_makes_of_the_source_too_is_not_judged():
    assert off_at(3, 12.0, noise_db=20.0).verdict == "UNVERIFIED"
    assert off_at(3, 12.0, noise_db=90.0).verdict == "FAIL"
    assert off_at(3, -300.0, noise_db=20.0).verdict == "FAIL"


def test_a_size_without_an_answer_to_compare_with_leaves_the_graph_unverified():
    case = ShapeCase("main", {"batch": 1}, {"logits": 110.0})
    found = check_shapes(
        {"logits": 110.0}, [case], limit=80, generated=True, unjudged=["No answer."]
    )
    assert (found.verdict, found.reason) == ("UNVERIFIED", "No answer.")
    assert check_shapes({}, (), limit=80, generated=True).verdict == "UNVERIFIED"


def test_without_labels_the_whole_is_unverified_in_words():
    found = judge(figures(metric=None))
    assert found.verdict == "UNVERIFIED"
    assert "no labelled data" in found.checks["metric"].reason


@pytest.mark.parametrize("task", ["raw", "audio", "text"])
def test_a_raw_model_has_no_agreement_and_no_shift_and_an_unverified_metric(task):
    found = judge(figures(metric=None, agreement=None, shift=None), task=task)
    assert set(CHECKS) - set(found.checks) == {"agreement", "confidence_shift"}
    assert found.checks["metric"].verdict == found.verdict == "UNVERIFIED"
    assert "has no metric" in found.checks["metric"].reason


def test_a_required_proof_turns_an_unproven_pass_red():
    unproven = figures(metric=metric(drop=0.001, high=0.05))
    assert judge(unproven).verdict == "PASS"
    found = judge(unproven, limits=Limits(require_proven=True))
    assert found.checks["metric"].verdict == "FAIL"
    assert "proof" in found.checks["metric"].reason
    assert judge(figures(), limits=Limits(require_proven=True)).verdict == "PASS"


def test_a_certificate_survives_json_with_the_same_figures():
    found = judge(figures(**BROKEN["finite"]))
    again = msgspec.json.decode(msgspec.json.encode(found), type=type(found))
    assert again == found


# Finite and parity


def test_every_output_that_is_not_finite_is_named():
    broken = msgspec.structs.replace(SAME, finite=False)
    found = check_finite({"a": broken, "b": SAME, "c": broken})
    assert (found.verdict, found.value) == ("FAIL", 2)
    assert "'a', 'c'" in found.reason


def test_no_output_is_no_proof():
    assert check_finite({}).verdict == check_parity({}, "fp32", "fp32").verdict == "UNVERIFIED"


@pytest.mark.parametrize(
    ("precision", "compute", "judged_by", "limit"),
    [
        ("fp32", "fp32", "fp32", 80),
        ("fp32", "bf16", "bf16", 20),
        ("fp16", "fp32", "fp16", 30),
        ("int8", "fp32", "int8", 10),
        ("int8", "bf16", "int8", 10),
    ],
)
def test_parity_is_judged_by_the_lowest_precision(precision, compute, judged_by, limit):
    assert entry_precision(precision, compute) == judged_by
    for sqnr, verdict in ((limit, "PASS"), (limit - 0.01, "FAIL")):
        parity = msgspec.structs.replace(SAME, sqnr_db=sqnr)
        found = check_parity({"y": parity}, precision, compute)
        assert (found.verdict, found.limit) == (verdict, limit)


@pytest.mark.parametrize(("asked", "verdict"), [(None, "FAIL"), (19.5, "PASS"), (25.0, "FAIL")])
def test_the_limit_of_parity_is_the_users_where_he_names_one(asked, verdict):
    """A bf16 classifier of 19.7 dB failed by 0.3 dB, and no option touched it."""
    found = figures(
        outputs={"y": msgspec.structs.replace(SAME, sqnr_db=19.7)},
        placement=nodes(("cpu", "bf16", 100)),
    )
    entry = EntryName("openvino:cpu", "fp32", "bf16")
    check = judge(found, entry, Limits(min_parity=asked)).checks["parity"]
    assert (check.verdict, check.limit) == (verdict, 20.0 if asked is None else asked)


def test_parity_judges_the_worst_output_and_tells_all_of_them():
    poor = msgspec.structs.replace(SAME, sqnr_db=5.0)
    found = check_parity({"boxes": SAME, "scores": poor}, "int8", "fp32", broken_node="Conv_7")
    assert found.value == 5
    assert "'scores'" in found.reason
    assert "'Conv_7'" in found.reason
    assert set(found.details["outputs"]) == {"boxes", "scores"}


def test_parity_of_a_lost_shape_has_no_infinite_figure_in_its_details():
    meter = ParityMeter()
    meter.add(np.zeros((2, 3)), np.zeros((3, 2)))
    found = check_parity({"y": meter.result()}, "fp32", "fp32")
    assert found.verdict == "FAIL"
    assert found.details["outputs"]["y"]["max_abs"] is None


# Metric


def test_the_drop_itself_is_judged_and_the_limit_is_within():
    assert check_metric(metric(drop=0.01), 1.0, task="classification").verdict == "PASS"
    assert check_metric(metric(drop=0.0101), 1.0, task="classification").verdict == "FAIL"
    assert check_metric(metric(drop=-0.05), 0.0, task="classification").verdict == "PASS"


def test_an_unproven_drop_says_about_how_many_images_are_missing():
    found = check_metric(metric(drop=0.005, high=0.025, n=100), 1.0, task="classification")
    assert (found.verdict, found.proven) == ("PASS", False)
    # The upper half-width of 2 points must shrink to 0.5: sixteen times the images.
    assert found.details["images_missing"] == 1500
    assert "about 1500 more images" in found.reason
    assert check_metric(metric(), 1.0, task="classification").proven is True


def test_no_number_of_images_proves_a_drop_that_is_on_the_limit():
    assert images_needed(metric(drop=0.01, high=0.02), 1.0) is None
    found = check_metric(metric(drop=0.01, high=0.02), 1.0, task="classification")
    assert found.details["images_missing"] is None
    assert images_needed(metric(drop=None, high=None), 1.0) is None
    assert images_needed(metric(drop=0.0, high=0.001, n=50), 1.0) == 50


def test_a_metric_without_a_drop_is_unverified():
    found = check_metric(metric(drop=None, high=None), 1.0, task="detection")
    assert found.verdict == "UNVERIFIED"
    assert "reference" in found.reason


# Agreement and shift


def test_few_detections_prove_no_agreement():
    few = check_agreement(agree(n=199, unit="detections"), 0.85)
    assert (few.verdict, few.proven) == ("PASS", False)
    assert "199 objects; 200" in few.reason
    assert check_agreement(agree(n=200, unit="detections"), 0.85).proven is True
    assert check_agreement(agree(n=50), 0.85).proven is True


def test_an_interval_that_reaches_below_the_limit_proves_no_agreement():
    found = check_agreement(agree(value=0.9, low=0.8), 0.85)
    assert (found.verdict, found.proven) == ("PASS", False)


def test_a_rise_of_confidence_is_a_shift_like_a_fall():
    for median in (-0.06, 0.06):
        assert check_confidence_shift(Shift(median=median, p90=0.1, n=9), 0.05).verdict == "FAIL"
        assert check_confidence_shift(Shift(median=median, p90=0.1, n=9), 0.06).verdict == "PASS"


def test_nothing_to_compare_is_unverified():
    assert check_agreement(None, 0.85).verdict == "UNVERIFIED"
    for shift in (None, Shift(median=None, p90=None, n=0)):
        assert check_confidence_shift(shift, 0.05).verdict == "UNVERIFIED"


# Placement


def place(placement, **options):
    options = {"devices": ("cpu",), "precision": "fp32", "compute": "fp32", **options}
    return check_placement(placement, **options)


def test_a_float_graph_of_an_int8_model_is_named():
    """`int8` was certified though one of its two graphs was float."""
    placement = nodes(("cpu", "int8", 60), ("cpu", "fp32", 40))
    shares = {"encoder": 0.9, "step": 0.0}
    found = place(placement, precision="int8", quantized_share=0.6, quantized_by_graph=shares)
    assert found.verdict == "PASS"
    assert "'step' is float" in found.reason
    assert found.details["quantized_by_graph"] == shares


def test_parity_of_state_that_outgrows_its_ranges_is_not_verified():
    for outputs, verdict in (
        ({"y": SAME}, "UNVERIFIED"),
        ({"y": msgspec.structs.replace(SAME, sqnr_db=5.0)}, "FAIL"),
    ):
        found = check_parity(outputs, "int8", "fp32", growing=["step/h"])
        assert found.verdict == verdict
    assert "step/h" in check_parity({"y": SAME}, "int8", "fp32", growing=["step/h"]).reason


def test_arithmetic_elsewhere_is_a_fail_unless_allowed_and_names_the_node():
    split = nodes(("CPU", "fp32", 75), ("CUDA", "fp32", 25))
    found = place(split)
    assert (found.verdict, found.value, found.limit) == ("FAIL", 0.75, 1.0)
    assert "25.0% of the arithmetic ran on CUDA, 'n1' first" in found.reason
    allowed = place(split, allow_fallback=True)
    assert allowed.verdict == "PASS"
    assert "allowed" in allowed.reason


def test_what_only_moves_data_may_be_elsewhere_and_is_told():
    found = place(nodes(("cuda", "fp32", 10), ("cpu", "int64", 0)), devices=("cuda",))
    assert found.verdict == "PASS"
    assert "1 nodes that only move data" in found.reason
    assert found.details["elsewhere"] == ["n1 (Conv) on cpu"]


def test_a_precision_that_the_engine_does_not_tell_is_unverified():
    compiled = nodes(("ep=QNN", "unknown", 9))
    found = place(compiled, devices=("ep=QNN",))
    assert (found.verdict, found.value) == ("UNVERIFIED", 1.0)
    assert "100.0% of the arithmetic ran in parts that the provider compiled" in found.reason
    # Int8 may be what it runs in: nothing says that it is not.
    int8 = {"devices": ("ep=QNN",), "precision": "int8", "quantized_share": 1.0}
    assert place(compiled, **int8).verdict == "UNVERIFIED"
    assert place(compiled, devices=("ep=QNN",), allow_fallback=True).verdict == "PASS"


def test_what_a_provider_leaves_to_the_cpu_is_a_fail_whatever_it_does_not_tell():
    split = nodes(("ep=QNN", "unknown", 60), ("cpu", "fp32", 40))
    found = place(split, devices=("ep=QNN",))
    assert (found.verdict, found.value) == ("FAIL", 0.6)
    assert "40.0% of the arithmetic ran on cpu" in found.reason


def test_a_graph_without_arithmetic_is_judged_by_its_nodes():
    found = place(nodes(("cpu", "fp32", 0), ("gpu", "fp32", 0)))
    assert (found.verdict, found.value) == ("FAIL", 0.5)


def test_an_engine_that_tells_nothing_is_unverified():
    assert place(None).verdict == place(nodes()).verdict == "UNVERIFIED"


@pytest.mark.parametrize("ran", ["bf16", "fp16", "int8"])
def test_a_precision_below_what_was_asked_is_a_fail(ran):
    found = place(nodes(("cpu", "fp32", 50), ("cpu", ran, 50)))
    assert found.verdict == "FAIL"
    assert f"ran in {ran}" in found.reason


def test_a_compute_that_was_asked_for_and_not_executed_is_a_fail():
    found = place(nodes(("cpu", "fp32", 100)), compute="bf16")
    assert (found.verdict, found.value) == ("FAIL", 0.0)
    assert "bf16, which was asked for" in found.reason
    assert place(nodes(("cpu", "bf16", 90), ("cpu", "fp32", 10)), compute="bf16").verdict == "PASS"


def test_an_fp16_graph_that_ran_in_fp32_passes_nothing_and_fails_nothing():
    assert place(nodes(("cpu", "fp16", 10)), precision="fp16").verdict == "PASS"
    wider = place(nodes(("cpu", "fp32", 10)), precision="fp16")
    assert wider.verdict == "UNVERIFIED"
    assert "does not compute in it" in wider.reason


@pytest.mark.parametrize(
    ("int8", "quantized_share", "verdict"),
    [
        (100, 1.0, "PASS"),
        (60, 0.95, "PASS"),
        (40, 0.95, "FAIL"),
        (40, 0.5, "PASS"),
        (0, 0.9, "FAIL"),
        (0, None, "FAIL"),
        (1, None, "PASS"),
    ],
)
def test_an_int8_graph_must_run_at_least_half_of_its_share_in_int8(int8, quantized_share, verdict):
    placement = nodes(("cpu", "int8", int8), ("cpu", "fp32", 100 - int8))
    found = place(placement, precision="int8", quantized_share=quantized_share)
    assert found.verdict == verdict
    assert found.details["precisions"].get("int8", 0) == int8 / 100


HALF = {"precision": "fp16"}
AT_50 = msgspec.structs.replace(SAME, sqnr_db=50.0)
AT_10 = msgspec.structs.replace(SAME, sqnr_db=10.0)


@pytest.mark.parametrize(
    ("simulated", "verdict", "words"),
    [
        (Simulated(outputs={"logits": AT_50}), "PASS", "simulation"),
        (Simulated(outputs={"logits": AT_10}), "FAIL", "10.0 dB"),
        (
            Simulated({"logits": AT_50}, {"logits": AT_10}, {"a": SAME, "b": AT_10}),
            "UNVERIFIED",
            "b",
        ),
        (
            Simulated(
                {"logits": AT_50},
                {"logits": AT_50},
                {"a": SAME, "b": msgspec.structs.replace(SAME, finite=False)},
            ),
            "UNVERIFIED",
            "'b'",
        ),
        (Simulated(reason="the_z (CumSum) cannot be simulated."), "UNVERIFIED", "the_z"),
    ],
)
def test_fp16_is_judged_by_its_simulation_where_the_engine_computes_wider(
    simulated, verdict, words
):
    found = judge(figures(simulated=simulated), EntryName("ort:cpu", "fp16", "fp32"), **HALF)
    assert found.checks["parity"].verdict == verdict
    assert words in found.checks["parity"].reason
    assert found.checks["placement"].verdict == "UNVERIFIED"
    other = "UNVERIFIED" if simulated.reason else "PASS"
    assert found.checks["metric"].verdict == found.checks["agreement"].verdict == other
    assert found.verdict != "PASS"


def test_the_engine_s_own_answer_counts_beside_the_simulation():
    mine = figures(outputs={"logits": AT_10}, simulated=Simulated(outputs={"logits": SAME}))
    found = judge(mine, EntryName("ort:cpu", "fp16", "fp32"), **HALF)
    assert (found.checks["parity"].verdict, found.checks["parity"].value) == ("FAIL", 10.0)


def test_an_engine_that_computes_in_fp16_is_judged_by_itself():
    assert computed_in("fp16", nodes(("gpu", "fp16", 60), ("gpu", "fp32", 40)))
    assert not computed_in("fp16", nodes(("cpu", "fp32", 60), ("cpu", "fp16", 40)))
    assert not computed_in("fp16", nodes(("npu", "unknown", 100)))


def test_a_dialect_of_another_engine_is_simulated_in_float_and_said_to_be():
    options = {"precision": "int8", "quantized_share": 0.8, "simulated": True}
    found = place(nodes(("cpu", "fp32", 100)), **options)
    assert found.verdict == "UNVERIFIED"
    assert "dialect of another engine" in found.reason
    assert place(nodes(("cpu", "int8", 80), ("cpu", "fp32", 20)), **options).verdict == "PASS"
    # On another device than asked for it is wrong whatever the dialect.
    assert place(nodes(("gpu", "fp32", 100)), **options).verdict == "FAIL"


def test_the_float_remainder_of_an_int8_graph_has_a_compute_too():
    options = {"precision": "int8", "quantized_share": 0.8, "compute": "bf16"}
    assert place(nodes(("cpu", "int8", 80), ("cpu", "bf16", 20)), **options).verdict == "PASS"
    assert place(nodes(("cpu", "int8", 80), ("cpu", "fp32", 20)), **options).verdict == "FAIL"
    # Less than a hundredth is a remainder of no consequence.
    assert place(nodes(("cpu", "int8", 995), ("cpu", "fp32", 5)), **options).verdict == "PASS"
    # Asked for fp32, the remainder may not run in bf16.
    mixed = nodes(("cpu", "int8", 80), ("cpu", "bf16", 20))
    assert place(mixed, precision="int8", quantized_share=0.8).verdict == "FAIL"


# Repeatable


def test_on_a_cpu_every_bit_counts_and_on_a_gpu_a_tolerance():
    assert check_repeatable(0, 0.0).verdict == "PASS"
    assert check_repeatable(1, 1e-9).verdict == "FAIL"
    assert check_repeatable(1, 1e-9, tolerance=1e-6).verdict == "PASS"
    assert check_repeatable(9, 1e-3, tolerance=1e-6).verdict == "FAIL"
    assert check_repeatable(None).verdict == "UNVERIFIED"
    lost = check_repeatable(1, math.inf, tolerance=1e-6)
    assert (lost.verdict, lost.value) == ("FAIL", None)


def test_two_runs_are_compared_bit_by_bit():
    a = {"x": np.array([1.0, np.nan, 0.0], np.float32), "n": np.array([7], np.int64)}
    assert compare_runs(a, {k: v.copy() for k, v in a.items()}) == (0, 0.0)
    b = {"x": np.array([1.5, np.nan, -0.0], np.float32), "n": a["n"]}
    assert compare_runs(a, b) == (2, 0.5)
    assert compare_runs(a, {**a, "x": np.array([1, 2, 0], np.float32)}) == (1, math.inf)


@pytest.mark.parametrize(
    "other",
    [{}, {"x": np.zeros(3, np.float32)}, {"x": np.zeros(2, np.float64)}],
)
def test_runs_of_different_form_are_not_the_same(other):
    differing, difference = compare_runs({"x": np.zeros(2, np.float32)}, other)
    assert differing >= 1
    assert difference == math.inf


def test_outputs_that_are_not_contiguous_or_have_no_axes_are_compared():
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert compare_runs({"x": table.T}, {"x": table.T.copy()}) == (0, 0.0)
    assert compare_runs({"x": np.array(1.0)}, {"x": np.array(2.0)}) == (1, 1.0)
    assert compare_runs({"x": np.zeros((0, 3))}, {"x": np.zeros((0, 3))}) == (0, 0.0)
