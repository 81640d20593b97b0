"""What is read in ten seconds is made of figures, and never greener than they are."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from edgekit.benchmarks.report.summary import alike, lead, side_by_side, times_as_fast
from edgekit.core.certificate import Check
from edgekit.core.documents import Environment


def test_the_choice_its_target_and_its_reasons_are_told(make):
    told = lead(make["subject"]())
    assert told.headline == "Ship int8-u8s8 in fp32 on openvino:cpu"
    assert told.verdict == "PASS"
    text = " ".join(told.why)
    assert "5.00 ms at the median (95 % interval 4.90–5.15)" in text
    assert "2.00 times as fast as fp32 there (1.93–2.07)" in text
    assert "mAP50-95 is 0.338 (0.300–0.370) on 64 images" in text
    assert "a drop of 0.40 points (95 % interval of the drop −0.20 to +0.90; 1 allowed)" in text
    assert "All 8 checks pass." in text
    assert told.cautions == []


def test_a_slower_choice_is_said_to_be_slower(make):
    entries = [make["entry"](p50=5.0), make["entry"]("fp16", p50=10.0)]
    assert "2.00 times as long as fp32 there" in " ".join(lead(make["subject"](entries)).why)


def test_intervals_that_meet_are_no_equality(make):
    """Red where any overlap was "as fast as fp32 there"."""
    meets = make["entry"]("fp16", p50=10.1)
    why = " ".join(lead(make["subject"]([make["entry"](p50=10.0), meets])).why)
    assert "as fast as" not in why
    assert "not settled" in why
    narrow = [
        msgspec.structs.replace(
            one, latency=msgspec.structs.replace(one.latency, p50_low_ms=p50, p50_high_ms=p50)
        )
        for one, p50 in ((make["entry"](p50=10.0), 10.0), (meets, 10.1))
    ]
    assert "as fast as fp32 there (0.99 times" in " ".join(lead(make["subject"](narrow)).why)
    invalid = msgspec.structs.replace(narrow[1], valid=False)
    assert "is INVALID" in " ".join(lead(make["subject"]([narrow[0], invalid])).why)


def test_a_choice_that_is_not_settled_is_offered_as_provisional(make):
    subject = make["subject"]()
    best = msgspec.structs.replace(subject.best, settled=False)
    assert "provisionally" in lead(dataclasses.replace(subject, best=best)).headline


def test_a_gain_is_no_drop(make):
    entry = make["entry"]("int8-u8s8", p50=5.0)
    better = msgspec.structs.replace(entry.metric, drop=-0.01, drop_low=-0.02, drop_high=0.0)
    entries = [make["entry"](), msgspec.structs.replace(entry, metric=better)]
    assert "a gain of 1.00 points" in " ".join(lead(make["subject"](entries)).why)


def test_where_nothing_holds_nothing_is_shipped(make):
    told = lead(make["subject"](chosen=None))
    assert told.headline == "Ship nothing yet: no variant holds"
    assert told.verdict == "FAIL"
    assert told.entry is None
    assert told.why == ["Every entry of openvino:cpu fails."]


def test_a_deployment_without_any_entry_says_so(make):
    told = lead(make["subject"]([], recommended=()))
    assert told.why == ["Nothing could be made."]


def test_what_is_not_verified_is_never_green(make):
    entry = make["entry"](
        metric=None, verdict="UNVERIFIED", checks=make["checks"](metric="UNVERIFIED")
    )
    told = lead(make["subject"]([entry], chosen=0))
    assert told.verdict == "UNVERIFIED"
    assert told.headline.endswith(", once its accuracy is checked")
    assert any(line.startswith("UNVERIFIED: metric.") for line in told.cautions)
    assert "7 of 8 checks pass." in told.why
    assert "97.0 % of its answers are the reference's." in told.why


def test_what_the_interval_does_not_prove_is_said(make):
    open_ended = Check(
        verdict="PASS", value=0.4, limit=1.0, proven=False, reason="It may be 1.2 points."
    )
    checks = {**make["checks"](), "metric": open_ended}
    told = lead(make["subject"]([make["entry"](checks=checks)], chosen=0))
    assert told.cautions == ["Not proven: metric. It may be 1.2 points."]


def test_an_invalid_measurement_and_a_damaged_bundle_are_said(make):
    entry = make["entry"](valid=False, reasons=("Others used the CPU.",))
    told = lead(make["subject"]([entry], chosen=0, damage=["card.yaml is missing."]))
    assert any("INVALID" in line and "Others used the CPU." in line for line in told.cautions)
    assert any("do not ship this copy" in line for line in told.cautions)


def test_an_entry_that_was_not_measured_is_shipped_with_a_caution(make):
    told = lead(make["subject"]([make["entry"](latency=None)], chosen=0))
    assert "Its latency is not known." in told.cautions


@pytest.mark.parametrize(
    ("kind", "start"), [("bench", "Smallest median: "), ("eval", "Smallest median: ")]
)
def test_a_result_without_a_certificate_recommends_nothing(make, kind, start):
    told = lead(make["subject"](kind=kind, recommended=(), best=None))
    assert told.headline.startswith("Smallest median: ")
    assert told.verdict == "UNVERIFIED"
    assert "no certificate" in told.cautions[0]
    assert lead(make["subject"]([], kind=kind, recommended=(), best=None)).entry is None


def test_ratios_are_not_made_across_boundaries(make):
    one, other = make["entry"](), make["entry"]("int8-u8s8")
    moved = msgspec.structs.replace(other.latency, boundary="latency.e2e")
    assert times_as_fast(msgspec.structs.replace(other, latency=moved), one) is None
    assert times_as_fast(one, None) is None


def test_unlike_machines_are_named_and_not_compared(make):
    here = make["subject"](name="a")
    machine = Environment(identity={**here.environment.identity, "cpu": "Another"}, observed={})
    there = make["subject"](name="b", environment=machine)
    (reason,) = alike([here, there])
    assert "cpu: A CPU, Another" in reason
    assert not any(
        line.startswith("Smallest median") for line in side_by_side([here, there], [reason])
    )
    (reason,) = alike([here, make["subject"](name="c", environment=None)])
    assert reason == "The machine behind c is not known."


def test_like_machines_are_compared(make):
    slow = make["subject"]([make["entry"](), make["entry"]("int8-u8s8", p50=8.0)], name="slow")
    quick = make["subject"](name="quick")
    assert alike([slow, quick]) == []
    said = side_by_side([slow, quick], [])
    assert said[0].startswith(
        "Smallest median: quick, int8-u8s8 in fp32 on openvino:cpu, at 5.00 ms"
    )
    assert "1.60 times as long" in said[0]
    assert said[1].startswith("Most accurate: ")


def test_unlike_scores_are_not_compared(make):
    entry = make["entry"]()
    other = msgspec.structs.replace(entry, metric=msgspec.structs.replace(entry.metric, n=500))
    said = side_by_side(
        [make["subject"]([entry], chosen=0), make["subject"]([other], chosen=0)], []
    )
    assert any("not compared: mAP50-95 on 64 images, mAP50-95 on 500 images" in one for one in said)
