"""A against B on the null runtime, for real: both in one child, taking turns."""

from __future__ import annotations

import json
import os
import signal
from itertools import count
from typing import ClassVar

import msgspec
import numpy as np
import pytest
from null_models import null_graph

from edgekit import api
from edgekit.benchmarks.ratio import RatioRule
from edgekit.core.documents import CompareDocument
from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.jobs.process.pair import Duellist, DuelWorker
from edgekit.jobs.results.raw import read_samples

NULL = "null:cpu"


@pytest.fixture
def quick(tmp_path):
    return null_graph(tmp_path / "quick.onnx", delay_ms=2)


@pytest.fixture
def slow(tmp_path):
    return null_graph(tmp_path / "slow.onnx", delay_ms=3)


def test_the_slower_model_is_slower_and_the_other_way_round_faster(quick, slow, tmp_path):
    """What else the machine does makes it INVALID, and leaves the figures as they were taken."""
    document = api.bench_against(slow, quick, targets=[NULL], time=6, output=tmp_path / "out")
    (entry,) = document.entries
    assert entry.paired
    assert entry.valid == (document.verdict != "INVALID")
    assert document.verdict in ("SLOWER", "UNCLEAR") if entry.valid else entry.reasons
    assert document.ratio == entry.ratio > 1.2
    assert entry.ratio == pytest.approx(entry.new_p50_ms / entry.base_p50_ms)
    assert document.mean_ratio == pytest.approx(entry.new_mean_ms / entry.base_mean_ms)
    assert document.ratio_low <= document.ratio <= document.ratio_high
    written = (tmp_path / "out" / "compare.json").read_bytes()
    assert msgspec.json.decode(written, type=CompareDocument) == document
    raw = [read_samples(path) for path in sorted((tmp_path / "out" / "samples").iterdir())]
    assert [one.samples_ns.size for one in raw] == [entry.base_n, entry.new_n]
    assert raw[1].samples_ns.mean() / 1e6 == pytest.approx(entry.new_mean_ms)
    assert np.all(np.diff(raw[0].block_starts_ns) > 0)
    assert api.bench_against(quick, slow, targets=[NULL], time=3).ratio < 0.85


def test_what_bench_calls_invalid_is_invalid_here(tmp_path):
    """Red where only `bench` looked: the loop around it is all that such a model costs."""
    nothing = null_graph(tmp_path / "nothing.onnx", delay_ms=0)
    (alone,) = api.bench(nothing, targets=[NULL], time=1, store=False).entries
    document = api.bench_against(nothing, nothing, targets=[NULL], time=1)
    assert not alone.valid
    assert document.verdict == "INVALID"
    assert not document.entries[0].valid
    assert "The measuring itself takes" in " ".join(alone.reasons)
    assert "The measuring itself takes" in " ".join(document.entries[0].reasons)


def test_a_model_against_itself_is_neither(quick):
    document = api.bench_against(quick, quick, targets=[NULL], time=3)
    assert document.verdict in ("SAME", "UNCLEAR", "INVALID")
    assert document.differences == ()


def test_several_targets_give_an_entry_each_and_what_differs_is_said(quick, slow):
    document = api.bench_against(
        slow, quick, targets=[NULL, "onnxruntime:cpu"], against_target=NULL, time=1
    )
    assert len(document.entries) == 2
    assert document.differences == ("target: null:cpu, onnxruntime:cpu",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenario": "offline"}, "--against measures in single-stream, not in offline"),
        ({"time": 0}, "must be above 0"),
        ({"margin": 0.0}, "margin of a comparison is above 0"),
        ({"confidence": 1.0}, "confidence of a comparison"),
    ],
)
def test_what_cannot_be_measured_is_refused(quick, options, words):
    with pytest.raises(BadInput, match=words):
        api.bench_against(quick, quick, **{"targets": [NULL], **options})


class Broken:
    """A session whose third run raises."""

    def __init__(self):
        self.runs = 0

    def bind(self, feeds):
        return self

    def run(self):
        self.runs += 1
        if self.runs > 2:
            raise BadInput("The engine broke.")

    def close(self):
        pass


def test_a_session_that_raises_ends_the_duel_with_its_own_sentence():
    one = Duellist(lambda: {"main": Broken()}, {"main": {}})
    with pytest.raises(BadInput, match="The engine broke"):
        DuelWorker(one, one, RatioRule()).warm()


class Counted:
    """A session that notes when it is opened and closed."""

    log: ClassVar[list[str]] = []

    def __init__(self, name):
        self.name = name
        self.log.append(f"open {name}")

    def bind(self, feeds):
        return self

    def run(self):
        pass

    def close(self):
        self.log.append(f"close {self.name}")


def test_both_are_closed_before_they_are_opened_anew_in_turning_order():
    Counted.log.clear()
    sides = [Duellist(lambda name=name: {"main": Counted(name)}, {"main": {}}) for name in "ab"]
    # A clock of its own: whether opening anew is affordable is the machine's otherwise.
    worker = DuelWorker(*sides, RatioRule(block_seconds=0.001), count(step=10_000).__next__)
    worker.warm()
    worker.round()
    worker.round()
    assert Counted.log[:6] == ["open a", "open b", "close a", "close b", "open b", "open a"]
    assert worker.finish().openings >= 3


def test_ctrl_c_keeps_the_rounds_so_far(tmp_path, interrupting):
    model = null_graph(tmp_path / "m.onnx", delay_ms=20)
    out, heard = tmp_path / "out", interrupting("against")
    with pytest.raises(KeyboardInterrupt):
        api.bench_against(
            model, model, targets=[NULL], time=100, margin=0.0001, output=out, progress=heard
        )
    assert heard.notes == [f"Interrupted: 1 of 1 pairs are kept in {out}."]
    (entry,) = json.loads((out / "compare.json").read_bytes())["entries"]
    assert entry["base_n"] > 0
    assert entry["stopped_by"] == ""


def test_ctrl_c_while_the_rounds_are_written_loses_none(
    quick, slow, tmp_path, interrupting, monkeypatch
):
    def interrupted_first(path, content):
        os.kill(os.getpid(), signal.SIGINT)
        write_bytes(path, content)

    monkeypatch.setattr("edgekit.jobs.against.write_bytes", interrupted_first)
    out, heard = tmp_path / "out", interrupting()
    with pytest.raises(KeyboardInterrupt):
        api.bench_against(slow, quick, targets=[NULL], time=0.5, output=out, progress=heard)
    assert heard.notes == [f"Interrupted: 1 of 1 pairs are kept in {out}."]
    assert len(json.loads((out / "compare.json").read_bytes())["entries"]) == 1
