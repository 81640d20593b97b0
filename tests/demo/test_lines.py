"""Every line is a whole document by the shipped schema, there at once."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edgekit.benchmarks.schemas import make
from edgekit.core.errors import BadInput, Unwritable
from edgekit.demo.lines import DocumentLines
from edgekit.tasks.predictions import ClassPrediction, MaskPrediction, Timings

TIMES = Timings(0, 0, 0, 0)
SIZE = (240, 320)


def lines_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_a_line_says_what_was_found_when_and_how_old_it_was(tmp_path, meter, view_of, plain, boxes):
    path = tmp_path / "new" / "found.jsonl"
    made = DocumentLines(str(path), meter)
    found = boxes(("cat", 0, 0.5, (1.0, 2.0, 3.0, 4.0), 7), ("dog", 1, 0.25, (0.0, 0.0, 9.0, 9.0)))
    now = time.perf_counter_ns() / 1e9
    made.show(view_of(plain(0), 5, now, found, position=0.2))
    made.show(view_of(plain(0), 7, now + 0.1, boxes()))
    made.close()
    first, second = lines_of(path)
    assert first["detections"] == [
        {"label": "cat", "class_index": 0, "score": 0.5, "box": [1, 2, 3, 4], "track": 7},
        {"label": "dog", "class_index": 1, "score": 0.25, "box": [0, 0, 9, 9]},
    ]
    assert (first["frame"], first["at_s"], first["position_s"]) == (5, 0, 0.2)
    assert (first["width"], first["height"], first["age_ms"]) == (320, 240, 40)
    assert (second["frame"], second["detections"], second["position_s"]) == (7, [], None)
    assert second["at_s"] == pytest.approx(0.1)
    captured = datetime.fromisoformat(first["captured"])
    assert captured.utcoffset().total_seconds() == 0
    assert abs((datetime.now(timezone.utc) - captured).total_seconds()) < 5
    assert [name for name, _ in meter.stages] == ["lines"] * 2


def test_lines_of_every_task_validate(tmp_path, meter, view_of, plain, boxes):
    path = tmp_path / "found.jsonl"
    made = DocumentLines(str(path), meter)
    scores = np.array([0.25, np.nan], np.float32)
    for prediction in (
        boxes(("cat", 0, 0.5, (1.0, 2.0, 3.0, 4.0), 7), size=SIZE),
        ClassPrediction(scores, ("cat", "dog"), SIZE, TIMES),
        MaskPrediction(np.zeros(SIZE, np.uint8), ("cat",), SIZE, TIMES),
    ):
        made.show(view_of(plain(0), prediction=prediction))
    made.close()
    schema = make.make_schema("demo-frame")
    for line in lines_of(path):
        assert next(iter(line)) == "schema"
        jsonschema.validate(line, schema)


def test_a_line_is_there_before_the_next_frame(tmp_path, meter, view_of, plain):
    path = tmp_path / "found.jsonl"
    made = DocumentLines(str(path), meter)
    made.show(view_of(plain(0)))
    deadline = time.monotonic() + 10
    while not path.exists() or not path.read_bytes().endswith(b"}\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    made.close()
    made.close()


@contextmanager
def piped_stdout():
    """The reading end of what stdout writes into; no fixture: pytest changes stdout after them."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stdout, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        yield reading


def test_a_reader_that_leaves_ends_the_demo_without_a_word(meter, view_of, plain):
    with piped_stdout() as pipe:
        made = DocumentLines("-", meter)
        made.show(view_of(plain(0), 3))
        assert json.loads(os.read(pipe, 10000))["frame"] == 3
        os.close(pipe)
        made.show(view_of(plain(0), 4))
        with pytest.raises(BrokenPipeError):
            for _ in range(1000):
                made.show(view_of(plain(0), 5))
                time.sleep(0.01)
        made.close()
    assert meter.notes == []


def test_a_reader_that_does_not_read_costs_lines_and_no_time(meter, view_of, plain):
    with piped_stdout() as pipe:
        made = DocumentLines("-", meter)
        view = view_of(plain(0))
        for _ in range(3000):
            made.show(view)
        assert made.dropped > 500
        made.close()
        # So that the thread ends before the pipe does.
        os.close(pipe)
        made._work._thread.join(10)
    assert not made._work._thread.is_alive()


def test_with_every_frame_no_line_is_missing(meter, view_of, plain, tmp_path):
    path = tmp_path / "found.jsonl"
    made = DocumentLines(str(path), meter, every=True)
    for number in range(3000):
        made.show(view_of(plain(0, (2, 2)), number))
    made.close()
    assert [line["frame"] for line in lines_of(path)] == list(range(3000))


def test_a_full_disk_is_one_sentence_and_leaves_whole_lines(small_disk, meter, view_of, plain):
    path = small_disk("64k") / "found.jsonl"
    made = DocumentLines(str(path), meter, every=True)
    for number in range(1000):
        made.show(view_of(plain(0, (2, 2)), number))
    made.close()
    assert len(meter.notes) == 1
    assert f"{path} ended early: no space left on device." in meter.notes[0]
    frames = [line["frame"] for line in lines_of(path)]
    assert frames == list(range(len(frames)))
    assert len(frames) > 100


def test_what_cannot_be_written_is_said_before_anything_starts(tmp_path, meter):
    (tmp_path / "old").write_text("old")
    with pytest.raises(BadInput, match="exists already"):
        DocumentLines(str(tmp_path / "old"), meter)
    # The old lines go when there is a new one: a demo that fails to start costs nothing.
    DocumentLines(str(tmp_path / "old"), meter, force=True).close()
    with pytest.raises(Unwritable, match="not a directory"):
        DocumentLines(str(tmp_path / "old" / "new"), meter)
    assert (tmp_path / "old").read_text() == "old"
