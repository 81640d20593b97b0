"""The scripts that hold edgekit against peers say what they found and miss no bound quietly."""

from __future__ import annotations

import importlib.util
import itertools
import math
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def fidelity(root):
    spec = importlib.util.spec_from_file_location("fidelity", root / "tools/peers/fidelity.py")
    module = importlib.util.module_from_spec(spec)
    # Its records look themselves up there.
    sys.modules["fidelity"] = module
    spec.loader.exec_module(module)
    return module


def settled(fidelity, values, low=0.97, high=1.03):
    row = fidelity.FidelityRow("a bare loop", "tiny", low, high)
    return fidelity.settle(row, map(math.log, values), 60, 0.01)


def test_a_ratio_within_the_bound_passes_and_one_beyond_it_fails(fidelity):
    assert settled(fidelity, [1.0, 1.001, 0.999] * 4).verdict == "PASS"
    assert settled(fidelity, [1.05, 1.051, 1.049] * 4).verdict == "FAIL"
    assert settled(fidelity, [0.9, 1.0, 1.1] * 4).verdict == "UNCLEAR"


def test_without_rounds_nothing_is_claimed(fidelity):
    assert fidelity.FidelityRow("a", "b", 0.9, 1.1).verdict == "UNCLEAR"
    assert settled(fidelity, [1.0, 1.0]).verdict == "UNCLEAR"


def test_it_stops_when_the_interval_is_narrow(fidelity):
    row = settled(fidelity, itertools.repeat(1.0))
    assert row.rounds == fidelity.FEWEST_ROUNDS


def test_a_drift_of_the_machine_is_in_no_quad(fidelity):
    now = itertools.count(100.0)
    slower = fidelity.quads(lambda: (lambda: 1.1 * math.exp(next(now) / 50),
                                     lambda: math.exp(next(now) / 50)))  # fmt: skip
    assert math.exp(next(slower)) == pytest.approx(1.1)


def test_benchmark_app_s_lines_are_read_with_their_unit(fidelity):
    printed = "[ INFO ]    Median:        51.31 us\n[ INFO ] Throughput:   8903.77 FPS\n"
    assert fidelity.app_median_ms(printed) == pytest.approx(0.05131)
    assert fidelity.app_median_ms(printed.replace("us", "ms")) == pytest.approx(51.31)
    assert fidelity.app_throughput(printed) == pytest.approx(8903.77)


def test_the_table_has_a_line_a_row(fidelity):
    row = settled(fidelity, [1.0] * 12)
    head, rule, line = fidelity.table([row]).splitlines()
    assert line.count("|") == head.count("|") == rule.count("|")
    assert "0.97 to 1.03" in line
    assert line.endswith("PASS |")


@pytest.mark.slow
def test_one_row_runs_for_real(root, tmp_path):
    script = root / "tools/peers/fidelity.py"
    out = tmp_path / "rows.json"
    command = [sys.executable, script, "--quick", "--only", "call tiny on onnxruntime", "-o", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "the engine's fastest call | tiny on onnxruntime:cpu" in done.stdout, done.stderr
    assert out.is_file()


def test_the_command_line_is_held_against_a_bare_interpreter(root):
    script = root / "tools/peers/cli.py"
    command = [sys.executable, script, "--rounds", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.count("`edgekit") == 4, done.stderr
