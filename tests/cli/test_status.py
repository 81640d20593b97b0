"""Exit statuses by the contract: 0, 1, 2, 3, 130."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.cli.catalogue import COMMANDS
from edgekit.core.errors import BadInput, CheckFailed, MissingLibrary, Unavailable

replace = msgspec.structs.replace


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_done_and_within_budget_is_0(
    invoke, answer, samples, arguments, kind_of, name
):
    answer(name, samples[kind_of(name)])
    assert invoke(name, *arguments[name]).status == 0


@pytest.mark.parametrize("name", ["export", "pack", "quantize", "verify"])
def test_a_failed_verdict_is_1_and_an_unverified_one_is_0(invoke, answer, samples, arguments, name):
    for verdict, status in (("FAIL", 1), ("UNVERIFIED", 0)):
        answer(name, replace(samples[name], verdict=verdict))
        assert invoke(name, *arguments[name]).status == status


def test_a_report_on_a_damaged_bundle_is_1(invoke, answer, samples, arguments):
    answer("report", replace(samples["report"], damaged=("card.yaml is missing.",)))
    outcome = invoke("report", *arguments["report"])
    assert outcome.status == 1
    assert "damaged: card.yaml is missing." in outcome.stdout


def test_debug_parity_is_1_where_parity_fails(invoke, answer, samples, arguments):
    document = samples["parity"]
    answer("debug", replace(document, verdict="FAIL", node=document.largest_loss))
    assert invoke("debug", *arguments["debug"]).status == 1


def test_deploy_is_0_when_a_variant_fails_and_another_one_can_be_shipped(
    invoke, answer, make, arguments
):
    document = make["deploy"]()
    assert any(entry.verdict == "FAIL" for entry in document.entries)
    answer("deploy", document)
    assert invoke("deploy", *arguments["deploy"]).status == 0


def test_deploy_is_1_when_one_target_has_nothing_to_ship(invoke, answer, make, arguments):
    nothing = make["choice"]("openvino:cpu", None, "Every variant fails.")
    answer("deploy", make["deploy"](recommended=(make["choice"]("onnxruntime:cpu"), nothing)))
    assert invoke("deploy", *arguments["deploy"]).status == 1


def test_require_verified_makes_unverified_a_1(invoke, answer, make, arguments):
    answer("deploy", make["deploy"](verdict="UNVERIFIED"))
    assert invoke("deploy", *arguments["deploy"]).status == 0
    assert invoke("deploy", *arguments["deploy"], "--require-verified").status == 1


def test_require_verified_lets_a_pass_pass(invoke, answer, make, arguments):
    answer("deploy", make["deploy"]())
    assert invoke("deploy", *arguments["deploy"], "--require-verified").status == 0


def test_require_verified_makes_packing_what_is_unverified_a_1(invoke, answer, samples, arguments):
    answer("pack", replace(samples["pack"], verdict="UNVERIFIED"))
    assert invoke("pack", *arguments["pack"], "--require-verified").status == 1
    answer("pack", samples["pack"])
    assert invoke("pack", *arguments["pack"], "--require-verified").status == 0


def test_require_valid_makes_an_invalid_measurement_a_1(invoke, answer, samples, make, arguments):
    invalid = make["bench_entry"](valid=False, reasons=("the clock was throttled",))
    answer("bench", replace(samples["bench"], entries=(make["bench_entry"](), invalid)))
    assert invoke("bench", *arguments["bench"]).status == 0
    assert invoke("bench", *arguments["bench"], "--require-valid").status == 1


def test_an_entry_that_brought_no_figures_is_a_1(invoke, answer, samples, make, arguments):
    crashed = make["bench_entry"](n=0, valid=False, reasons=("It died of SIGSEGV.",))
    answer("bench", replace(samples["bench"], entries=(make["bench_entry"](), crashed)))
    assert invoke("bench", *arguments["bench"]).status == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CheckFailed("It failed."), 1),
        (BadInput("It is wrong."), 2),
        (Unavailable("There is no GPU."), 3),
        (MissingLibrary("openvino is not installed."), 3),
        (KeyboardInterrupt(), 130),
        (ValueError("a bug"), 1),
        (EOFError("a truncated file that nobody caught"), 1),
    ],
)
def test_an_error_has_the_status_of_its_kind(invoke, answer, arguments, error, status):
    answer("doctor", error)
    assert invoke("doctor").status == status


@pytest.mark.parametrize(
    "wrong",
    [
        ["doctor", "--nope"],
        ["nope"],
        ["deploy", "model.pt2"],
        ["deploy"],
        ["inspect"],
        ["inspect", "a", "b"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--max-drop", "lots"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--max-drop", "nan"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--max-drop", "-1"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--min-agreement", "1.5"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--threads", "0"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--time", "0"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--time", "inf"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--precision", "int4"],
        ["deploy", "model.pt2", "-o", "b", "--target", "ov:cpu", "--input", "x"],
        ["deploy", "m.pt2", "-o", "b", "--target", "ov:cpu", "--input", "x=1", "--input", "x=2"],
    ],
)
def test_wrong_usage_is_2_and_calls_nothing(invoke, answer, samples, wrong):
    calls = answer(wrong[0], samples[wrong[0]]) if wrong[0] in samples else []
    outcome = invoke(*wrong)
    assert (outcome.status, outcome.stdout, calls) == (2, "", [])
    assert outcome.stderr.startswith("edgekit: ")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("verdict", "low", "conditions", "status"),
    [
        ("SLOWER", 1.041, [], 0),
        ("SLOWER", 1.041, ["slower"], 1),
        ("SLOWER", 1.041, ["slower:3%"], 1),
        # The ratio is 1.052, and that it is above 5 % is not proven.
        ("SLOWER", 1.041, ["slower:5%"], 0),
        ("SAME", 1.002, ["slower"], 0),
        ("UNCLEAR", 0.9, ["slower"], 0),
        ("UNCLEAR", 0.9, ["slower,unclear"], 1),
        ("UNCLEAR", None, ["slower:3%"], 0),
        ("FASTER", 0.9, ["slower", "unclear"], 0),
        # The interval of what is INVALID proves nothing, wherever it lies.
        ("INVALID", 1.041, ["slower", "slower:3%"], 0),
        ("UNCLEAR", 1.041, ["slower:3%"], 0),
        ("INVALID", 1.041, ["unclear"], 1),
    ],
)
def test_fail_on_is_1_for_what_is_proven_alone(
    invoke, answer, samples, arguments, make, verdict, low, conditions, status
):
    entry = make["compared_entry"](verdict=verdict, ratio_low=low)
    answer("compare", replace(samples["compare"], verdict=verdict, entries=(entry,)))
    given = [word for condition in conditions for word in ("--fail-on", condition)]
    assert invoke("compare", *arguments["compare"], *given).status == status


def test_fail_on_by_how_much_takes_both_ratios(invoke, answer, samples, arguments, make):
    for low, status in ((1.02, 0), (1.04, 1)):
        entry = make["compared_entry"](verdict="SLOWER", ratio_low=1.04, mean_ratio_low=low)
        answer("compare", replace(samples["compare"], entries=(entry,)))
        given = ("--fail-on", "slower:3%")
        assert invoke("compare", *arguments["compare"], *given).status == status


def test_bench_against_has_the_same_gate(invoke, answer, samples, arguments):
    calls = answer("bench_against", samples["compare"])
    given = (*arguments["bench"], "--against", "old.onnx")
    assert invoke("bench", *given, "--fail-on", "slower:3%").status == 1
    assert invoke("bench", *given, "--fail-on", "slower:5%", "--time", "3").status == 0
    assert calls[0][0] == ("model.onnx", "old.onnx")
    assert "time" not in calls[0][1]
    assert calls[1][1]["time"] == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--fail-on", "slower"], "--fail-on needs --against"),
        (["--margin", "2%"], "--margin needs --against"),
        (["--against", "b.onnx", "--sweep", "batch=1,2"], "--sweep does not go together"),
        (["--against", "b.onnx", "--require-valid"], "--require-valid does not go together"),
        (["--against", "b.onnx", "--fail-on", "faster"], "none of slower"),
        (["--against", "b.onnx", "--fail-on", "unclear:3%"], "none of slower"),
        (["--against", "b.onnx", "--fail-on", "slower:x"], "none of slower"),
        (["--against", "b.onnx", "--margin", "nan"], "no share"),
    ],
)
def test_options_that_mean_nothing_together_are_2(invoke, arguments, given, words):
    outcome = invoke("bench", *arguments["bench"], *given)
    assert outcome.status == 2
    assert words in " ".join(outcome.stderr.split())
