"""JSON from anyone: one reader, bounded, and nothing that two readers could take differently."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json, read_json


class Row(msgspec.Struct, frozen=True):
    count: int
    sizes: tuple[int, ...] = ()
    by_index: dict[int, float] = {}

    def __post_init__(self):
        if self.count < 0:
            raise ValueError("count must not be negative")


def test_a_record_is_read_and_checked():
    row = parse_json(b'\xef\xbb\xbf{"count": 1, "sizes": [2], "by_index": {"3": 4}}', "r.json", Row)
    assert row == Row(1, (2,), {3: 4.0})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("[" * 100_000, "deep", id="recursion"),
        pytest.param("[" * 100 + "]" * 100, "deep", id="deep"),
        pytest.param('{"a": 1, "a": 2}', "'a' twice", id="key-twice"),
        pytest.param('[{"b": {"a": 1, "a": 1}}]', "'a' twice", id="key-twice-inside"),
        pytest.param("[NaN]", "NaN", id="nan"),
        pytest.param("-Infinity", "Infinity", id="infinity"),
        pytest.param("1e999", "64 bits", id="overflow"),
        pytest.param("1" + "0" * 6_000, "64 bits", id="6000-digits"),
        pytest.param("18446744073709551616", "64 bits", id="65-bits"),
        pytest.param('"\\ud800"', "no text", id="half-a-character"),
        pytest.param('{"\\u0000": 1}', "no text", id="nul-in-a-key"),
        pytest.param(b'"\xff"', "UTF-8", id="no-utf-8"),
        pytest.param(b"\xff\xfe{", "UTF-8", id="half-utf-16"),
        pytest.param('{"a": 1} {}', "no JSON", id="two-documents"),
        pytest.param("", "no JSON", id="empty"),
    ],
)
def test_what_is_not_believed_is_one_sentence(content, why):
    with pytest.raises(BadInput) as refused:
        parse_json(content, "r.json")
    assert refused.value.message.startswith("r.json")
    assert why in refused.value.message
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    "content", ['{"count": "x"}', '{"count": -1}', "[]", "{}", '{"count": 1, "sizes": 3}']
)
def test_another_form_is_one_sentence(content):
    with pytest.raises(BadInput, match=r"^r\.json is damaged"):
        parse_json(content, "r.json", Row)


def test_texts_of_any_language_and_numbers_of_64_bits_pass():
    content = '["\\ud83d\\ude00", "\\\\u0000", 18446744073709551615, -9223372036854775808, 1e-400]'
    assert parse_json(content, "r") == ["\U0001f600", "\\u0000", 2**64 - 1, -(2**63), 0.0]


def test_keys_that_nobody_wants_are_dropped_and_still_stand_once():
    content = '{"count": 1, "rest": [{"count": 2, "x": [1.5, 2.5]}]}'
    assert parse_json(content, "r.json", Row, only=frozenset({"count"})) == Row(1)
    with pytest.raises(BadInput, match="'x' twice"):
        parse_json('{"count": 1, "x": 1, "x": 2}', "r.json", Row, only=frozenset({"count"}))


def test_a_file_is_not_read_past_its_limit(tmp_path):
    path = tmp_path / "r.json"
    path.write_bytes(b"[" + b"1," * 50 + b"1]")
    with pytest.raises(BadInput, match="larger"):
        read_json(path, limit=50)
    assert len(read_json(path)) == 51
