"""What is said of an engine that is taken from the cache, or built again."""

from __future__ import annotations

import re

import pytest

from edgekit.core.progress import Silent
from edgekit.jobs.steps.cache import Words, fetch
from edgekit.jobs.steps.engine_messages import built_again, built_by

PARTS = {
    "graph": "a",
    "runtime": "10.3",
    "device": "Orin | L4T 36.4 | sm87",
    "options": "{}",
    "edgekit": "1",
}
WORDS = Words(found=built_by, again=built_again)


class Told(Silent):
    def __init__(self):
        self.notes = []

    def stage(self, name, position=None):
        self.notes.append(name)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))


def said(*parts, words=WORDS):
    told = Told()
    for one in parts:
        fetch(
            "engine", "m on t", one, lambda folder: (folder / "e").write_text("x"),
            progress=told, words=words,
        )  # fmt: skip
    return told.notes


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"runtime": "10.13", "device": "RTX 4090 | driver 580.1 | sm89"},
            "built by 10.3 for SM 8.7; this is 10.13 on SM 8.9: building again from the graph.",
        ),
        (
            {"runtime": "10.13"},
            "built by 10.3 for SM 8.7; this is 10.13 on SM 8.7: building again from the graph.",
        ),
        (
            # The same GPU under another release of its system.
            {"device": "Orin | L4T 36.5 | sm87"},
            (
                "built by 10.3 for Orin, L4T 36.4, sm87; this is 10.3 on Orin, L4T 36.5, sm87: "
                "building again from the graph."
            ),
        ),
        (
            # A release of edgekit comes with the release of the library.
            {"runtime": "10.13", "edgekit": "2"},
            "built by 10.3 for SM 8.7; this is 10.13 on SM 8.7: building again from the graph.",
        ),
    ],
)
def test_another_builder_or_device_is_said_in_its_own_words(change, sentence):
    assert said(PARTS, {**PARTS, **change})[1] == f"engine of m on t: {sentence}"


@pytest.mark.parametrize(
    ("change", "listed"),
    [
        ({"graph": "b"}, "graph"),
        ({"edgekit": "2"}, "edgekit"),
        ({"graph": "b", "runtime": "10.13"}, r"graph and runtime \(10.3, now 10.13\)"),
    ],
)
def test_what_else_changed_is_said_as_of_every_stage(change, listed):
    told = said(PARTS, {**PARTS, **change})[1]
    assert re.fullmatch(rf"engine of m on t: made again, because {listed} changed since 20.*", told)


def test_a_hit_says_what_the_engine_was_built_by():
    first, again = said(PARTS, PARTS)
    assert first == "engine of m on t: made for the first time."
    assert re.fullmatch(
        r"engine of m on t: built by 10\.3 for SM 8\.7, from the cache \(\w{12}\), made 20.*\.",
        again,
    )


def test_other_stages_keep_the_caches_words():
    parts = {"runtime": "1", "data": "a"}
    told = said(parts, parts, {**parts, "runtime": "2"}, words=None)
    assert told[1].startswith("engine of m on t: from the cache (")
    assert "made again, because runtime (1, now 2) changed since 20" in told[2]


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("any GPU | sm86,sm120", "built by 1 for SM 8.6, SM 12.0"),
        ("AMD EPYC | avx2 avx512f", "built by 1 for avx2 avx512f"),
        ("", "built by 1"),
    ],
)
def test_an_architecture_is_named(device, words):
    assert built_by({"runtime": "1", "device": device}) == words
