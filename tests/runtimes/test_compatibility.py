"""The table of what goes with what."""

from __future__ import annotations

import itertools

import pytest

from edgekit.runtimes.compatibility import (
    compatibility,
    driver_minimum,
    jetpack_of,
    onnxruntime_gpu_row,
    tensorrt_row,
)
from edgekit.runtimes.installed import older_than

TABLE = compatibility()
ROWS = [row for name in TABLE.__struct_fields__ if name != "about" for row in getattr(TABLE, name)]


def test_every_row_has_a_source_and_what_was_not_read_says_so():
    assert len(ROWS) > 25
    for row in ROWS:
        assert row.source.startswith(("https://", "pyproject.toml")), row
        assert row.verified or row.note, row


@pytest.mark.parametrize("rows", [TABLE.onnxruntime_gpu, TABLE.tensorrt])
def test_the_newest_release_comes_first(rows):
    for newer, older in itertools.pairwise(rows):
        if getattr(newer, "runtime", "") == getattr(older, "runtime", ""):
            assert older_than(older.since, newer.since)


def test_the_minimums_are_those_of_the_project(root):
    text = (root / "pyproject.toml").read_text()
    for row in TABLE.minimums:
        name = row.distribution.partition("-")[0]
        assert f"{name}>={row.version}" in text


def test_onnxruntime_gpu_changed_its_cuda_with_1_27():
    assert onnxruntime_gpu_row("1.31.1").cuda == 13
    assert onnxruntime_gpu_row("1.27.0").cuda == 13
    assert onnxruntime_gpu_row("1.26.0").cuda == 12
    assert onnxruntime_gpu_row("1.10.0") is None
    assert driver_minimum(13).driver == "580"
    assert driver_minimum(99) is None


@pytest.mark.parametrize(
    ("runtime", "version", "sm", "takes"),
    [
        ("tensorrt-rtx", "1.7.1.116", 90, False),
        ("tensorrt-rtx", "1.7.1.116", 89, True),
        ("tensorrt-rtx", "1.7.1.116", 121, True),
        ("tensorrt-rtx", "1.4.0", 121, False),
        ("tensorrt", "10.3.0", 120, False),
        ("tensorrt", "10.8.0", 120, True),
        ("tensorrt", "10.3.0", 70, True),
        ("tensorrt", "10.5.0", 70, False),
        ("tensorrt", "11.4.0.106", 61, False),
        ("tensorrt", "11.4.0.106", 121, True),
    ],
)
def test_what_a_tensorrt_takes(runtime, version, sm, takes):
    assert tensorrt_row(runtime, version).takes(sm) is takes


@pytest.mark.parametrize(
    ("l4t", "jetpack"),
    [
        ("36.4.3", "6.2"),
        ("36.4.0", "6.1"),
        ("36.4.7", "6"),
        ("36.3.0", "6.0"),
        ("38.2.1", "7.0"),
        ("38.4.0", "7.1"),
        ("39.2.0", "7.2"),
        ("35.4.1", "5"),
    ],
)
def test_a_jetson_linux_belongs_to_a_jetpack(l4t, jetpack):
    assert jetpack_of(l4t).jetpack == jetpack


@pytest.mark.parametrize("l4t", ["", "3", "99.1", "nonsense"])
def test_an_unknown_jetson_linux_belongs_to_none(l4t):
    assert jetpack_of(l4t) is None
