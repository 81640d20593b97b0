"""What slows every engine on this machine: its CPU's instructions and its container's limits."""

from __future__ import annotations

from edgekit.core.documents import Environment
from edgekit.runtimes.words import gib

__all__ = ["host_problems"]

_MEASURE = "Measure before you choose it: edgekit bench BUNDLE@fp32 --against BUNDLE@int8"
_INTEL = ("x86_64", "AMD64", "amd64")
_ARM = ("aarch64", "arm64")


def host_problems(environment: Environment) -> list[str]:
    """Return sentences on CPU and container.

    Args:
        environment: Where the instruction set is empty, nothing is said of it: not every system
            tells.
    """
    found = []
    flags = set(environment.identity.get("instruction_set") or ())
    machine = environment.identity.get("architecture")
    if flags and machine in _INTEL:
        if "avx2" not in flags:
            found.append(
                "This CPU has no AVX2, which the engines' fast kernels are written for: all "
                "precisions are slow on it. Run it on another machine."
            )
        if not flags & {"avx_vnni", "avx512_vnni", "amx_int8"}:
            found.append(
                "This CPU has no VNNI instructions: int8 may be no faster than fp32 on it. "
                + _MEASURE
            )
    if flags and machine in _ARM and not flags & {"asimddp", "i8mm"}:
        found.append(
            "This CPU has no dot product instructions (asimddp): int8 may be no faster than fp32 "
            "on it. " + _MEASURE
        )
    memory = environment.observed.get("memory_bytes")
    limit = environment.observed.get("memory_limit_bytes")
    if memory and limit and limit < memory:
        found.append(
            f"This container may use {gib(limit)} of the machine's {gib(memory)}; a process that "
            "takes more is killed without a word. Run: docker update --memory=SIZE CONTAINER"
        )
    return found
