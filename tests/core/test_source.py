"""What a user types for a model."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput
from edgekit.core.no_model import UNLOADED
from edgekit.core.source import KINDS_BY_SUFFIX, SCHEMES, Source


@pytest.mark.parametrize(("suffix", "kind"), KINDS_BY_SUFFIX.items())
def test_the_ending_says_what_a_file_is(tmp_path, suffix, kind):
    path = tmp_path / f"net{suffix.upper()}"
    path.write_bytes(b"x")
    source = Source.parse(str(path), arch="models:net")
    assert (source.kind, source.name, source.path) == (kind, "net", path)


def test_a_folder_is_a_model_of_several_graphs(tmp_path):
    folder = tmp_path / "speech.v2"
    folder.mkdir()
    (folder / "encoder.pt2").write_bytes(b"x")
    source = Source.parse(str(folder))
    assert (source.kind, source.name) == ("folder", "speech.v2")


@pytest.mark.parametrize("scheme", [one for one in SCHEMES if one not in UNLOADED])
def test_a_scheme_names_a_model_without_a_file(scheme):
    source = Source.parse(f"{scheme}:org/net")
    assert (source.kind, source.location, source.name, source.path) == (
        scheme,
        "org/net",
        "org-net",
        None,
    )


def test_a_file_wins_over_a_scheme_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgekit:net.onnx").write_bytes(b"x")
    assert Source.parse("edgekit:net.onnx").kind == "onnx"


@pytest.mark.parametrize(
    ("text", "said", "hinted"),
    [
        ("missing.onnx", "missing.onnx does not exist", ".pt2"),
        ("edgekti:digits", "'edgekti'", "'edgekit'"),
        ("edgekit:", "names no model", "edgekit:NAME"),
        ("C:/net.onnx", "does not exist", ""),
    ],
)
def test_what_is_not_there_is_named_with_a_remedy(text, said, hinted):
    with pytest.raises(BadInput) as caught:
        Source.parse(text)
    assert said in caught.value.message
    assert hinted in caught.value.hint


@pytest.mark.parametrize("name", ["net.xyz", "net"])
def test_an_unknown_ending_lists_the_known_ones(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(BadInput, match="no known model format") as caught:
        Source.parse(str(path))
    assert ".pt2" in caught.value.hint


def test_a_source_keeps_what_was_typed(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"x")
    source = Source.parse(str(path), arch="net.py:make")
    assert (source.text, source.arch) == (str(path), "net.py:make")
