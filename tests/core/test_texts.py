"""Text that came from elsewhere: numbers in it, and what is no text."""

from __future__ import annotations

import pytest

from edgekit.core.texts import is_text, number, whole_number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "1_0", " 1", "²", "٣", "1" * 5000, str(2**64), "0x10"]
)
def test_a_whole_number_is_digits_that_64_bits_hold(text):
    assert whole_number(text) is None


def test_both_kinds_of_64_bits_are_numbers():
    assert whole_number(str(2**64 - 1)) == number(str(2**64 - 1)) == 2**64 - 1
    assert number(str(-(2**63))) == -(2**63)
    assert number(str(-(2**63) - 1)) is None
    assert number("1e3") == 1000
    assert number("²") is None


def test_a_name_of_bytes_that_are_no_utf_8_is_no_text():
    assert is_text("é")
    assert not is_text(b"caf\xe9".decode("utf-8", "surrogateescape"))
