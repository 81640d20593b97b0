"""Plan files of others: the header is read, and nothing but a whole one is taken for one."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgekit.core.errors import BadInput
from edgekit.runtimes.trt_plan import is_plan, read_plan

METADATA = {"task": "detect", "names": {"0": "cat", "1": "dog"}, "stride": 32, "imgsz": [64, 32]}
PLAN = b"ftrt" + bytes(range(256))


def header(text: bytes, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(4, "little", signed=True) + text


def written(path, content):
    path.write_bytes(content)
    return path


def test_a_header_is_read_and_the_plan_is_found_behind_it(tmp_path):
    text = json.dumps(METADATA).encode()
    path = written(tmp_path / "yolo.engine", header(text) + PLAN)
    plan = read_plan(path)
    assert plan.metadata == METADATA
    assert path.read_bytes()[plan.offset :] == PLAN
    assert plan.size_bytes == 4 + len(text) + len(PLAN)
    assert plan.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "content",
    [
        PLAN,
        b"abc",
        header(b'{"task": "detect"', 17) + PLAN,
        header(b'{"task": 1}', 1 << 20) + PLAN,
        header(b'{"task": 1}', (1 << 31) - 1) + PLAN,
        header(b'{"task": 1}', -5) + PLAN,
        header(b'{"task": 1}', 0) + PLAN,
        header(b"[1, 2]") + PLAN,
        header(b'"detect"') + PLAN,
        header(b"\xff\xfe{}") + PLAN,
        header(b"[" * 100_000) + PLAN,
    ],
    ids=range(11),
)
def test_what_is_no_whole_header_belongs_to_the_plan(tmp_path, content):
    plan = read_plan(written(tmp_path / "a.plan", content))
    assert (plan.metadata, plan.offset) == (None, 0)
    assert plan.size_bytes == len(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (header(b'{"task": 1}'), "ends where its plan should begin")],
)
def test_a_file_without_a_plan_is_refused(tmp_path, content, said):
    with pytest.raises(BadInput, match=said):
        read_plan(written(tmp_path / "a.engine", content))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: no such file"):
        read_plan(tmp_path / "a.engine")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(-(2**31), 2**31 - 1), st.binary(max_size=40))
@example(b"{}", 2, b"")
@example(b'{"a": 1e999}', 12, b"x")
@example(b'{"\\ud800": 1}', 13, b"x")
def test_no_garbage_is_more_than_one_sentence(tmp_path_factory, text, length, rest):
    folder = tmp_path_factory.mktemp("plans")
    for content in (text + rest, header(text) + rest, header(text, length) + rest):
        path = written(folder / "a.engine", content)
        if not content:
            with pytest.raises(BadInput, match="is empty"):
                read_plan(path)
            continue
        try:
            plan = read_plan(path)
        except BadInput:
            # Nothing stands behind a header.
            assert json.loads(content[4:]) is not None
            continue
        assert 0 <= plan.offset < plan.size_bytes == len(content)
        assert (plan.metadata is None) == (plan.offset == 0)


@pytest.mark.parametrize(
    ("name", "known"),
    [("a.engine", True), ("a.PLAN", True), ("a.onnx", False), ("none.plan", None)],
)
def test_plans_are_known_by_their_names(tmp_path, name, known):
    path = tmp_path / name
    if known is not None:
        path.write_bytes(PLAN)
    assert is_plan(path) is bool(known)
