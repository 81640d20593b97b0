"""What is wrong with this machine or its installation: sentences, each with what mends it.

Metadata, device files and vendors' tools are read; no engine is imported and no device opened.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from edgekit.core.documents import Environment, JetsonFacts, NvidiaFacts
from edgekit.runtimes.catalogue import broken_entries
from edgekit.runtimes.compatibility import compatibility
from edgekit.runtimes.cuda_libraries import engine_needs
from edgekit.runtimes.host_problems import host_problems
from edgekit.runtimes.installed import installed, older_than
from edgekit.runtimes.jetson_problems import jetson_problems
from edgekit.runtimes.nvidia_problems import nvidia_problems
from edgekit.runtimes.ort_providers import FLAVOURS
from edgekit.runtimes.torch_pair import torch_pair_problem

__all__ = ["installation_problems", "problems"]

# Older ones bring an onnxruntime of their own, newer ones are a plugin beside it.
_PLUGIN_SINCE = {"onnxruntime-qnn": "2"}


def problems(
    environment: Environment,
    nvidia: NvidiaFacts | None,
    jetson: JetsonFacts | None,
    sites: Sequence[Path] | None = None,
) -> list[str]:
    """Everything that is wrong, the installation first.

    Args:
        environment: Of this machine.
        nvidia: See edgekit.runtimes.nvidia.
        jetson: See edgekit.runtimes.jetson.
        sites: Folders that Python imports from; None means this Python's.
    """
    needs = engine_needs(sites)
    seen = nvidia is not None and bool(nvidia.gpus or nvidia.driver or nvidia.on_bus)
    return [
        *installation_problems(gpu=seen or jetson is not None),
        *torch_pair_problem(sites),
        *nvidia_problems(nvidia, needs, on_jetson=jetson is not None),
        *jetson_problems(jetson, nvidia, needs),
        *host_problems(environment),
    ]


def installation_problems(*, gpu: bool = True) -> list[str]:
    """What is wrong with the installed packages.

    Args:
        gpu: Whether the machine has an NVIDIA GPU, or may have one; without it no package for it is
            advised.
    """
    found = []
    # All of these install into the one folder "onnxruntime", the last one over the others.
    flavours = installed(FLAVOURS)
    for name, since in _PLUGIN_SINCE.items():
        flavours |= {
            one: version for one, version in installed([name]).items() if older_than(version, since)
        }
    if len(flavours) > 1:
        for_gpu = gpu and "onnxruntime-gpu" in flavours
        names = [name for name in flavours if name != "onnxruntime-gpu"]
        keep = "onnxruntime-gpu" if for_gpu else names[0]
        found.append(
            f"{' and '.join(flavours)} are installed together and overwrite each other's files. "
            f"Run: pip uninstall -y {' '.join(flavours)} && pip install {keep}"
        )
    minimums = compatibility().minimums
    have = installed([row.distribution for row in minimums])
    for row in minimums:
        version = have.get(row.distribution)
        if version and older_than(version, row.version):
            found.append(
                f"{row.distribution} {version} is older than {row.version}. "
                f"Run: pip install --upgrade {row.distribution}"
            )
    if not flavours and sys.version_info < (3, 11):
        found.append(
            "onnxruntime stopped making wheels for Python 3.10 with 1.24. "
            "Run: pip install 'onnxruntime<1.24'"
        )
    for name, reason in broken_entries().items():
        found.append(f"The runtime {name!r} of another distribution does not load: {reason}.")
    return found
