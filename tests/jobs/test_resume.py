"""A deployment killed at any moment goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest

from edgekit.core.files import sha256_file
from edgekit.jobs.model.bundle import damage, read_manifest
from edgekit.jobs.steps.cache import records

STAGES = (
    "export",
    "reference",
    "calibration",
    "variant",
    "engine",
    "certificate",
    "engine",
    "certificate",
    "measurement",
)
SEED = 20


class Desk:
    """One user's cache, and deployments into it."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.data = data
        self.cache = folder / "cache"

    def start(self, name="bundle", *options):
        return self.run(
            *("deploy", "edgekit:digits", "--data", self.data, "--target", "onnxruntime:cpu"),
            *("--time", "0.2", "-o", self.folder / name, "--force", "--json", *options),
        )

    def run(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "edgekit", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "EDGEKIT_CACHE": str(self.cache),
                "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            },
            # A suite that a shell started in the background ignores Ctrl-C, and so would this.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )

    def finish(self, name="bundle", *options):
        """Deploy to the end; return the document and the notes."""
        process = self.start(name, *options)
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        return json.loads(out), err

    def assert_nothing_half_written(self):
        """Every stage that counts as finished is what its record says."""
        for folder, record in records():
            assert record is not None, folder
            found = {
                path.relative_to(folder).as_posix(): sha256_file(path)
                for path in folder.rglob("*")
                if path.is_file() and path.name != "stage.json"
            }
            assert found == {name: file.sha256 for name, file in record.files.items()}
        bundle = self.folder / "bundle"
        if bundle.exists():
            assert damage(bundle, read_manifest(bundle)) == []


@pytest.fixture
def desk(tmp_path, digits, monkeypatch):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return Desk(tmp_path, digits)


@dataclass(frozen=True)
class Undisturbed:
    """What a deployment that nobody kills ends with, how long it took, and its cache."""

    document: dict
    result: dict
    seconds: float
    cache: Path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, digits):
    desk = Desk(tmp_path_factory.mktemp("undisturbed"), digits)
    start = time.monotonic()
    document, _ = desk.finish()
    seconds = time.monotonic() - start
    return Undisturbed(document, result(document, desk.folder / "bundle"), seconds, desk.cache)


def result(document, bundle):
    """What must be the same: graphs, metrics, checks and stage keys."""
    return {
        "graphs": {
            path.relative_to(bundle).as_posix(): sha256_file(path)
            for path in bundle.glob("variants/*/*.onnx")
        },
        "metrics": {entry["variant"]: entry["metric"] for entry in document["entries"]},
        "checks": {entry["variant"]: entry["checks"] for entry in document["entries"]},
        "stages": [(stage["stage"], stage["key"]) for stage in document["stages"]],
        "manifest": json.loads((bundle / "manifest.json").read_text())["stages"],
    }


def kill_at(process, count):
    """SIGKILL when the stage number `count` that is made (not found) begins; False at the end."""
    seen = 0
    for line in process.stderr:
        if ": made " in line:
            seen += 1
            if seen == count:
                kill(process)
                return True
    process.wait()
    return False


