"""The store of results: kept at once, read although damaged, handed on, taken in."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit import api
from edgekit.core.documents import BenchDocument, BenchEntry, Environment
from edgekit.core.errors import BadInput
from edgekit.core.progress import Silent
from edgekit.jobs.results.exporting import export_text
from edgekit.jobs.results.importing import import_path
from edgekit.jobs.results.raw import RawSamples
from edgekit.jobs.results.reading import read_result
from edgekit.jobs.results.store import ResultStore

FIXTURES = Path(__file__).parent / "results_fixtures"
MACHINE = Environment(identity={"cpu": "A CPU", "threads": 2}, observed={"load_average": [0.1]})


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def entry(**changes):
    made = BenchEntry(
        target="openvino:cpu", variant="fp32", compute="fp32", executed_precision="fp32",
        scenario="single-stream", boundary="latency.host", valid=True, reasons=(), n=3,
        p50_ms=1.5, throughput_per_s=600.0,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def document(model="model.onnx", **changes):
    made = BenchDocument(
        model=model, environment=MACHINE, entries=(), created="2026-11-25T10:00:00+00:00"
    )
    return msgspec.structs.replace(made, **changes)


def raw(*values):
    none = np.zeros(0, np.int64)
    samples = np.array(values or (1_000_000, 1_500_000, 2_000_000), np.int64)
    return RawSamples(samples, np.array([samples.size], np.int64), none, none, {})


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKIT_RESULTS", str(tmp_path / "store"))
    return ResultStore()


def filled(store, runs=5, entries=3):
    numbers = []
    for run in range(runs):
        number = store.begin(document(f"model-{run}.onnx"))
        for place in range(entries):
            store.add(number, entry(batch=place + 1), raw(*range(10**6, 10**6 + 50)))
        numbers.append(number)
    return numbers


def test_what_is_added_is_found_again_with_its_samples(store):
    number = store.begin(document())
    added = store.add(number, entry(), raw(5, 6, 7))
    found = store.document(number)
    assert found.document.entries == (added,)
    assert found.document.model == "model.onnx"
    assert found.document.environment.identity == MACHINE.identity
    assert found.samples[0].samples_ns.tolist() == [5, 6, 7]
    assert found.damage == ()


def test_one_machine_is_stored_once(store):
    filled(store, runs=4)
    with sqlite3.connect(store.folder / "results.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM environments").fetchone() == (1,)


def test_numbers_are_never_given_twice(store):
    first, second = filled(store, runs=2, entries=1)
    store.remove([second])
    assert store.begin(document()) > second > first


def test_a_run_is_named_by_number_or_from_the_end(store, tmp_path, monkeypatch):
    first, second = filled(store, runs=2)
    assert read_result(str(second)).document.run == second
    assert read_result(f"#{first}").document.run == first
    assert read_result("last").document.run == second
    assert read_result("last~1").document.run == first
    with pytest.raises(BadInput, match="the store holds 2 results"):
        read_result("last~2")
    with pytest.raises(BadInput, match="There is no run 99"):
        read_result("99")
    with pytest.raises(BadInput, match="cannot be read"):
        read_result("nonsense")


def test_several_processes_add_at_the_same_time_and_lose_nothing(store):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_results import *\n"
        "filled(ResultStore(), runs=5, entries=2)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    children = [subprocess.Popen(command) for _ in range(3)]
    assert [child.wait(timeout=300) for child in children] == [0, 0, 0]
    runs = store.runs()
    assert len(runs.runs) == 15
    assert len({run.number for run in runs.runs}) == 15
    assert all(len(run.document.entries) == 2 for run in runs.runs)
    assert runs.damage == ()


def test_flipped_bytes_cost_what_they_hit_and_the_rest_stays_readable(store):
    numbers = filled(store, runs=30)
    path = store.folder / "results.sqlite"
    whole = path.read_bytes()
    for place in range(len(whole) // 2, len(whole), max(1, len(whole) // 12)):
        damaged = bytearray(whole)
        damaged[place : place + 64] = bytes(byte ^ 0x5A for byte in damaged[place : place + 64])
        path.write_bytes(damaged)
        listing = store.runs()
        for run in listing.runs:
            assert run.document.model.startswith("model-")
        lost = len(numbers) - len(listing.runs)
        assert lost < len(numbers) / 2
        if lost:
            assert "is damaged: lost are" in " ".join(listing.damage)


@pytest.mark.parametrize("content", [b"", b"I am a text file.\n" * 100], ids=["empty", "text"])
def test_something_else_in_its_place_is_left_alone_and_new_results_find_a_home(store, content):
    filled(store, runs=2)
    path = store.folder / "results.sqlite"
    path.write_bytes(content)
    assert store.runs().runs == ()
    assert "is damaged" in " ".join(store.runs().damage)
    notes = Notes()
    number = ResultStore().begin(document("new.onnx"), progress=notes)
    assert path.read_bytes() == content
    assert "stays as it is; new results go into" in notes.notes[0]
    assert ResultStore().document(number).document.model == "new.onnx"
    # What was lost comes back from the samples.
    back = api.results_import([store.samples_folder])
    assert {run.model for run in back.imported} == {"model-0.onnx", "model-1.onnx"}
    assert [run.entries for run in back.imported] == [3, 3]
    # Twice brings nothing twice.
    assert api.results_import([store.samples_folder]).imported == ()


def test_a_store_that_lost_a_table_is_left_for_a_new_one(store):
    filled(store, runs=1)
    with sqlite3.connect(store.folder / "results.sqlite") as connection:
        connection.execute("DROP TABLE runs")
    notes = Notes()
    fresh = ResultStore()
    number = fresh.begin(document("new.onnx"), progress=notes)
    fresh.add(number, entry(), raw())
    assert any("new results go into" in note for note in notes.notes)
    assert len(ResultStore().document(number).document.entries) == 1


def test_a_number_is_kept_although_the_database_is_lost_before_its_first_entry(store):
    number = store.begin(document("first.onnx"))
    (store.folder / "results.sqlite").unlink()
    other = ResultStore()
    assert other.begin(document("second.onnx")) > number
    store.add(number, entry(), raw())
    assert ResultStore().document(number).document.model == "first.onnx"


def test_a_machine_that_was_changed_by_accident_is_not_taken_for_the_one_that_measured(store):
    (number,) = filled(store, runs=1)
    path = store.folder / "results.sqlite"
    path.write_bytes(path.read_bytes().replace(b'"cpu":"A CPU"', b'"cpu":"B CPU"'))
    found = store.document(number)
    assert found.document.environment.identity == {}
    assert any("machine" in sentence for sentence in found.damage)


def test_a_value_of_another_kind_is_damage_and_no_traceback(store):
    filled(store, runs=3)
    with sqlite3.connect(store.folder / "results.sqlite") as connection:
        connection.execute("UPDATE runs SET environment = 5 WHERE number = 2")
    listing = store.runs()
    assert [run.number for run in listing.runs] == [3, 1]
    assert "run 2" in " ".join(listing.damage)


def test_a_file_in_the_place_of_the_store_is_said_and_is_no_empty_store(tmp_path, monkeypatch):
    (tmp_path / "store").write_text("a file")
    monkeypatch.setenv("EDGEKIT_RESULTS", str(tmp_path / "store"))
    with pytest.raises(BadInput, match="is a file, and results lie in a folder"):
        api.results_list()


def test_a_cut_file_is_read_as_far_as_it_goes(store):
    filled(store, runs=40)
    path = store.folder / "results.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    listing = store.runs()
    assert listing.runs
    assert listing.damage


def test_missing_and_damaged_samples_are_named_and_the_figures_stay(store):
    (number,) = filled(store, runs=1)
    one, two, _ = (Path(item.samples) for item in store.document(number).document.entries)
    one.unlink()
    two.write_bytes(two.read_bytes()[:40])
    found = store.document(number)
    assert len(found.document.entries) == 3
    assert list(found.samples) == [2]
    assert len(found.damage) == 2


def test_a_store_of_a_newer_edgekit_is_refused(store):
    filled(store, runs=1)
    with sqlite3.connect(store.folder / "results.sqlite") as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(BadInput, match="written by a newer edgekit"):
        store.runs()


def test_a_store_that_cannot_be_written_loses_no_measurement(tmp_path, monkeypatch, digits_onnx):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EDGEKIT_RESULTS", str(tmp_path / "file" / "store"))
    notes = Notes()
    made = api.bench(str(digits_onnx), targets=["onnxruntime:cpu"], time=0.1, progress=notes)
    assert made.entries[0].n
    assert made.run is None
    assert any(note.startswith("The store of results is left out: ") for note in notes.notes)


def test_every_bench_is_stored_unless_told_not_to(store, tmp_path, digits_onnx):
    first = api.bench(str(digits_onnx), targets=["onnxruntime:cpu"], time=0.1)
    assert api.results_show(str(first.run)).entries == first.entries
    api.bench(str(digits_onnx), targets=["onnxruntime:cpu"], time=0.1, store=False)
    assert len(api.results_list().runs) == 1
    # With a folder of its own the samples lie there, and in the store too.
    second = api.bench(
        str(digits_onnx), targets=["onnxruntime:cpu"], time=0.1, output=tmp_path / "out"
    )
    assert Path(second.entries[0].samples).is_relative_to(tmp_path / "out")
    stored = api.results_show("last").entries[0]
    assert Path(stored.samples).is_relative_to(store.folder)
    assert Path(stored.samples).is_file()


def test_prune_removes_what_was_asked_for_and_no_more(store):
    numbers = filled(store, runs=4, entries=1)
    with pytest.raises(BadInput, match="Nothing says what may go"):
        api.results_prune()
    shown = api.results_prune(keep=3, dry_run=True)
    assert [run.run for run in shown.removed] == numbers[:1]
    assert len(api.results_list().runs) == 4
    api.results_prune(keep=3)
    assert [run.run for run in api.results_list().runs] == numbers[:0:-1]
    assert not list(store.samples_folder.glob(f"{numbers[0]}-*"))
    old = store.begin(document("old.onnx", created="2020-01-01T00:00:00+00:00"))
    undated = store.begin(document("undated.onnx", created=""))
    store.add(undated, entry(), None)
    store.add(old, entry(valid=False), None)
    assert [run.model for run in api.results_prune(older_than=1000).removed] == ["old.onnx"]
    bad = store.begin(document("bad.onnx"))
    store.add(bad, entry(valid=False), None)
    assert [run.model for run in api.results_prune(invalid=True).removed] == ["bad.onnx"]


def test_two_machines_are_told_apart_by_what_differs(store):
    one = store.begin(document())
    other = store.begin(
        document(environment=Environment(identity={"cpu": "B", "threads": 2}, observed={}))
    )
    found = api.results_environment(str(one), str(other))
    assert found.differences == ("cpu: A CPU, B",)
    assert found.observed == ("load_average: 0.1, absent",)
    assert found.environment.sha256 != read_result(str(other)).document.environment.sha256


def test_the_csv_reads_back_with_every_figure():
    made = document(entries=(entry(reasons=('It, too, is "odd".',)), entry(p50_ms=None)))
    one, two = csv.DictReader(io.StringIO(export_text([made], "csv")))
    assert float(one["p50_ms"]) == 1.5
    assert one["reasons"] == 'It, too, is "odd".'
    assert two["p50_ms"] == ""


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40), st.floats(1e-6, 1e6), st.integers(0, 10**9))
def test_the_json_goes_in_as_it_came_out(model, p50, n):
    made = document(model, entries=(entry(p50_ms=p50, n=n),))
    assert msgspec.json.decode(export_text([made], "json"), type=BenchDocument) == made


def test_google_benchmark_s_json_has_what_its_own_tools_read():
    failed = entry(n=0, p50_ms=None, throughput_per_s=None, reasons=("It crashed.",))
    content = json.loads(export_text([document(entries=(entry(), failed))], "google-benchmark"))
    assert {"date", "num_cpus", "caches", "load_avg"} <= set(content["context"])
    one, two = content["benchmarks"]
    assert (one["real_time"], one["time_unit"], one["run_type"]) == (1.5, "ms", "iteration")
    assert one["items_per_second"] == 600.0
    assert (two["error_occurred"], two["error_message"]) == (True, "It crashed.")


@pytest.mark.parametrize("form", ["csv", "markdown", "google-benchmark"])
def test_two_rates_of_a_camera_are_told_apart(form):
    slow, fast = (entry(scenario="paced", boundary="age.e2e", rate=rate) for rate in (30, 60))
    assert export_text([document(entries=(slow,))], form) != export_text(
        [document(entries=(fast,))], form
    )


def test_markdown_is_a_table_whose_cells_stay_cells():
    text = export_text([document("a|b.onnx", entries=(entry(),))], "markdown")
    head, rule, row = text.splitlines()
    assert "a\\|b.onnx" in row
    assert row.replace("\\|", "").count("|") == head.count("|") == rule.count("|")


# Laid out by TensorRT's documentation of --exportTimes: trtexec itself is not on this machine.
def trtexec(n=700, *, copies=True):
    return [
        {
            "startEnqMs": 2.0 * place, "endEnqMs": 2.0 * place + 0.1, "enqMs": 0.1,
            "h2dMs": 0.25 if copies else 0.0, "computeMs": 1.0 + 0.001 * (place % 10),
            "d2hMs": 0.125 if copies else 0.0,
            "latencyMs": (1.375 if copies else 1.0) + 0.001 * (place % 10),
        }
        for place in range(n)
    ]  # fmt: skip


def imported(store, tmp_path, content, **options):
    file = tmp_path / "times.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    given = {"form": None, "model": None, "target": None, **options}
    (number,) = import_path(store, file, progress=Silent(), **given)
    return store.document(number)


def test_trtexec_s_times_keep_their_boundaries_and_their_samples(store, tmp_path):
    found = imported(store, tmp_path, trtexec(), model="resnet", target="tensorrt:cuda:0")
    device, host = found.document.entries
    assert (device.boundary, host.boundary) == ("latency.device", "latency.host")
    assert device.p50_ms == pytest.approx(1.004)
    assert host.p50_ms == pytest.approx(1.379)
    assert device.p99_ms is not None
    assert device.p999_ms is None
    assert found.samples[0].samples_ns[1] == 1_001_000
    assert (device.tool, device.valid) == ("trtexec", False)
    assert found.document.model == "resnet"


def test_trtexec_without_copies_has_no_host_latency_and_says_why(store, tmp_path):
    (device,) = imported(store, tmp_path, trtexec(copies=False)).document.entries
    assert device.boundary == "latency.device"
    assert "--includeDataTransfers" in " ".join(device.reasons)


def test_the_names_of_older_tensorrt_are_known(store, tmp_path):
    old = [{"inMs": 0.2, "computeMs": 1.0, "outMs": 0.1, "latencyMs": 1.3}] * 20
    assert len(imported(store, tmp_path, old).document.entries) == 2


@pytest.mark.parametrize("name", ["sync", "throughput"])
def test_benchmark_app_s_report_is_taken_as_stated(store, name):
    given = {"form": None, "model": None, "target": None}
    file = FIXTURES / f"benchmark_app_{name}.json"
    (number,) = import_path(store, file, progress=Silent(), **given)
    (found,) = store.document(number).document.entries
    assert (found.tool, found.target, found.valid) == ("benchmark_app", "openvino:cpu", False)
    assert "without raw samples" in found.reasons[0]
    if name == "sync":
        assert (found.scenario, found.boundary) == ("single-stream", "latency.host")
        assert (found.p50_ms, found.threads, found.compute) == (0.05, 2, "fp32")
    else:
        assert (found.scenario, found.boundary) == ("offline", "throughput.host")
        assert (found.p50_ms, found.concurrency) == (None, 2)
    assert found.throughput_per_s > 1000


def test_a_result_of_ours_goes_from_one_store_to_another(store, tmp_path, monkeypatch):
    (number,) = filled(store, runs=1)
    made = store.document(number).document
    folder = tmp_path / "elsewhere"
    (folder / "samples").mkdir(parents=True)
    kept = []
    for item in made.entries:
        name = Path(item.samples).name
        (folder / "samples" / name).write_bytes(Path(item.samples).read_bytes())
        kept.append(msgspec.structs.replace(item, samples=f"samples/{name}"))
    moved = msgspec.structs.replace(made, entries=tuple(kept))
    (folder / "bench.json").write_bytes(msgspec.json.encode(moved))
    monkeypatch.setenv("EDGEKIT_RESULTS", str(tmp_path / "another"))
    (run,) = api.results_import([folder]).imported
    found = ResultStore().document(run.run)
    assert len(found.samples) == 3
    assert found.document.environment.identity == MACHINE.identity


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is no JSON"),
        ("[]", r"times\.json is damaged, or of another version"),
        ({"schema": "edgekit.bench/9"}, "edgekit.bench/9"),
        ({"schema": "edgekit.deploy/1"}, "is 'edgekit.deploy/1', and results are edgekit.bench/1"),
        ([{"computeMs": "soon"}], "computeMs of inference 1 is 'soon'"),
        ([{"computeMs": 1.0}, {}], "computeMs of inference 2 is None"),
        ([{"computeMs": float("nan")}], "holds NaN"),
        ({"execution_results": {}, "configuration_setup": {}}, "'total number of iterations'"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_one_sentence_and_leaves_nothing(
    store, tmp_path, content, sentence
):
    with pytest.raises(BadInput, match=sentence):
        imported(store, tmp_path, content)
    assert store.runs().runs == ()


def test_a_format_that_the_file_is_not_is_said(store, tmp_path):
    with pytest.raises(BadInput, match="holds no times of trtexec"):
        imported(store, tmp_path, {"a": 1}, form="trtexec")
    with pytest.raises(BadInput, match="no report of benchmark_app"):
        imported(store, tmp_path, [], form="benchmark_app")


def test_an_export_does_not_replace_a_file_unasked(store, tmp_path):
    filled(store, runs=1)
    file = tmp_path / "out.csv"
    api.results_export(["last"], output=file)
    with pytest.raises(BadInput, match="exists"):
        api.results_export(["last"], output=file)
    api.results_export(["last"], output=file, force=True)


def test_a_peer_s_run_is_compared_with_ours_boundary_by_boundary(store, tmp_path):
    imported(store, tmp_path, trtexec(), model="resnet", target="tensorrt:cuda:0")
    ours = store.begin(document())
    store.add(ours, entry(boundary="latency.host", p50_ms=1.0), raw(*[1_000_000] * 700))
    found = api.compare("1", str(ours))
    (pair,) = found.entries
    assert pair.boundary == "latency.host"
    assert pair.ratio == pytest.approx(1 / 1.379, rel=0.01)
    # Nothing is known of the peer's machine, and its run is not valid: nothing is claimed.
    assert pair.verdict == "INVALID"
    assert "machine: that of #1 is not known" in found.differences
    store.add(ours, entry(boundary="latency.device"), None)
    assert len(api.compare("1", str(ours)).entries) == 2
    other = store.begin(document())
    store.add(other, entry(boundary="latency.e2e"), None)
    with pytest.raises(BadInput, match="no entry of the same conditions"):
        api.compare("1", str(other))
