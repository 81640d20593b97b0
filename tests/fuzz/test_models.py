"""Damaged models end in a sentence."""

from __future__ import annotations


def test_damaged_graphs_end_in_a_sentence(fuzz):
    fuzz(80, "onnx", "ultralytics")


def test_damaged_programs_and_weights_end_in_a_sentence(fuzz):
    fuzz(40, "pt2", "weights")
