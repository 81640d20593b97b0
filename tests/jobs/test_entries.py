"""Which variants are tried on which target, in which compute."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput
from edgekit.core.runtime import Probe
from edgekit.core.target import Target
from edgekit.jobs.steps.entries import plan_entries, variants_needed

TARGET = Target("engine", "cpu")
PROBE = Probe(
    "engine:cpu",
    True,
    precisions=("fp32", "fp16", "int8"),
    computes=("fp32", "bf16", "fp16"),
    int8_computes=("fp32", "bf16"),
    dialect="u8s8",
)


def planned(precisions=(), computes=(), probe=PROBE):
    return [
        (plan.variant, plan.compute)
        for plan in plan_entries([(TARGET, probe)], precisions, computes)
    ]


def test_by_default_everything_worth_trying_is_tried():
    assert planned() == [
        ("fp32", "fp32"),
        ("fp32", "bf16"),
        ("fp32", "fp16"),
        ("fp16", "fp16"),
        ("int8-u8s8", "fp32"),
        ("int8-u8s8", "bf16"),
    ]


def test_what_is_asked_for_is_tried():
    assert planned(["int8"], ["fp16"]) == [("int8-u8s8", "fp16")]
    assert planned(["fp32"], ["bf16"]) == [("fp32", "bf16")]


def test_the_dialect_of_another_engine_is_tried_by_its_name():
    assert planned(["int8-s8s8", "int8"], ["fp32"]) == [
        ("int8-s8s8", "fp32"),
        ("int8-u8s8", "fp32"),
    ]
    assert planned(["int8", "int8-u8s8"], ["fp32"]) == [("int8-u8s8", "fp32")]


def test_fp16_is_simulated_by_its_name_where_a_target_does_not_compute_in_it():
    """ONNX Runtime's GPU and its providers name fp16 and one compute: they had no plan for it."""
    plain = {"computes": ("fp32",), "dialect": "u8s8"}
    without = Probe("engine:cpu", True, precisions=("fp32", "int8"), **plain)
    assert planned(["fp16"], probe=without) == [("fp16", "fp32")]
    assert ("fp16", "fp32") not in planned(probe=without)
    by_types = Probe("engine:cpu", True, precisions=("fp32", "fp16"), **plain)
    assert planned(probe=by_types) == [("fp32", "fp32"), ("fp16", "fp32")]


def test_where_the_graph_s_types_decide_each_variant_has_its_own_compute():
    typed = Probe(
        "engine:cpu",
        True,
        precisions=("fp32", "fp16", "int8"),
        computes=("fp32", "tf32", "fp16"),
        int8_computes=("fp32",),
        typed=True,
        dialect="s8s8",
    )
    assert planned(probe=typed) == [
        ("fp32", "fp32"),
        ("fp32", "tf32"),
        ("fp16", "fp16"),
        ("int8-s8s8", "fp32"),
    ]


@pytest.mark.parametrize(
    ("precisions", "computes", "words"),
    [
        (["int9"], [], "'int8'"),
        ([], ["bf15"], "'bf16'"),
    ],
)
def test_an_unknown_word_gets_the_closest(precisions, computes, words):
    with pytest.raises(BadInput, match=words):
        planned(precisions, computes)


def test_what_the_target_lacks_is_refused_and_not_repaired():
    poor = Probe("engine:cpu", True, precisions=("fp32",), computes=("fp32",))
    with pytest.raises(BadInput, match="does not run int8"):
        planned(["int8"], probe=poor)
    with pytest.raises(BadInput, match="cannot compute in bf16"):
        planned(computes=["bf16"], probe=poor)


def test_fp32_is_always_written_and_each_variant_once():
    plans = plan_entries([(TARGET, PROBE)], ["int8"], [])
    assert variants_needed(plans) == ["fp32", "int8-u8s8"]
