"""Literals in other tools' metadata: data, or None; never a crash, never code that runs."""

from __future__ import annotations

import pytest

from edgekit.export.literals import parse_literal


def test_data_is_read():
    assert parse_literal("{0: 'cat', 1: \"o'clock\"}") == {0: "cat", 1: "o'clock"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("-" * 100_000 + "1", id="signs"),
        pytest.param("1" + "0" * 6_000, id="6000-digits"),
        pytest.param("'" + "x" * (1 << 21) + "'", id="large"),
        pytest.param("{[]: 1}", id="list-as-key"),
        pytest.param("open('x')", id="call"),
        pytest.param("'\\udc80'", id="half-a-character"),
        pytest.param("\0", id="nul"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_data_is_none(text):
    assert parse_literal(text) is None
