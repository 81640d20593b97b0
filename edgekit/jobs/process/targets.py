"""Targets of this machine: parsed, and probed for whether they can be used."""

from __future__ import annotations

from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.runtime import (
    Building,
    Probe,
)
from edgekit.core.target import Target
from edgekit.runtimes.catalogue import load_runtime, parse_target

__all__ = ["buildable", "usable"]


def usable(text: str) -> tuple[Target, Probe]:
    """Parse a target and make sure that this machine has it.

    Raises:
        BadInput: No such target; names the closest.
        Unavailable: The engine or the device is not here; says why, and the fix.
    """
    target = parse_target(text)
    probe = load_runtime(target.runtime).probe(target)
    if not probe.usable:
        raise Unavailable(
            f"{target} cannot be used here: {_sentence(probe.reason)}", hint=probe.fix
        )
    return target, probe


def buildable(text: str, sm: tuple[int, ...]) -> tuple[Target, Probe]:
    """Parse a target and make sure that engines for other GPUs than this machine's can be built.

    Args:
        text: The target.
        sm: GPU architectures, 89 for compute capability 8.9.

    Raises:
        BadInput: No such target, or one that builds for this machine only.
        Unavailable: The engine's library is not here.
    """
    target = parse_target(text)
    runtime = load_runtime(target.runtime)
    if not isinstance(runtime, Building):
        raise BadInput(
            f"{target} is compiled on the machine that runs it, so it takes no --sm.",
            hint="Leave --sm out, or choose --target tensorrt-rtx.",
        )
    probe = runtime.probe_build(target, sm)
    if not probe.usable:
        raise Unavailable(
            f"{target} cannot be built here: {_sentence(probe.reason)}", hint=probe.fix
        )
    return target, probe


def _sentence(reason: str) -> str:
    return reason if reason.endswith(".") else f"{reason}."
