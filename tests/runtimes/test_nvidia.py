"""GPUs and drivers of machines that are not here, by their documented formats."""

from __future__ import annotations

import sys

import machines
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.runtimes import vendor_tools
from edgekit.runtimes.nvidia import driver_version, gpus, no_gpu, nvidia
from edgekit.runtimes.vendor_tools import ToolOutput, ask
from edgekit.runtimes.words import ENGINES_UNTRIED

MIB = 1 << 20


def facts(root, run):
    return nvidia(root, run, sites=(), environ={})


@pytest.mark.parametrize(
    ("files", "without"),
    [
        ({"proc/cpuinfo": ""}, True),
        ({"proc/cpuinfo": "", "sys/bus/pci/devices/0/vendor": "0x8086"}, True),
        (
            {
                "proc/cpuinfo": "",
                "sys/bus/pci/devices/0/vendor": "0x10de",
                "sys/bus/pci/devices/0/class": "0x030200",
            },
            False,
        ),
        ({"proc/driver/nvidia/version": "NVRM"}, False),
        ({"proc/device-tree/compatible": "nvidia,p3768\0nvidia,tegra234\0"}, False),
        ({"proc/cpuinfo": "", "dev/dxg": ""}, False),
        ({"proc/cpuinfo": "", "dev/nvidia3": ""}, False),
        ({}, False),
    ],
)
def test_a_machine_has_no_gpu_only_where_the_kernel_says_so(tmp_path, files, without):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert no_gpu(tmp_path) is without


def test_a_desktop_with_one_card(tmp_path):
    found = facts(machines.desktop(tmp_path), machines.smi(machines.RTX_4090))
    assert found.driver == "580.82.07"
    (card,) = found.gpus
    assert (card.index, card.name, card.sm) == (0, "NVIDIA GeForce RTX 4090", 89)
    assert (card.memory_bytes, card.free_bytes) == (24564 * MIB, 23987 * MIB)
    assert card.driver == "580.82.07"
    assert not card.mig
    assert found.note == ENGINES_UNTRIED


def test_a_server_with_two_cards_one_of_them_in_instances(tmp_path):
    run = machines.smi(machines.TWO_WITH_MIG, machines.LISTED_WITH_MIG)
    found = facts(tmp_path, run)
    assert [(one.index, one.sm, one.mig) for one in found.gpus] == [(0, 90, False), (1, 90, True)]
    assert found.instances == ("1g.10gb", "3g.40gb")
    # In a container the kernel's files are often not there; nvidia-smi knows.
    assert found.driver == "570.124.06"


def test_without_nvidia_smi_the_kernel_gives_the_names(tmp_path):
    (card,) = gpus(machines.desktop(tmp_path), machines.nothing)
    assert (card.name, card.driver) == ("NVIDIA GeForce RTX 4090", "580.82.07")
    # What nobody told is not known, and never 0.
    assert card.sm is card.memory_bytes is card.free_bytes is None


def test_a_driver_that_does_not_know_compute_capability_is_asked_again(tmp_path):
    def run(command):
        if "compute_cap" in command[1]:
            return ToolOutput(2, machines.UNKNOWN_FIELD)
        return ToolOutput(0, "0, Tesla T4, 15360, 15000, 460.32.03, [N/A]\n")

    (card,) = gpus(tmp_path, run)
    assert (card.name, card.sm, card.memory_bytes) == ("Tesla T4", None, 15360 * MIB)


def test_what_nvidia_smi_says_where_it_fails_is_kept(tmp_path):
    found = facts(tmp_path, machines.smi(machines.MISMATCH, machines.MISMATCH, status=18))
    assert found.gpus == ()
    assert found.error == "Failed to initialize NVML: Driver/library version mismatch"


def test_an_orin_is_one_gpu_that_shares_the_memory(tmp_path):
    # nvidia-smi of JetPack 6 knows the name and no memory; of JetPack 5 there is none.
    row = "0, Orin (nvgpu), [N/A], [N/A], 540.4.0, [N/A], [N/A]\n"
    for run, name in (
        (machines.smi(row), "Orin (nvgpu)"),
        (machines.nothing, "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"),
    ):
        (card,) = gpus(machines.orin(tmp_path), run)
        assert (card.name, card.sm, card.driver) == (name, 87, "540.4.0")
        assert (card.memory_bytes, card.free_bytes) == (7802088 * 1024, 1893456 * 1024)


def test_a_thor_has_compute_capability_11(tmp_path):
    (card,) = gpus(machines.thor(tmp_path), machines.nothing)
    assert card.sm == 110


def test_a_card_without_its_driver_is_seen_on_the_bus(tmp_path):
    # sysfs-bus-pci of the kernel: vendor and class, in hexadecimal. The second is its HDMI sound.
    machines.write(
        tmp_path,
        {
            "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
            "sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
            "sys/bus/pci/devices/0000:01:00.1/vendor": "0x10de\n",
            "sys/bus/pci/devices/0000:01:00.1/class": "0x040300\n",
        },
    )
    assert facts(tmp_path, machines.nothing).on_bus == 1


def test_a_machine_without_anything_of_nvidias(tmp_path):
    assert facts(tmp_path, machines.nothing) is None
    assert gpus(tmp_path, machines.nothing) == ()
    assert driver_version(tmp_path) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\0\0",
        "No devices were found\n",
        "0\n",
        "0, NVIDIA\n",
        "x, NVIDIA, 1, 1, 1, Enabled, 8.9\n",
        '0, "NVIDIA, 1\n',
        "0, N, -1, 1e9, , , 89\n",
        f"0, N, {'9' * 5000}, 1, 1, Disabled, 8.9\n",
        "²,N,²,²,²,²,²\n",
    ],
)
def test_garbage_of_nvidia_smi_is_no_error(tmp_path, text):
    for status in (0, 2, -11):
        found = gpus(tmp_path, machines.smi(text, status=status))
        assert all(one.sm is None or one.sm < 1000 for one in found)
        facts(tmp_path, machines.smi(text, text, status=status))


@given(
    name=st.sampled_from(
        [
            "proc/driver/nvidia/version",
            "proc/driver/nvidia/gpus/0000:01:00.0/information",
            "proc/device-tree/compatible",
            "proc/meminfo",
            "etc/ld.so.conf",
        ]
    ),
    content=st.binary(max_size=300),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_in_a_file_are_an_error(tmp_path, name, content):
    facts(machines.write(machines.desktop(tmp_path), {name: content}), machines.nothing)


def test_files_that_are_folders_are_no_error(tmp_path):
    for name in ("proc/driver/nvidia/version", "proc/device-tree/model", "etc/ld.so.conf"):
        (tmp_path / name).mkdir(parents=True)
    assert facts(tmp_path, machines.nothing) is None


def test_a_program_is_asked_in_a_process_of_its_own(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask(["nvidia-smi"]) is None
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1])\n")
    program.chmod(0o755)
    assert ask(["nvidia-smi", "-L"]) == ToolOutput(0, "-L\n")
    program.write_text(f"#!{sys.executable}\nimport sys\nprint('out')\nsys.exit('no driver')\n")
    assert ask(["nvidia-smi"]) == ToolOutput(1, "out\n\nno driver")
    program.write_bytes(b"\x7fELF no program at all")
    assert ask(["nvidia-smi"]) is None


def test_a_program_that_hangs_is_left(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(vendor_tools, "_TIMEOUT_S", 0.2)
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(3600)\n")
    program.chmod(0o755)
    assert ask(["nvidia-smi"]) is None
