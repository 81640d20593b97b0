"""A sweep writes every cell as it ends and goes on after a crash, a hang or an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from null_models import null_graph
from onnx import TensorProto, helper

from edgekit import api
from edgekit.core.documents import BenchDocument
from edgekit.core.errors import BadInput, CheckFailed, Unwritable
from edgekit.jobs.measuring.cells import Cell, lay_out
from edgekit.jobs.results.writing import write_samples
from edgekit.pipeline.answer import STAGES

NULL = "null:cpu"


def stored(folder: Path) -> BenchDocument:
    return msgspec.json.decode((folder / "bench.json").read_bytes(), type=BenchDocument)


def sweep(model: str, folder: Path | None = None, **changes) -> BenchDocument:
    options = {"sweep": {"batch": (1, 2, 3)}, "time": 0.1, "output": folder, **changes}
    return api.bench(model, targets=[NULL], **options)


def test_every_combination_is_a_cell_and_the_last_axis_changes_first():
    cells = lay_out(
        ["a:cpu"], ["fp32"], scenario="offline", boundaries=["latency.host"],
        sweep={"batch": (1, 2), "threads": (1, 2)}, batch=1, threads=None, streams=None,
        concurrency=3, rate=None,
    )  # fmt: skip
    assert [(cell.batch, cell.threads) for cell in cells] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert {cell.concurrency for cell in cells} == {3}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sweep": {"bach": (1,)}}, "no axis 'bach'"),
        ({"sweep": {"batch": (1, 1)}}, "differ from each other"),
        ({"sweep": {"batch": (0,)}}, "batch is 1 or more, not 0"),
        ({"sweep": {"batch": (1, 2)}, "batch": 4}, "swept and given as 4"),
        ({"sweep": {"streams": (1, 2)}}, "streams would change nothing"),
        ({"sweep": {}, "concurrency": 2}, "concurrency would change nothing"),
        ({"sweep": {}, "concurrency": 1}, "concurrency would change nothing"),
        ({"sweep": {}, "streams": 1}, "streams would change nothing"),
        ({"sweep": {}, "rate": 1}, "In single-stream, rate would change nothing"),
        ({"sweep": {}, "rate": 30}, "In single-stream, rate would change nothing"),
        ({"sweep": {"rate": (15, 30)}, "scenario": "offline"}, "rate would change nothing"),
        ({"sweep": {}, "scenario": "paced", "batch": 2}, "In paced, batch would change nothing"),
        ({"sweep": {"rate": (0,)}, "scenario": "paced"}, "rate is 1 or more, not 0"),
        ({"sweep": {}, "scenario": "paced", "boundary": ["latency.e2e"]}, "measures age.e2e"),
        (
            {
                "sweep": {},
                "scenario": "paced",
                "boundary": ["latency.host", "latency.e2e"],
            },
            "so not latency.e2e",
        ),
        ({"sweep": {}, "scenario": "paced"}, "age.e2e goes from an image to a result"),
        ({"sweep": {}, "scenario": "ofline"}, "no scenario 'ofline'"),
        ({"sweep": {}, "boundary": ["latency.hots"]}, "no boundary 'latency.hots'"),
        ({"sweep": {}, "scenario": "offline", "boundary": ["latency.e2e"]}, "has no latency"),
        ({"resume": True, "output": None}, "--resume needs the folder"),
        ({"time": 0.0}, "--time must be above 0"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path, changes, sentence):
    with pytest.raises(BadInput, match=sentence):
        sweep(null_graph(tmp_path / "m.onnx"), **changes)


def test_a_sweep_has_a_cell_for_each_value_and_its_raw_samples(tmp_path):
    document = sweep(null_graph(tmp_path / "m.onnx", delay_ms=1), tmp_path / "out")
    assert [entry.batch for entry in document.entries] == [1, 2, 3]
    assert document.sweep == {"batch": (1, 2, 3)}
    for entry in document.entries:
        assert entry.p50_ms >= 1
        with np.load(entry.samples) as file:
            assert file["samples_ns"].size == entry.n
            assert file["blocks"].sum() == entry.n
            assert file["block_starts_ns"].size == file["blocks"].size
    # A batch of three is three inputs for the time of one.
    one, three = document.entries[0], document.entries[2]
    assert three.throughput_per_s == pytest.approx(3 * one.throughput_per_s, rel=0.5)
    assert stored(tmp_path / "out") == document


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("raise", "The null runtime fails, as its graph says."),
        ("crash", "died of SIGABRT"),
        ("hang", "was not done after 8 s and was ended. Allow it more with --timeout."),
    ],
)
def test_a_cell_that_fails_costs_itself_alone(tmp_path, fault, sentence):
    model = null_graph(tmp_path / "m.onnx", fault=fault, fault_batch=2)
    timeout = 300
    if fault == "hang":
        # What does not hang is measured before, in as much time as it takes here.
        timeout = 8
        sweep(model, tmp_path / "out", sweep={"batch": (1, 3)}, timeout=300)
    document = sweep(model, tmp_path / "out", timeout=timeout, resume=True)
    first, second, third = document.entries
    assert first.n
    assert third.n
    assert (second.n, second.valid, second.batch) == (0, False, 2)
    assert sentence in second.reasons[0]


def test_an_engine_that_is_never_done_with_compiling_costs_its_cell_alone(tmp_path):
    model = null_graph(tmp_path / "m.onnx", fault="hang-compile")
    document = sweep(model, sweep={"batch": (1, 2)}, timeout=3)
    for entry in document.entries:
        assert entry.n == 0
        assert "The process for compiling" in entry.reasons[0]
        assert "was not done after 3 s" in entry.reasons[0]


def test_what_fell_back_is_refused_or_never_valid(tmp_path):
    model = null_graph(tmp_path / "m.onnx", device="gpu", delay_ms=1)
    with pytest.raises(CheckFailed, match="fell back: 100.0% of the arithmetic ran on gpu"):
        sweep(model, sweep={})
    (entry,) = sweep(model, sweep={}, allow_fallback=True).entries
    assert entry.n
    assert not entry.valid
    assert "It fell back: 100.0% of the arithmetic ran on gpu" in entry.reasons[0]


def test_an_entry_that_hangs_among_several_in_turns_is_ended(tmp_path):
    model = null_graph(tmp_path / "m.onnx", fault="hang")
    document = sweep(model, sweep={}, timeout=3)
    assert "was not done after 3 s" in document.entries[0].reasons[0]


def test_a_batch_that_the_graph_does_not_take_is_a_failed_cell_with_its_sentence(tmp_path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"], "add")], "test",
        [value("x", TensorProto.FLOAT, [1, 4])], [value("y", TensorProto.FLOAT, [1, 4])],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        tmp_path / "m.onnx",
    )
    one, two = sweep(str(tmp_path / "m.onnx"), sweep={"batch": (1, 2)}).entries
    assert one.n
    assert "has a fixed batch, so --batch 2 cannot be measured" in two.reasons[0]


def test_resume_measures_what_is_missing_and_keeps_the_rest(tmp_path):
    path = tmp_path / "m.onnx"
    model = null_graph(path, fault="raise", fault_batch=2)
    before = sweep(model, tmp_path / "out")
    # Another graph is another model: nothing of it is kept.
    null_graph(path, delay_ms=1)
    again = sweep(model, tmp_path / "out", resume=True)
    assert all(entry.p50_ms >= 1 for entry in again.entries)
    assert again.entries[0] != before.entries[0]
    # The same one: what was measured stays as it is, what is new is added.
    more = sweep(model, tmp_path / "out", sweep={"batch": (1, 2, 3, 4)}, resume=True)
    assert more.entries[:3] == again.entries
    assert more.entries[3].n


def test_resume_refuses_a_result_of_another_machine_or_model(tmp_path):
    model = null_graph(tmp_path / "m.onnx")
    sweep(model, tmp_path / "out")
    file = tmp_path / "out" / "bench.json"
    content = json.loads(file.read_bytes())
    content["environment"]["identity"]["cpu"] = "Another CPU"
    file.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="measured elsewhere .cpu: Another CPU"):
        sweep(model, tmp_path / "out", resume=True)
    other = null_graph(tmp_path / "other.onnx")
    with pytest.raises(BadInput, match=r"is of .*m\.onnx, not of .*other\.onnx"):
        sweep(other, tmp_path / "out", resume=True)
    file.write_text("{")
    with pytest.raises(BadInput, match=r"bench\.json is no JSON"):
        sweep(model, tmp_path / "out", resume=True)


def bench_command(model: str, folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgekit", "bench", model, "--target", NULL]
    # Whoever starts the tests in the background may have SIGINT ignored.
    return subprocess.Popen(
        [*command, "-o", str(folder), *more], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def interrupted(process: subprocess.Popen[str], ready) -> tuple[int, str]:
    limit = time.monotonic() + 120
    while not ready() and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_ctrl_c_keeps_the_finished_cells_and_what_the_present_one_has(tmp_path):
    model = null_graph(tmp_path / "m.onnx", delay_ms=2)
    out = tmp_path / "out"
    process = bench_command(model, out, "--sweep", "batch=1,2,3,4,5,6,7,8", "--time", "0.5")
    status, errors = interrupted(
        process, lambda: (out / "bench.json").exists() and len(stored(out).entries) >= 2
    )
    assert status == 130
    kept = stored(out)
    assert 2 <= len(kept.entries) < 8
    assert f"Interrupted: {len(kept.entries)} of 8 measurements are kept in {out}." in errors
    assert all(Path(entry.samples).is_file() for entry in kept.entries)
    assert "Traceback" not in errors


def test_ctrl_c_in_turns_keeps_the_figures_so_far(tmp_path, interrupting):
    model = null_graph(tmp_path / "m.onnx", delay_ms=40)
    out, heard = tmp_path / "out", interrupting("blocks")
    with pytest.raises(KeyboardInterrupt):
        sweep(model, out, sweep={}, boundary=("latency.host",), time=3600.0, progress=heard)
    (entry,) = stored(out).entries
    assert entry.n > 0
    assert entry.stopped_by == ""
    assert heard.notes == [f"Interrupted: 1 of 1 measurements are kept in {out}."]


def test_ctrl_c_before_the_first_figure_keeps_none_and_says_so(tmp_path, interrupting):
    # It said that one measurement was kept, and wrote one of no sample.
    model = null_graph(tmp_path / "m.onnx", delay_ms=1)
    out, heard = tmp_path / "out", interrupting("warm-up")
    with pytest.raises(KeyboardInterrupt):
        sweep(model, out, sweep={}, progress=heard)
    assert not (out / "bench.json").exists()
    assert heard.notes == [f"Interrupted: 0 of 1 measurements are kept in {out}."]


@pytest.mark.parametrize("axes", [{}, {"batch": (1,)}])
def test_ctrl_c_while_figures_are_written_loses_none(tmp_path, interrupting, monkeypatch, axes):
    # It came between the measurement and its file, and took the measurement with it.
    def interrupted_first(path, samples):
        os.kill(os.getpid(), signal.SIGINT)
        write_samples(path, samples)

    monkeypatch.setattr("edgekit.jobs.measuring.keeping.write_samples", interrupted_first)
    model = null_graph(tmp_path / "m.onnx", delay_ms=1)
    out, heard = tmp_path / "out", interrupting()
    with pytest.raises(KeyboardInterrupt):
        sweep(model, out, sweep=axes, progress=heard)
    (entry,) = stored(out).entries
    assert entry.n > 0
    assert heard.notes == [f"Interrupted: 1 of 1 measurements are kept in {out}."]


def test_a_disk_that_fills_during_a_sweep_is_one_sentence_and_loses_nothing(
    tmp_path, small_disk, interrupting
):
    disk = small_disk("1m")
    model = null_graph(tmp_path / "m.onnx", delay_ms=1)
    out = disk / "out"

    class Filling(interrupting):
        def stage(self, name, position=None):
            if position is not None and position.number == 3:
                with pytest.raises(OSError, match="No space"):
                    (disk / "filler").write_bytes(os.urandom(2 << 20))

    notes = Filling()
    with pytest.raises(Unwritable) as caught:
        sweep(model, out, progress=notes)
    assert "Make room and repeat with --resume" in str(caught.value)
    assert [entry.batch for entry in stored(out).entries] == [1, 2]
    # The third cell could not be written, so it was told.
    (told,) = [note for note in notes.notes if note.startswith("Not written: ")]
    assert json.loads(told.removeprefix("Not written: "))["batch"] == 3
    (disk / "filler").unlink()
    assert [entry.batch for entry in sweep(model, out, resume=True).entries] == [1, 2, 3]


def test_an_image_s_way_is_measured_step_by_step(digits_onnx):
    document = api.bench(
        str(digits_onnx), targets=["onnxruntime:cpu"],
        boundary=["latency.host", "latency.e2e"], time=0.3,
    )  # fmt: skip
    host, whole = document.entries
    assert (host.boundary, whole.boundary) == ("latency.host", "latency.e2e")
    assert list(whole.stages) == ["preprocess", "inference", "postprocess"]
    assert whole.p50_ms > host.p50_ms
    parts = sum(stage.p50_ms for stage in whole.stages.values())
    assert parts == pytest.approx(whole.p50_ms, rel=0.2)


def test_a_camera_s_frames_are_answered_by_their_age_or_left_out(digits_onnx, tmp_path):
    # No pipeline here answers a million frames a second.
    document = api.bench(
        str(digits_onnx), targets=["onnxruntime:cpu"], scenario="paced",
        sweep={"rate": (50, 1_000_000)}, time=0.6, output=tmp_path / "out",
    )  # fmt: skip
    slow, fast = document.entries
    assert (slow.scenario, slow.boundary) == ("paced", "age.e2e")
    assert (slow.rate, slow.n + slow.dropped) == (50, 30)
    # A busy machine may leave one out now and then.
    assert slow.n >= 15
    assert slow.throughput_per_s == pytest.approx(50 * slow.n / 30)
    assert list(slow.stages) == list(STAGES)
    assert fast.n, fast.reasons
    assert (fast.rate, fast.n + fast.dropped) == (1_000_000, 600_000)
    assert fast.dropped > fast.n
    files = sorted(path.name for path in (tmp_path / "out").rglob("*rate*"))
    assert [name.rpartition("paced-")[2].partition(".")[0] for name in files] == [
        "rate1000000",
        "rate50",
    ]
    again = api.bench(
        str(digits_onnx), targets=["onnxruntime:cpu"], scenario="paced",
        sweep={"rate": (50, 1_000_000)}, time=0.6, output=tmp_path / "out", resume=True,
    )  # fmt: skip
    assert again.entries == document.entries


def test_a_model_of_arrays_has_no_end_to_end_latency(tmp_path):
    with pytest.raises(BadInput, match="and .* takes arrays"):
        sweep(null_graph(tmp_path / "m.onnx"), sweep={}, boundary=["latency.e2e"])


def test_an_engine_that_does_not_tell_has_no_device_latency(tmp_path):
    document = sweep(null_graph(tmp_path / "m.onnx"), sweep={}, boundary=["latency.device"])
    assert "does not tell the time on the device" in document.entries[0].reasons[0]


def test_a_cell_says_what_is_not_as_usual():
    assert Cell("a:cpu").conditions == ""
    cell = Cell("a:cpu", scenario="offline", batch=4, threads=2)
    assert cell.conditions == "offline, batch 4, threads 2"
    assert Cell("a:cpu", scenario="paced", rate=30).conditions == "paced, rate 30"
