"""Machines that are not here: files and answers as their vendor documents them.

Nothing below was taken from a real machine. Where a format comes from is said beside it.
"""

from __future__ import annotations

from edgekit.runtimes.vendor_tools import ToolOutput

# NVIDIA's driver README, chapter "The /proc file system": version and gpus/BUS/information.
# docs.nvidia.com: download.nvidia.com/XFree86/Linux-x86_64/580.82.07/README/procinterface.html
VERSION = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27 17:16:08 UTC 2025\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
)
OPEN_VERSION = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  "
    "(buildbrain@mobile-u64)  Wed Jan  8 01:49:37 UTC 2025\n"
)
INFORMATION = (
    "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 148\n"
    "GPU UUID: \t GPU-00000000-0000-0000-0000-000000000000\n"
    "Bus Type: \t PCIe\nBus Location: \t 0000:01:00.0\nGPU Excluded:\t No\n"
)
# nvidia-smi(1), --query-gpu with --format=csv,noheader,nounits: memory in MiB, "[N/A]" for what a
# card does not have. The order of the fields is ours. man.archlinux.org/man/nvidia-smi.1
RTX_4090 = "0, NVIDIA GeForce RTX 4090, 24564, 23987, 580.82.07, [N/A], 8.9\n"
TWO_WITH_MIG = (
    "0, NVIDIA H100 80GB HBM3, 81559, 81008, 570.124.06, Disabled, 9.0\n"
    "1, NVIDIA H100 80GB HBM3, 81559, 80900, 570.124.06, Enabled, 9.0\n"
)
# NVIDIA MIG user guide, "nvidia-smi -L". docs.nvidia.com/datacenter/tesla/mig-user-guide
LISTED_WITH_MIG = (
    "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000000)\n"
    "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000001)\n"
    "  MIG 1g.10gb     Device  0: (UUID: MIG-00000000-0000-0000-0000-000000000002)\n"
    "  MIG 3g.40gb     Device  1: (UUID: MIG-00000000-0000-0000-0000-000000000003)\n"
)
MISMATCH = (
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.82\n"
)
# nvidia-smi(1), "RETURN VALUE": 2 for an argument that it does not know.
UNKNOWN_FIELD = 'Field "compute_cap" is not a valid field to query.\n'

# Jetson Linux Developer Guide: r36.4.3 and r38.4, "Software Packages and the Update Mechanism" for
# nv_tegra_release; "Platform Power and Performance" for nvpmodel.conf, its status file and
# jetson_clocks. docs.nvidia.com/jetson/archives/r36.4.3/DeveloperGuide/
R36 = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
)
R38 = (
    "# R38 (release), REVISION: 4.0, GCID: 43443517, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Dec 31 00:00:00 UTC 2025\n"
)
ORIN_MODES = (
    "# < POWER_MODEL ID=9 NAME=MAXN_SUPER >\n"
    "< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n\n"
    "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n\n"
    "< POWER_MODEL ID=1 NAME=25W >\nCPU_ONLINE CORE_0 1\n\n"
    "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\nCPU_ONLINE CORE_0 1\n\n< PM_CONFIG DEFAULT=1 >\n"
)
THOR_MODES = "< POWER_MODEL ID=0 NAME=MAXN >\n\n< POWER_MODEL ID=1 NAME=120W >\n"
# deb822(5), as dpkg keeps it; the versions are those of NVIDIA's package server.
DPKG = (
    "Package: nvidia-jetpack\nStatus: install ok installed\nArchitecture: arm64\n"
    "Version: 6.2+b77\nDepends: nvidia-jetpack-runtime (= 6.2+b77)\n\n"
    "Package: nvidia-l4t-core\nStatus: install ok installed\nVersion: 36.4.3-20250107174145\n"
)
# proc(5), meminfo and swaps.
MEMINFO = (
    "MemTotal:        7802088 kB\nMemFree:          211232 kB\nMemAvailable:    1893456 kB\n"
    "SwapTotal:       3901032 kB\nSwapFree:        3901032 kB\n"
)
SWAPS = (
    "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    "/dev/zram0                              partition\t650168\t\t0\t\t5\n"
)
DISK_SWAP = "/swapfile                               file\t\t8388604\t\t1048576\t\t-2\n"


