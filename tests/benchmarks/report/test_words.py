"""Figures as a reader sees them."""

from __future__ import annotations

import math

import pytest

from edgekit.benchmarks.report import words
from edgekit.core.certificate import CHECKS, Check
from edgekit.core.measurement import Latency


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0386, "0.0386 ms"),
        (5.2149, "5.21 ms"),
        (1240.4, "1,240 ms"),
        (0.0, "0 ms"),
        (None, "–"),
        (math.nan, "–"),
        (1e-9, "0.000000 ms"),
    ],
)
def test_milliseconds_have_three_digits_that_count(value, text):
    assert words.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0025, "0.25"), (-0.0025, "−0.25"), (-0.00001, "0.00"), (None, "–"), (math.inf, "–")],
)
def test_a_drop_is_told_in_points(value, text):
    assert words.points(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (3_712_345, "3.71 MB"), (None, "–"), (8e15, "8,000 TB")],
)
def test_sizes_are_in_powers_of_a_thousand(value, text):
    assert words.size(value) == text


def test_an_interval_with_a_minus_sign_is_not_made_of_dashes():
    assert words.between("0.10", "0.20") == "0.10–0.20"
    assert words.between("−0.10", "0.20") == "−0.10 to 0.20"
    assert words.between("0.00", "+0.01") == "0.00 to +0.01"
    assert words.between("–", "0.20") == ""
    assert words.interval(None) == ""
    assert words.interval(Latency(boundary="latency.host", n=2)) == ""


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_a_title_a_figure_and_a_limit(name):
    check = Check(verdict="PASS", value=0.5, limit=1.0)
    assert all(words.CHECK_TITLES[name])
    assert words.figure(name, check)
    assert words.limit(name, check).startswith("at ")
    assert words.figure(name, Check(verdict="UNVERIFIED")) == "–"
    assert words.limit(name, Check(verdict="UNVERIFIED")) == "–"


def test_an_endless_figure_is_a_sign_and_not_the_word_inf():
    assert words.figure("parity", Check(verdict="PASS", value=math.inf)) == "∞"


def test_characters_that_no_page_can_hold_are_replaced():
    assert words.clean("a\x00b\x1bc\udc80") == "a\ufffdb\ufffdc?"
    assert words.clean("Katze 🐈 <b>\n") == "Katze 🐈 <b>\n"
