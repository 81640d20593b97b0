"""Damaged cards, recipes, bundles and results end in a sentence."""

from __future__ import annotations


def test_damaged_cards_and_recipes_end_in_a_sentence(fuzz):
    fuzz(80, "card", "setting", "recipe")


def test_damaged_bundles_end_in_a_sentence(fuzz):
    fuzz(50, "bundle", "signature", "engines", "decisions")


def test_damaged_results_end_in_a_sentence(fuzz):
    fuzz(30, "results")
