"""How many cores a process may use, from affinity, hyperthreads and control groups."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from edgekit.core import cores
from edgekit.core.cores import cpu_limit, usable_cores

PROGRAM = """
import json, os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from edgekit.benchmarks.environment import environment
from edgekit.core.cores import usable_cores
from edgekit.core.runtime import CompileOptions
from edgekit.core.target import Target
from edgekit.runtimes import ort, ov
print(json.dumps([
    usable_cores(),
    environment(None).identity["threads"],
    ov._settings(Target("openvino"), CompileOptions())["INFERENCE_NUM_THREADS"],
    ort._threads(CompileOptions()),
]))
"""


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_on_one_cpu_has_one_thread_in_identity_and_engines_alike():
    # Red where the identity counts the machine's cores: taskset -c 0 was written down as two.
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[1, 1, 1, 1]"


@pytest.fixture
def machine(monkeypatch):
    """Eight CPUs of four cores."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 8 if logical else 4)

    def allowed(*cpus):
        monkeypatch.setattr(cores, "allowed_cpus", lambda: frozenset(cpus))

    allowed(*range(8))
    return allowed


def siblings(root):
    for cpu in range(8):
        name = f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        write(root, {name: f"{cpu % 4},{cpu % 4 + 4}"})


def test_two_hyperthreads_of_one_core_count_once(tmp_path, machine):
    siblings(tmp_path)
    for cpus, count in ((range(8), 4), ((0, 4), 1), ((0, 1), 2), ((0, 1, 4, 5, 6), 3)):
        machine(*cpus)
        assert usable_cores(tmp_path) == count


def test_without_a_topology_every_cpu_is_a_core_up_to_the_machines(tmp_path, machine):
    for cpus, count in ((range(8), 4), ((3,), 1), ((0, 4), 2)):
        machine(*cpus)
        assert usable_cores(tmp_path) == count


@pytest.mark.parametrize(
    ("files", "limit", "count"),
    [
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, None, 4),
        ({"sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5, 2),
        ({"sys/fs/cgroup/cpu.max": "20000 100000"}, 0.2, 1),
        (
            {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "300000 100000"},
            3.0,
            3,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "sys/fs/cgroup/a/cpu.max": "100000 100000",
            },
            1.0,
            1,
        ),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            2.0,
            2,
        ),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}, None, 4),
        ({"sys/fs/cgroup/cpu.max": "nonsense"}, None, 4),
    ],
)
def test_the_time_that_control_groups_grant_bounds_the_cores(
    tmp_path, machine, files, limit, count
):
    write(tmp_path, files)
    assert cpu_limit(tmp_path) == limit
    assert usable_cores(tmp_path) == count


def test_a_system_without_affinity_has_the_machines_cores(tmp_path, machine, monkeypatch):
    monkeypatch.setattr(cores, "allowed_cpus", lambda: None)
    assert usable_cores(tmp_path) == 4
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: None)
    assert usable_cores(tmp_path) == 1
