"""Jetson boards that are not here, by the formats of Jetson Linux's Developer Guide."""

from __future__ import annotations

import machines
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.runtimes.jetson import jetson
from edgekit.runtimes.words import UNTRIED


def test_an_orin_with_jetpack_6(tmp_path):
    board = jetson(machines.orin(tmp_path))
    assert board.model.startswith("NVIDIA Jetson Orin Nano")
    assert (board.chip, board.l4t, board.jetpack) == ("tegra234", "36.4.3", "6.2")
    assert (board.power_mode, board.power_mode_id, board.power_mode_max_id) == ("25W", 1, 2)
    assert board.clocks_locked is False
    assert (board.memory_bytes, board.available_bytes) == (7802088 * 1024, 1893456 * 1024)
    # zram is the same memory, compressed.
    assert (board.swap_bytes, board.swap_free_bytes) == (0, 0)
    assert board.note == UNTRIED


def test_a_thor_with_jetpack_7(tmp_path):
    board = jetson(machines.thor(tmp_path))
    # No package nvidia-jetpack: its release follows from that of Jetson Linux.
    assert (board.chip, board.l4t, board.jetpack) == ("tegra264", "38.4.0", "7.1")
    assert (board.power_mode, board.power_mode_max_id) == ("MAXN", 0)
    assert board.clocks_locked is True
    assert board.swap_bytes == 8388604 * 1024
    assert board.swap_free_bytes == (8388604 - 1048576) * 1024


def test_a_gpu_whose_clock_moves_is_not_locked(tmp_path):
    gpu = "sys/class/devfreq/gpu-gpc-0"
    root = machines.thor(tmp_path)
    machines.write(root, {f"{gpu}/min_freq": "300000000", f"{gpu}/max_freq": "1575000000"})
    assert jetson(root).clocks_locked is False


def test_a_release_without_its_file_is_known_by_its_package(tmp_path):
    root = machines.orin(tmp_path)
    (root / "etc/nv_tegra_release").unlink()
    assert jetson(root).l4t == "36.4.3"
    # A package that was removed leaves its entry behind.
    gone = machines.DPKG.replace("install ok installed", "deinstall ok config-files")
    machines.write(root, {"var/lib/dpkg/status": gone})
    assert (jetson(root).l4t, jetson(root).jetpack) == ("", "")


@pytest.mark.parametrize(
    ("modes", "best"),
    [
        (("0 15W", "1 7W"), 0),
        (("0 MAXN", "1 10W", "2 15W", "3 50W"), 0),
        (("0 15W", "1 25W", "2 MAXN_SUPER", "3 7W"), 2),
        (("0 MAXN", "8 MAXN_SUPER"), 8),
        ((), None),
    ],
)
def test_the_fastest_mode_goes_by_its_name_and_not_its_number(tmp_path, modes, best):
    lines = (f"< POWER_MODEL ID={number} NAME={name} >\n" for number, name in map(str.split, modes))
    machines.write(machines.orin(tmp_path), {"etc/nvpmodel.conf": "".join(lines)})
    assert jetson(tmp_path).power_mode_max_id == best


def test_any_other_machine_is_no_jetson(tmp_path):
    assert jetson(tmp_path) is None
    machines.write(
        tmp_path, {"proc/device-tree/compatible": b"raspberrypi,5-model-b\0brcm,bcm2712\0"}
    )
    assert jetson(tmp_path) is None


@given(
    name=st.sampled_from(
        [
            "etc/nv_tegra_release",
            "etc/nvpmodel.conf",
            "var/lib/nvpmodel/status",
            "var/lib/dpkg/status",
            "proc/meminfo",
            "proc/swaps",
            "proc/device-tree/model",
            "sys/class/devfreq/17000000.gpu/min_freq",
        ]
    ),
    content=st.one_of(
        st.binary(max_size=200),
        st.sampled_from([b"", b"R36 (release), REV", b"pmode:", b"9" * 400, b"/dev/x file 9 -1 0"]),
    ),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_in_a_file_are_an_error(tmp_path, name, content):
    assert jetson(machines.write(machines.orin(tmp_path), {name: content})) is not None