def write(root, files):
    """Lay out text or bytes by path."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def smi(query=None, listed="", status=0):
    """nvidia-smi: what it answers to a query and to -L; None where it is not installed."""

    def run(command):
        assert command[0] == "nvidia-smi"
        if query is None:
            return None
        return ToolOutput(status, listed if command[1] == "-L" else query)

    return run


def nothing(command):
    """A machine without the vendor's programs."""
    return


def desktop(root):
    """A desktop with one RTX 4090 and CUDA 13 of NVIDIA's packages."""
    return write(
        root,
        {
            "proc/driver/nvidia/version": VERSION,
            "proc/driver/nvidia/gpus/0000:01:00.0/information": INFORMATION,
            # ld.so.conf(5); Debian and Ubuntu include a folder, CUDA's packages add to it.
            "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n",
            "etc/ld.so.conf.d/000_cuda.conf": "# CUDA\n/usr/local/cuda-13.0/lib64\n",
            "usr/local/cuda-13.0/lib64/libcudart.so.13": "",
            "usr/local/cuda-13.0/lib64/libcudart.so.13.0.96": "",
            "usr/local/cuda-13.0/lib64/libcublas.so.13": "",
            "usr/local/cuda-13.0/lib64/libcublasLt.so.13": "",
            "usr/local/cuda-13.0/lib64/libcurand.so.10": "",
            "usr/lib/x86_64-linux-gnu/libcuda.so.1": "",
            "usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07": "",
            "usr/lib/x86_64-linux-gnu/libcudnn.so.9": "",
            "usr/lib/x86_64-linux-gnu/libcudnn_ops.so.9": "",
        },
    )


def orin(root):
    """A Jetson Orin Nano with JetPack 6.2 (R36.4.3), as it is delivered: 25W, clocks free."""
    cpu, gpu = "sys/devices/system/cpu/cpu0/cpufreq", "sys/class/devfreq/17000000.gpu"
    return write(
        root,
        {
            # Devicetree Specification, 2.3.1: strings that end in NUL.
            "proc/device-tree/model": b"NVIDIA Jetson Orin Nano Engineering Reference Developer "
            b"Kit Super\0",
            "proc/device-tree/compatible": b"nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005"
            b"\0nvidia,tegra234\0",
            "proc/driver/nvidia/version": OPEN_VERSION,
            "proc/meminfo": MEMINFO,
            "proc/swaps": SWAPS,
            "etc/nv_tegra_release": R36,
            "etc/nvpmodel.conf": ORIN_MODES,
            "var/lib/nvpmodel/status": "pmode:0001 fmode:fanNull\n",
            "var/lib/dpkg/status": DPKG,
            f"{cpu}/scaling_min_freq": "729600\n",
            f"{cpu}/scaling_max_freq": "1728000\n",
            f"{gpu}/min_freq": "306000000\n",
            f"{gpu}/max_freq": "1020000000\n",
            "usr/lib/aarch64-linux-gnu/libnvinfer.so.10": "",
            "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": "",
        },
    )


def thor(root):
    """A Jetson AGX Thor with JetPack 7.1 (R38.4), in its fastest mode with locked clocks."""
    cpu = "sys/devices/system/cpu/cpu0/cpufreq"
    return write(
        root,
        {
            "proc/device-tree/model": b"NVIDIA Jetson AGX Thor Developer Kit\0",
            "proc/device-tree/compatible": b"nvidia,p4071-0000+p3834-0008\0nvidia,tegra264\0",
            "proc/meminfo": "MemTotal: 128790100 kB\nMemAvailable: 120000000 kB\n",
            "proc/swaps": SWAPS + DISK_SWAP,
            "etc/nv_tegra_release": R38,
            "etc/nvpmodel.conf": THOR_MODES,
            "var/lib/nvpmodel/status": "pmode:0000 fmode:fanNull\n",
            f"{cpu}/scaling_min_freq": "2601000\n",
            f"{cpu}/scaling_max_freq": "2601000\n",
        },
    )
