"""Tables fit 80 columns, say in words what failed, and never paint UNVERIFIED green."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from edgekit.cli.catalogue import COMMANDS
from edgekit.cli.show import show
from edgekit.cli.show.text import interval, milliseconds, points, size
from edgekit.core.certificate import Check
from edgekit.core.documents import DOCUMENTS

replace = msgspec.structs.replace
GREEN, RED, YELLOW = "\x1b[32m", "\x1b[31m", "\x1b[33m"


def shown(document, *, colour=False, width=80):
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        highlight=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
    )
    show(document, console)
    return stream.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_document_is_shown_within_80_columns(samples, kind_of, name):
    text = shown(samples[kind_of(name)])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert len(text) > 20


def test_every_document_has_a_printer(samples):
    assert set(DOCUMENTS) - {"error", "demo-health", "demo-state", "demo-frame"} == set(samples)


def test_the_deploy_table_has_one_line_an_entry_and_marks_the_recommended(make):
    document = make["deploy"]()
    lines = shown(document).splitlines()
    rows = [line for line in lines if "fp32" in line and ("(" in line or "–" in line)]
    assert sum("12.0 (11.8–13.2)" in row for row in rows) == 1
    assert next(row for row in rows if "12.0 (" in row).startswith("★ fp32")
    int8 = next(row for row in rows if "int8-u8s8" in row and "24.1 (" in row)
    assert not int8.startswith("★")
    assert int8.split()[:3] == ["int8-u8s8", "fp32", "FAIL"]
    # metric, drop in points, agreement, p50, its interval, speed against fp32, size
    assert int8.split()[3:] == [
        "0.001",
        "33.9",
        "0.950",
        "24.1",
        "(23.6–26.5)",
        "0.50",
        "3.7",
        "MB",
    ]


def test_columns_of_two_targets_stand_below_each_other(make):
    lines = shown(make["deploy"]()).splitlines()
    ends = {len(line) for line in lines if line.rstrip().endswith("MB")}
    assert len(ends) == 1


def test_what_fails_is_said_in_words(make):
    text = " ".join(shown(make["deploy"]()).split())
    assert (
        "FAIL int8-u8s8 on onnxruntime:cpu in fp32: metric: mAP50-95 drops by 33.9 points, more "
        "than the limit of 1.0."
    ) in text


def test_an_entry_that_broke_is_said_in_words(make):
    broken = make["deploy_entry"](
        "openvino:cpu", "fp16", "fp16", verdict="FAIL", error="The engine refused node X.",
        checks={}, metric=None, latency=None,
    )  # fmt: skip
    text = shown(make["deploy"](entries=(broken,)))
    assert "FAIL fp16 on openvino:cpu in fp16: The engine refused node X." in text


def test_a_target_without_a_variant_to_ship_is_red(make):
    nothing = make["choice"]("openvino:cpu", None, "Every variant fails.")
    text = shown(make["deploy"](recommended=(nothing,), best=None), colour=True)
    assert f"{RED}openvino:cpu: no variant to ship. Every variant fails." in text


def test_unverified_is_yellow_and_never_green(make):
    check = Check(verdict="UNVERIFIED", reason="No labelled data was given.")
    entry = make["deploy_entry"](
        "openvino:cpu", "fp32", "fp32", verdict="UNVERIFIED", checks={"metric": check}, metric=None
    )
    document = make["deploy"](
        entries=(entry,), verdict="UNVERIFIED", reference_metric=None,
        recommended=(make["choice"]("openvino:cpu"),),
    )  # fmt: skip
    text = shown(document, colour=True)
    assert GREEN not in text
    assert f"{YELLOW}UNVERIFIED" in text
    assert "UNVERIFIED for every entry: metric: No labelled data was given." in shown(document)


def test_pass_is_green(make):
    assert f"{GREEN}PASS" in shown(make["deploy"](), colour=True)


def test_what_is_not_proven_and_what_is_not_valid_is_said(make):
    unproven = Check(verdict="PASS", value=0.5, limit=1.0, proven=False)
    entry = make["deploy_entry"](
        "openvino:cpu", "fp32", "fp32", checks={"metric": unproven},
        valid=False, reasons=("the clock was throttled",),
    )  # fmt: skip
    text = " ".join(shown(make["deploy"](entries=(entry,))).split())
    assert "not proven by the interval: metric (1)" in text
    assert "INVALID measurement of fp32 on openvino:cpu in fp32: the clock was throttled" in text


def test_both_ratios_stand_beside_the_figures_that_they_are_made_of(samples, make):
    """Red where the table held medians and the verdict was of something else."""
    lines = shown(samples["compare"]).splitlines()
    (median,) = [line.split() for line in lines if line.startswith("p50")]
    (mean,) = [line.split() for line in lines if line.startswith("mean")]
    assert median[:4] == ["p50", "SLOWER", "1.052", "1.041–1.063"]
    assert mean[:4] == ["mean", "SLOWER", "1.061", "1.043–1.079"]
    invalid = make["compared_entry"](
        verdict="INVALID", valid=False, typical_verdict=None, mean_verdict=None, reasons=("Busy.",)
    )
    text = shown(replace(samples["compare"], verdict="INVALID", entries=(invalid,)))
    assert "SLOWER" not in text
    assert "Busy." in text


def test_what_is_provisional_is_not_called_recommended(make):
    document = make["deploy"]()
    settle = "edgekit bench a --against b"
    choices = tuple(
        replace(one, settled=False, settle=(settle,), reason=f"not settled: {settle}")
        for one in document.recommended
    )
    text = shown(replace(document, recommended=choices, best=choices[0]))
    assert "★" not in text
    assert "☆ provisional" in text
    assert settle in " ".join(text.split())


def test_a_page_ships_provisionally_what_is_not_settled(samples):
    document = samples["report"]
    choices = tuple(replace(one, settled=False) for one in document.recommended)
    assert "provisionally" not in shown(document)
    assert "provisionally" in shown(replace(document, recommended=choices))


def test_the_end_of_a_deploy_is_its_path_on_one_line(make):
    lines = shown(make["deploy"](bundle="my bundles/" + "x" * 90)).splitlines()
    assert lines[-1] == "bundle  my bundles/" + "x" * 90


def test_brackets_in_a_path_are_no_markup(make):
    assert "bundle  b[red]x" in shown(make["deploy"](bundle="b[red]x"))


def test_without_a_metric_its_columns_are_left_out(make):
    entry = make["deploy_entry"]("openvino:cpu", "fp32", "fp32", metric=None)
    assert "drop" not in shown(make["deploy"](entries=(entry,), reference_metric=None))


def test_a_percentile_without_its_samples_is_refused_in_words(samples):
    text = shown(samples["bench"])
    assert "p99 needs 62 more" in text


def test_a_damaged_file_is_red(samples):
    document = replace(samples["verify"], verdict="FAIL", damaged=("main.onnx was changed.",))
    assert f"{RED}FAIL file: main.onnx was changed." in shown(document, colour=True)


def test_no_color_is_respected(monkeypatch, samples):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    show(samples["deploy"], Console(file=stream, width=80, force_terminal=True))
    assert GREEN not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (milliseconds(None), "–"),
        (milliseconds(float("nan")), "–"),
        (milliseconds(0.0421), "0.042"),
        (milliseconds(3.14159), "3.14"),
        (milliseconds(31.4159), "31.4"),
        (milliseconds(314.159), "314"),
        (interval(1.234, 1.2, 1.3), "1.23 (1.20–1.30)"),
        (interval(1.234, None, None), "1.23"),
        (points(0.0025), "0.25"),
        (points(-0.339), "-33.9"),
        (size(999), "999 B"),
        (size(44_400), "44.4 kB"),
        (size(248_000), "248 kB"),
        (size(999_999), "1.0 MB"),
        (size(3_712_345_000), "3.7 GB"),
    ],
)
def test_figures_have_the_digits_they_deserve(text, expected):
    assert text == expected


def test_the_doctor_shows_cards_and_board_and_that_nobody_tried(samples):
    text = shown(samples["doctor"], width=120)
    for words in (
        "driver       570.124.06",
        "GPU 0        NVIDIA GeForce RTX 4090, compute capability 8.9, 23.4 GiB of 24.0 GiB free",
        "GPU 1        NVIDIA H100 80GB HBM3, MIG",
        "libcudart 12.6.77, libcudnn 9 (package)",
        "JetPack 6.2, L4T 36.4.3",
        "25W, clocks may move",
        "0.0 GiB of 0.0 GiB free",
    ):
        assert words in text
    assert text.count("Read from documented formats, never tried on this hardware.") == 2
    bare = replace(samples["doctor"], nvidia=None, jetson=None)
    assert "never tried" not in shown(bare)
