"""YAML from anyone: bounded, refused in one sentence, and a label is the text that stands there."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput
from edgekit.core.yaml_text import dump_yaml, parse_yaml, read_yaml


def bomb(levels):
    """Lists of aliases of lists of aliases: nine times as many at each level."""
    rows = ["a0: &a0 [x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(rows)


# PyYAML's own reading makes truth values, numbers and dates of these.
@pytest.mark.parametrize(
    "text",
    "no NO on Off yes y 12:30 1:2:3 2001-01-01 2001-99-99 0o17 017 007 0x1f 1_000 = nan".split(),  # noqa: SIM905
)
def test_a_label_is_the_text_that_stands_there(text):
    assert parse_yaml(f"labels: [{text}]\n{text}: 1", "c.yaml") == {"labels": [text], text: 1}


def test_what_json_reads_is_read_alike():
    read = parse_yaml("[1, -2, 1.5, 1e-3, true, False, null, ~, '1', \"true\", !!str 3]", "c.yaml")
    assert read == [1, -2, 1.5, 0.001, True, False, None, None, "1", "true", "3"]


def test_anchors_and_merge_keys_work():
    text = "b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: {<<: [{x: 5}, *b], z: *b}\n"
    read = parse_yaml(text, "c.yaml")
    assert read["c"] == {"x": 1, "y": 3}
    assert read["d"] == {"x": 5, "y": 2, "z": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(bomb(12), "aliases", id="alias-bomb"),
        pytest.param("a: &a " + "x" * 900_000 + "\nb: [*a]", "aliases", id="repeated-text"),
        pytest.param("a: &a [*a]", "its own anchor", id="itself"),
        pytest.param("*a", "no anchor", id="no-anchor"),
        pytest.param("a: 1\nb: 2\na: 3", "'a' twice", id="key-twice"),
        pytest.param("? [1]\n: 2", "neither text", id="list-as-key"),
        pytest.param("true: 2", "neither text", id="truth-as-key"),
        pytest.param("[" * 20_000, "nest", id="deep-flow"),
        pytest.param("- " * 100 + "a", "nested deeper", id="deep-block"),
        pytest.param("1" + "0" * 6_000, "64 bits", id="6000-digits"),
        pytest.param("1e999", "64 bits", id="overflow"),
        pytest.param("[.nan]", ".nan", id="nan"),
        pytest.param("!!timestamp x", "!!timestamp", id="timestamp"),
        pytest.param("!!binary '%'", "!!binary", id="binary"),
        pytest.param("!!set {a}", "!!set", id="set"),
        pytest.param("!!omap [a: 1]", "!!omap", id="omap"),
        pytest.param("!!python/object/apply:os.getcwd []", "python", id="object"),
        pytest.param("a\n---\nb", "several documents", id="documents"),
        pytest.param('"\\0"', "NUL", id="nul-escaped"),
        pytest.param(b"a\0", "NUL", id="nul"),
        pytest.param("\ud800", "UTF-8", id="half-a-character"),
        pytest.param(b"\xff\xfea", "UTF-8", id="half-utf-16"),
        pytest.param(b"\xc3\x28", "UTF-8", id="no-utf-8"),
        pytest.param("[" + "[]," * 600_000 + "]", "500,000", id="many-values"),
        pytest.param("<<: 3", "merges", id="merge-of-no-mapping"),
    ],
)
def test_what_is_not_believed_is_one_sentence(text, why):
    with pytest.raises(BadInput) as refused:
        parse_yaml(text, "c.yaml")
    assert refused.value.message.startswith("c.yaml")
    assert why in refused.value.message
    assert len(refused.value.message) < 300


def test_the_line_is_named():
    with pytest.raises(BadInput, match="line 2, column 4"):
        parse_yaml("a: 1\nb: !!binary x", "c.yaml")


def test_a_file_is_not_read_past_its_limit(tmp_path):
    path = tmp_path / "c.yaml"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(BadInput, match="larger"):
        read_yaml(path)


def test_what_is_written_is_read_back_equal():
    texts = ["no", "1e3", "1e-5", "0o17", "12:30", "007", "1.", "+1", "a: b", "#", "", "~", "true"]
    texts += ["\x85x", "é", "<<", "=", "x\ny", ".nan", "*a", "&a", "-.5", "2001-01-01", "!!str"]
    content = {
        "texts": texts,
        "numbers": [1, -3, 2**64 - 1, 1.5, 1e300, 5e-324, 0.1],
        **dict.fromkeys(texts, True),
    }
    assert parse_yaml(dump_yaml(content), "written") == content