def kill(process):
    """SIGKILL, and wait until the children it had are gone too."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, f"{alive} outlived the process that they worked for"


@pytest.mark.slow
def test_killed_at_every_stage_in_turn_it_still_ends_the_same(desk, undisturbed):
    expected = undisturbed.result
    names = [stage for stage, _ in expected["stages"]]
    assert tuple(names) == STAGES
    # The first stage that is not there yet is killed once, and made by the next run, whose next
    # stage is killed: so every stage is killed once at its beginning.
    assert kill_at(desk.start(), 1)
    for _ in STAGES[1:]:
        desk.assert_nothing_half_written()
        assert not (desk.folder / "bundle").exists()
        assert kill_at(desk.start(), 2)
    document, notes = desk.finish()
    assert result(document, desk.folder / "bundle") == expected
    made = [stage["stage"] for stage in document["stages"] if not stage["hit"]]
    assert made == ["measurement"], notes
    desk.assert_nothing_half_written()


def test_killed_while_the_bundle_is_written_it_leaves_none(desk, undisturbed):
    shutil.copytree(undisturbed.cache, desk.cache)
    process = desk.start()
    while not (unfinished := list(desk.folder.glob(".bundle.*"))):
        assert process.poll() is None
        time.sleep(0.001)
    kill(process)
    assert unfinished
    desk.assert_nothing_half_written()
    document, notes = desk.finish()
    assert result(document, desk.folder / "bundle") == undisturbed.result
    assert ": made " not in notes
    desk.assert_nothing_half_written()


# Forty deployments: on a busy machine more than the ten minutes of other tests.
@pytest.mark.timeout(3600)
@pytest.mark.slow
def test_killed_at_twenty_random_times_it_ends_the_same(tmp_path, digits, undisturbed, monkeypatch):
    expected, seconds = undisturbed.result, undisturbed.seconds
    moments = random.Random(SEED)
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        desk = Desk(folder, digits)
        monkeypatch.setenv("EDGEKIT_CACHE", str(desk.cache))
        process = desk.start()
        time.sleep(moments.uniform(0, seconds))
        kill(process)
        desk.assert_nothing_half_written()
        document, _ = desk.finish()
        assert result(document, folder / "bundle") == expected, f"kill number {number}"
        desk.assert_nothing_half_written()


def test_interrupted_it_says_that_it_goes_on(desk):
    fewer = ("bundle", "--precision", "fp32")
    process = desk.start(*fewer)
    for line in process.stderr:
        if "reference of digits: made" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert json.loads(out)["kind"] == "interrupted"
    assert not (desk.folder / "bundle").exists()
    document, _ = desk.finish(*fewer)
    assert document["stages"][0]["hit"]


def test_a_second_deployment_makes_nothing_and_dates_its_latencies(desk, undisturbed):
    first = undisturbed.document
    shutil.copytree(undisturbed.cache, desk.cache)
    second, notes = desk.finish()
    assert result(second, desk.folder / "bundle") == undisturbed.result
    assert all(stage["hit"] for stage in second["stages"])
    assert notes.count("from the cache") == len(STAGES)
    assert second["entries"][0]["latency"] == first["entries"][0]["latency"]
    assert second["entries"][0]["measured_at"] == first["entries"][0]["measured_at"]
    assert second["environment"] == first["environment"]
    assert any("from the cache: measured 20" in note for note in second["notes"])


@pytest.mark.slow
def test_two_deployments_into_one_cache_do_not_disturb_each_other(desk, undisturbed):
    expected = undisturbed.result
    both = {name: desk.start(name) for name in ("one", "two")}
    for name, process in both.items():
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        assert result(json.loads(out), desk.folder / name) == expected
        assert damage(desk.folder / name, read_manifest(desk.folder / name)) == []
    desk.assert_nothing_half_written()


@pytest.mark.slow
def test_four_deployments_beside_prunes_of_their_cache_do_not_notice(desk, undisturbed):
    deployments = {name: desk.start(name) for name in ("one", "two", "three", "four")}
    for _ in range(34):
        prune = desk.run("cache", "prune", "--all", "--json")
        out, err = prune.communicate(timeout=500)
        assert prune.returncode == 0, out + err
    for name, process in deployments.items():
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        assert result(json.loads(out), desk.folder / name) == undisturbed.result
        assert damage(desk.folder / name, read_manifest(desk.folder / name)) == []
    desk.assert_nothing_half_written()


def test_a_measurement_from_the_future_is_taken_again(desk, undisturbed):
    shutil.copytree(undisturbed.cache, desk.cache)
    (stage,) = (folder for folder, record in records("measurement"))
    record = json.loads((stage / "stage.json").read_text())
    record["created"] = "2099-01-01T00:00:00+00:00"
    (stage / "stage.json").write_text(json.dumps(record))
    _, notes = desk.finish()
    assert "measurement of digits: made again: it is dated 2099-01-01T00:00:00+00:00" in notes
