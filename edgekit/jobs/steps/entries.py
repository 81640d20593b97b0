"""Which variants are tried on which target, in which compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.runtime import Probe
from edgekit.core.target import Target

__all__ = ["COMPUTES", "PRECISIONS", "Plan", "plan_entries", "variants_needed"]

# int8 is the target's own dialect; with its name, a dialect is tried on another engine.
PRECISIONS = ("fp32", "fp16", "int8", "int8-u8s8", "int8-s8s8")
COMPUTES = ("fp32", "tf32", "bf16", "fp16")


@dataclass(frozen=True)
class Plan:
    """One entry to be made.

    Attributes:
        variant: Id of the variant, "int8-u8s8".
        precision: Its precision.
        compute: Float precision the engine may compute in.
    """

    target: Target
    probe: Probe
    variant: str
    precision: str
    compute: str

    def __str__(self) -> str:
        return f"{self.variant} on {self.target} in {self.compute}"


def plan_entries(
    targets: Sequence[tuple[Target, Probe]],
    precisions: Sequence[str],
    computes: Sequence[str],
) -> list[Plan]:
    """Lay out every (target, variant, compute), most faithful first.

    Args:
        targets: What was asked for, with what each offers.
        precisions: Asked for; empty means all that a target runs.
        computes: Asked for; empty means all that a target has.

    Raises:
        BadInput: A word that is no precision or compute, or one that a target does not offer.
    """
    for given, known in ((precisions, PRECISIONS), (computes, COMPUTES)):
        for word in given:
            if word not in known:
                raise BadInput(f"{word!r} is not a precision.", closest(word, known))
    plans: list[Plan] = []
    for target, probe in targets:
        for word in precisions or probe.precisions:
            precision = word.partition("-")[0]
            # What a target does not compute in is simulated: fp16 is written for another engine.
            if precision not in probe.precisions and precision != "fp16":
                raise BadInput(
                    f"{target} does not run {precision} on this machine.",
                    hint=f"It runs: {', '.join(probe.precisions)}.",
                )
            for compute in _computes(precision, probe, computes, str(target)):
                identifier = f"int8-{probe.dialect}" if word == "int8" else word
                plans.append(Plan(target, probe, identifier, precision, compute))
    return list(dict.fromkeys(plans))


def variants_needed(plans: Sequence[Plan]) -> list[str]:
    """Ids of the variants that the plans use, fp32 first, each once."""
    return sorted(
        {"fp32", *(plan.variant for plan in plans)}, key=lambda name: (name != "fp32", name)
    )


def _computes(precision: str, probe: Probe, asked: Sequence[str], target: str) -> list[str]:
    for word in asked:
        if word not in probe.computes:
            raise BadInput(
                f"{target} cannot compute in {word} on this machine.",
                hint=f"It offers: {', '.join(probe.computes)}.",
            )
    offered = [word for word in probe.computes if not asked or word in asked]
    if probe.typed and precision == "fp32":
        # tf32 is fp32 by its types.
        return [word for word in offered if word in ("fp32", "tf32")]
    if precision == "fp16":
        # Where nothing else is offered, the graph's types decide, or its arithmetic is simulated.
        return ["fp16"] if "fp16" in offered else offered[:1]
    if precision == "int8" and not asked and probe.int8_computes:
        return [word for word in offered if word in probe.int8_computes]
    return offered
