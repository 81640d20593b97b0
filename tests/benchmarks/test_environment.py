import time

import msgspec
import pytest

from edgekit.benchmarks.environment import differences, environment, instruction_set
from edgekit.core.documents import Environment


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def jetson(tmp_path):
    write(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp crc32\n"
            "CPU implementer\t: 0x41\nCPU part\t: 0xd42\n\nprocessor\t: 1\nFeatures\t: fp\n",
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "proc/1/cgroup": "0::/\n",
            "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510400\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "51250\n",
            "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n',
        },
    )
    return tmp_path


def test_a_jetson_is_known_by_its_board_power_mode_and_governor(jetson):
    found = environment(4, ["numpy"], root=jetson)
    assert found.identity["cpu"] == (
        "NVIDIA Jetson Orin Nano Developer Kit, CPU implementer 0x41 CPU part 0xd42"
    )
    assert found.identity["instruction_set"] == ["asimd", "asimdhp", "asimddp"]
    assert found.identity["power_mode"] == "nvpmodel 2"
    assert found.identity["governor"] == "schedutil"
    assert found.identity["threads"] == 4
    assert found.identity["os"] == "Ubuntu 22.04.4 LTS"
    assert found.observed["clock_mhz"] == [1510.4]
    assert found.observed["temperature_c"] == {"thermal_zone0 cpu-thermal": 51.25}
    assert found.observed["container"] is None


def test_a_pc_is_known_by_its_model_and_the_extensions_that_matter(tmp_path):
    write(
        tmp_path,
        {
            "proc/cpuinfo": "model name\t: Some CPU @ 2.7GHz\ncpu MHz\t\t: 2700.000\n"
            "flags\t\t: fpu sse4_2 avx2 avx512f avx512_vnni amx_int8\n",
            ".dockerenv": "",
            "proc/self/cgroup": "0::/box\n",
            "sys/fs/cgroup/box/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/box/memory.max": "1073741824\n",
        },
    )
    found = environment(None, [], root=tmp_path)
    assert found.identity["cpu"] == "Some CPU @ 2.7GHz"
    assert instruction_set(tmp_path) == ["sse4_2", "avx2", "avx512f", "avx512_vnni", "amx_int8"]
    assert found.identity["threads"] == found.identity["cores_physical"]
    assert found.observed["clock_mhz"] == [2700.0]
    assert found.observed["container"] == "docker"
    assert found.observed["cpu_limit"] == 1.5
    assert found.observed["memory_limit_bytes"] == 1 << 30


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({"sys/fs/cgroup/cpu.max": "max 100000", "sys/fs/cgroup/memory.max": "max"}, None, None),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            2.0,
            None,
        ),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}, None, None),
    ],
)
def test_limits_of_both_versions_of_control_groups_are_read(tmp_path, files, cpus, memory):
    write(tmp_path, files)
    found = environment(1, [], root=tmp_path).observed
    assert (found["cpu_limit"], found["memory_limit_bytes"]) == (cpus, memory)


def test_a_machine_that_tells_nothing_still_has_an_environment(tmp_path):
    found = environment(1, [], root=tmp_path)
    assert found.identity["governor"] is None
    assert found.identity["instruction_set"] == []
    assert found.observed["temperature_c"] is None


def test_only_installed_libraries_have_a_version():
    found = environment(1, ["numpy", "no-such-library"]).identity["versions"]
    assert list(found) == ["numpy"]


def test_describing_this_machine_is_quick_and_survives_json():
    best = min(_timed() for _ in range(3))
    assert best < 0.2
    first = environment(2)
    again = msgspec.json.decode(msgspec.json.encode(first), type=Environment)
    assert differences(first, again) == []


def _timed():
    # Its own time, which a machine that is busy elsewhere hardly changes.
    start = time.process_time()
    environment(2)
    return time.process_time() - start


def test_differing_keys_are_named_with_both_sides():
    a = Environment(
        identity={"cpu": "A", "threads": 2, "instruction_set": ["avx2"], "versions": {"x": "1"}},
        observed={"load_average": [0, 0, 0]},
    )
    b = Environment(
        identity={"cpu": "A", "threads": 4, "instruction_set": ["avx2", "fma"], "versions": {}},
        observed={"load_average": [9, 9, 9]},
    )
    assert differences(a, b) == [
        "instruction_set: avx2, avx2 fma",
        "threads: 2, 4",
        "versions.x: 1, absent",
    ]


@pytest.mark.parametrize(
    ("files", "virtual"),
    [
        ({"proc/cpuinfo": "processor : 0\nflags\t: fpu hypervisor avx2\n"}, True),
        ({"proc/cpuinfo": "processor : 0\nflags\t: fpu avx2\n"}, False),
        ({"proc/cpuinfo": "processor : 0\n", "sys/hypervisor/type": "xen"}, True),
        ({}, False),
    ],
)
def test_a_hypervisor_below_is_told(tmp_path, files, virtual):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert environment(None, root=tmp_path).observed["virtual"] is virtual
