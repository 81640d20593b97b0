"""Which entries of a bundle a page looks at closely."""

from __future__ import annotations

import msgspec


def names(subject):
    return [(entry.target, entry.variant, entry.compute) for entry in subject.in_focus()]


def test_the_one_to_ship_comes_first_and_the_smallest_other_after_it(make):
    entries = [make["entry"](), make["entry"]("fp32", "bf16"), make["entry"]("int8-u8s8")]
    assert names(make["subject"](entries, chosen=1)) == [
        ("openvino:cpu", "fp32", "bf16"),
        ("openvino:cpu", "int8-u8s8", "fp32"),
    ]
    assert names(make["subject"](entries, chosen=2)) == [("openvino:cpu", "int8-u8s8", "fp32")]


def test_fp32_is_looked_at_only_where_there_is_nothing_else(make):
    entries = [make["entry"](), make["entry"]("int8-u8s8")]
    assert names(make["subject"](entries, chosen=0)) == [("openvino:cpu", "int8-u8s8", "fp32")]
    assert names(make["subject"](entries[:1], chosen=0)) == [("openvino:cpu", "fp32", "fp32")]


def test_what_could_not_be_run_is_not_looked_at(make):
    refused = msgspec.structs.replace(make["entry"]("int8-u8s8"), checks={}, error="Refused.")
    subject = make["subject"]([make["entry"](), refused], chosen=0)
    assert names(subject) == [("openvino:cpu", "fp32", "fp32")]


def test_every_target_is_looked_at(make):
    entries = [make["entry"](), make["entry"]("int8-u8s8", target="onnxruntime:cpu")]
    assert len(names(make["subject"](entries, chosen=0))) == 2
