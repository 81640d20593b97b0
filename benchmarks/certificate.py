"""From figures to the eight checks of a certificate; pure functions, nothing is run here."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from edgekit.benchmarks.agreement import Agreement
from edgekit.benchmarks.shift import Shift
from edgekit.core.certificate import CHECKS, Certificate, Check, Limits, Metric, Verdict
from edgekit.core.parity import SQNR_LIMIT_DB, TensorParity, rows_told
from edgekit.core.runtime import Array, NodePlacement, Placement
from edgekit.core.variant import EntryName

__all__ = [
    "LEAST_DETECTIONS",
    "Figures",
    "ShapeCase",
    "Simulated",
    "certify",
    "check_agreement",
    "check_confidence_shift",
    "check_finite",
    "check_metric",
    "check_parity",
    "check_placement",
    "check_repeatable",
    "check_shapes",
    "compare_runs",
    "computed_in",
    "entry_precision",
    "fell_back",
    "images_needed",
    "judge_simulated",
    "parity_limit",
    "parity_verdict",
    "require_proven",
    "spoiled_sums",
    "worse",
]

# Fewer detections of the reference prove no agreement (DESIGN.md, section 6).
LEAST_DETECTIONS = 200
# An int8 graph keeps a float remainder; below this part of its quantized share it was not run as
# int8. The same part of the float arithmetic must run in the `compute` that was asked for.
_EXECUTED_PART = 0.5
# Float arithmetic below this share of a graph is a remainder whose precision decides nothing.
_REMAINDER = 0.01
# Figures are sums of floats: one part in 10^9 over a limit is on the limit.
_SLACK = 1e-9
# The tasks whose results can be scored and compared.
_ANSWERING = ("classification", "detection", "segmentation")
_FLOATS = ("fp64", "fp32", "fp16", "bf16")
# A runtime's word for what it cannot see into.
_UNKNOWN = "unknown"
_MOST_NODES = 10
# An error ten times as large as what rounding makes of the source's own answer is no rounding.
_BEYOND_ROUNDING_DB = 20.0


@dataclass(frozen=True)
class Simulated:
    """What an fp16 graph answers in fp16 arithmetic, where its engine computes wider.

    Attributes:
        outputs: Against the reference, sums added up in fp32; empty where it was not simulated.
        narrow: Sums added up in fp16, against those added up in fp32.
        nodes: The same at each reduction, by the name of its node, in the graph's order.
        reason: Why it was not simulated; else empty.
    """

    outputs: Mapping[str, TensorParity] = field(default_factory=dict)
    narrow: Mapping[str, TensorParity] = field(default_factory=dict)
    nodes: Mapping[str, TensorParity] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Figures:
    """Everything that was found about one entry.

    Attributes:
        outputs: Output (prefixed with "role/" where there are several graphs) to its differences.
        metric: None without labels, and for a raw model.
        agreement: None for a raw model, and without images.
        shift: Likewise.
        placement: None where the engine does not tell.
        differing: Elements that two runs on one input gave differently; None where not tried.
        difference: Largest absolute difference of those two runs; None where not tried.
        broken_node: Name of the first node whose output leaves the limit of parity; may be empty.
        simulated: Where the engine computed an fp16 graph wider: what fp16 makes of it. Metric,
            agreement and shift are then those of the simulation, `outputs` those of the engine.
    """

    outputs: Mapping[str, TensorParity] = field(default_factory=dict)
    metric: Metric | None = None
    agreement: Agreement | None = None
    shift: Shift | None = None
    placement: Placement | None = None
    differing: int | None = None
    difference: float | None = None
    broken_node: str = ""
    simulated: Simulated | None = None


@dataclass(frozen=True)
class ShapeCase:
    """One size at which an exported graph was run beside its source.

    Attributes:
        role: Of the graph.
        sizes: Dynamic axis to its size; empty where every axis is fixed.
        outputs: Output to its SQNR against the source, dB.
        noise_db: Output to the SQNR of the source's answer against its own answer where inputs and
            weights are moved by rounding, dB; one that is missing is not known to move.
    """

    role: str
    sizes: Mapping[str, int]
    outputs: Mapping[str, float]
    noise_db: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = ", ".join(f"{axis}={size}" for axis, size in self.sizes.items())
        return f"at {sizes or 'its fixed shape'}"


def certify(
    entry: EntryName,
    figures: Figures,
    limits: Limits,
    *,
    shapes: Check,
    task: str,
    precision: str,
    devices: Collection[str],
    quantized_share: float | None = None,
    quantized_by_graph: Mapping[str, float] = MappingProxyType({}),
    growing: Sequence[str] = (),
    simulated: bool = False,
    tolerance: float = 0.0,
    unscored: str = "",
) -> Certificate:
    """Judge all figures of one entry.

    A model without answers of its own (raw, audio, text) has no agreement and no confidence shift,
    and its metric is UNVERIFIED. Where an
    output is not finite, the figures made of it mean nothing: they are UNVERIFIED and `finite`
    alone is the FAIL.

    Args:
        entry: What the certificate is about.
        figures: What was found.
        limits: The budget.
        shapes: Of the exported graph that the variant was made of, see `check_shapes`.
        task: As in the card.
        precision: The variant's: "fp32", "fp16" or "int8".
        devices: The names that the engine gives to the device asked for.
        quantized_share: Share of the graphs' FLOPs that is quantized, for an int8 variant.
        quantized_by_graph: Likewise of each graph, by role.
        growing: State whose growth the ranges of an int8 variant do not hold.
        simulated: Whether its Q/DQ are in the dialect of another engine.
        tolerance: Largest difference of two runs on one input; 0 on a CPU.
        unscored: Why there is no metric, without a full stop, where that is known.
    """
    outputs = figures.outputs
    if figures.simulated is not None:
        outputs = worse(outputs, figures.simulated.outputs)
    checks = {
        "finite": check_finite(outputs),
        "parity": check_parity(
            outputs,
            precision,
            entry.compute,
            min_parity=limits.min_parity,
            broken_node=figures.broken_node,
            growing=growing,
        ),
        "metric": check_metric(figures.metric, limits.max_drop, task=task, unscored=unscored),
        "placement": check_placement(
            figures.placement,
            devices=devices,
            precision=precision,
            compute=entry.compute,
            quantized_share=quantized_share,
            quantized_by_graph=quantized_by_graph,
            simulated=simulated,
            allow_fallback=limits.allow_fallback,
        ),
        "repeatable": check_repeatable(figures.differing, figures.difference, tolerance=tolerance),
        "shapes": shapes,
    }
    if task in _ANSWERING:
        checks["agreement"] = check_agreement(figures.agreement, limits.min_agreement)
        checks["confidence_shift"] = check_confidence_shift(figures.shift, limits.max_shift)
    if checks["finite"].verdict == "FAIL":
        for name in ("parity", "metric", "agreement", "confidence_shift"):
            if name in checks:
                checks[name] = msgspec.structs.replace(
                    checks[name],
                    verdict="UNVERIFIED",
                    proven=None,
                    reason="Not judged: an output is not finite.",
                )
    if figures.simulated is not None:
        checks = judge_simulated(checks, figures.simulated)
    if limits.require_proven:
        checks = {name: require_proven(check) for name, check in checks.items()}
    placement = figures.placement
    return Certificate(
        target=entry.target,
        variant=entry.variant,
        compute=entry.compute,
        executed_precision="unknown" if placement is None else placement.executed_precision,
        checks={name: checks[name] for name in CHECKS if name in checks},
        metric=figures.metric,
    )


def entry_precision(precision: str, compute: str) -> str:
    """Return the lower of a variant's precision and its compute, the one parity is judged by."""
    return min((compute, precision), key=lambda name: SQNR_LIMIT_DB[name])


def computed_in(precision: str, placement: Placement) -> bool:
    """Say whether at least half of the float arithmetic ran in a precision."""
    shares = placement.share_by_precision()
    total = math.fsum(share for name, share in shares.items() if name in (*_FLOATS, _UNKNOWN))
    return shares.get(precision, 0.0) >= _EXECUTED_PART * total - _SLACK


def worse(
    one: Mapping[str, TensorParity], other: Mapping[str, TensorParity]
) -> dict[str, TensorParity]:
    """Return the worse figures of each output; finite where it is so in both."""
    found = dict(one)
    for name, parity in other.items():
        lower = min(found.get(name, parity), parity, key=lambda each: each.sqnr_db)
        finite = found.get(name, parity).finite and parity.finite
        found[name] = msgspec.structs.replace(lower, finite=finite)
    return found


def judge_simulated(checks: Mapping[str, Check], simulated: Simulated) -> dict[str, Check]:
    """Say of each check that arithmetic decides how fp16 was judged.

    What passes where sums are added up in fp32 and not where they are added up in fp16 is
    UNVERIFIED: how an engine adds up is its own business. Likewise what was not simulated.

    Args:
        checks: Of outputs that are the worse of the engine's and the simulation's.
        simulated: What the simulation found.
    """
    found = dict(checks)
    for name in _ARITHMETIC:
        check = found.get(name)
        if check is None:
            continue
        if simulated.reason and check.verdict == "PASS":
            found[name] = msgspec.structs.replace(
                check,
                verdict="UNVERIFIED",
                proven=None,
                reason="As far as the engine tells, it computed fp16 wider, and fp16 was not "
                f"simulated: {simulated.reason}",
            )
        elif not simulated.reason:
            details = {**check.details, "arithmetic": "fp16, simulated"}
            found[name] = msgspec.structs.replace(check, details=details)
    parity = found.get("parity")
    if parity is not None and parity.verdict == "PASS" and parity.limit is not None:
        spoiled = spoiled_sums(simulated, parity.limit)
        if spoiled:
            parity = msgspec.structs.replace(parity, verdict="UNVERIFIED", reason=spoiled)
        elif not parity.reason:
            parity = msgspec.structs.replace(parity, reason=_IN_SIMULATION)
        found["parity"] = parity
    return found


def spoiled_sums(simulated: Simulated, limit: float) -> str:
    """Say what adding up in fp16 does to outputs that are right otherwise; empty where nothing.

    Args:
        simulated: Its `narrow` and `nodes`.
        limit: Of parity, dB.
    """
    lost = next((name for name, parity in simulated.nodes.items() if not parity.finite), "")
    if lost:
        return f"Added up in fp16, the sums of {lost!r} leave its range. {_WHO_ADDS}"
    poor = [parity.sqnr_db for parity in simulated.narrow.values() if parity.sqnr_db < limit]
    if not poor:
        return ""
    nodes = {name: parity.sqnr_db for name, parity in simulated.nodes.items()}
    off = [name for name, figure in nodes.items() if figure < limit]
    node = next(iter(off), min(nodes, key=lambda name: nodes[name], default="a reduction"))
    return f"Added up in fp16, {node!r} moves the output to {min(poor):.1f} dB. {_WHO_ADDS}"


def parity_verdict(sqnr_db: float, unjudged: int, limit: float) -> Verdict:
    """Judge an output by its SQNR, dB; a PASS says nothing of rows that could not be judged."""
    if sqnr_db < limit - _SLACK:
        return "FAIL"
    return "UNVERIFIED" if unjudged else "PASS"


def parity_limit(precision: str, compute: str, min_parity: float | None = None) -> float:
    """Return the SQNR that the worst output of an entry must reach, dB.

    Args:
        precision: The variant's.
        compute: The entry's.
        min_parity: What the user asked for, dB; None means the limit of the entry's precision.
    """
    if min_parity is not None:
        return min_parity
    return SQNR_LIMIT_DB[entry_precision(precision, compute)]


def check_finite(outputs: Mapping[str, TensorParity]) -> Check:
    """No NaN and no Inf on any input; the figure is the number of outputs that hold one."""
    if not outputs:
        return Check(verdict="UNVERIFIED", limit=0, reason="No output was looked at.")
    broken = [name for name, parity in outputs.items() if not parity.finite]
    if not broken:
        return Check(verdict="PASS", value=0, limit=0)
    return Check(
        verdict="FAIL",
        value=len(broken),
        limit=0,
        reason=f"The output {_names(broken)} holds NaN or Inf.",
        details={"outputs": broken},
    )


def check_parity(
    outputs: Mapping[str, TensorParity],
    precision: str,
    compute: str,
    *,
    min_parity: float | None = None,
    broken_node: str = "",
    growing: Sequence[str] = (),
) -> Check:
    """SQNR of the worst output, dB, against the limit of the entry.

    An output that is not finite is the matter of `finite` and not judged here.

    Args:
        outputs: Output to its differences from the reference.
        precision: The variant's.
        compute: The entry's.
        min_parity: See parity_limit.
        broken_node: First node whose output leaves the limit, where it was looked for.
        growing: State whose growth the ranges do not hold: what passes here may fail later.
    """
    judged_by = entry_precision(precision, compute)
    limit = parity_limit(precision, compute, min_parity)
    details: dict[str, Any] = {
        "precision": judged_by,
        "outputs": {name: _plain(parity) for name, parity in outputs.items()},
    }
    finite = {name: parity for name, parity in outputs.items() if parity.finite}
    if not finite:
        return Check(
            verdict="UNVERIFIED",
            limit=limit,
            reason="There is no finite output to compare.",
            details=details,
        )
    worst = min(finite, key=lambda name: finite[name].sqnr_db)
    value = finite[worst].sqnr_db
    if value >= limit - _SLACK and growing:
        reason = (
            f"The state {_names(growing)} grew as long as calibration followed it: the ranges hold "
            "the calls that were compared, and not those that come later."
        )
        return Check(verdict="UNVERIFIED", value=value, limit=limit, reason=reason, details=details)
    told = rows_told((name, one.moved, one.unjudged) for name, one in finite.items())
    verdict = parity_verdict(value, sum(one.unjudged for one in finite.values()), limit)
    if verdict != "FAIL":
        return Check(verdict=verdict, value=value, limit=limit, reason=told, details=details)
    needs = f"{judged_by} needs" if min_parity is None else "asked for are"
    reason = f"The output {worst!r} reaches {value:.1f} dB; {needs} {limit:g} dB"
    if broken_node:
        details["broken_node"] = broken_node
        reason += f", and the first node out of it is {broken_node!r}"
    return Check(verdict="FAIL", value=value, limit=limit, reason=f"{reason}.", details=details)


def check_metric(metric: Metric | None, max_drop: float, *, task: str, unscored: str = "") -> Check:
    """Paired drop of the task metric, in points (hundredths).

    The verdict judges the drop itself; `proven` says whether the interval's upper end is within
    the limit too, and `details["images_missing"]` about how many images that still needs.

    Args:
        metric: None where there is none.
        max_drop: In points.
        task: As in the card, for the reason.
        unscored: Why there is none, without a full stop, where that is known.
    """
    if metric is None:
        known = task in _ANSWERING
        why = (
            (unscored or "there is no labelled data")
            if known
            else f"the task {task!r} has no metric"
        )
        return Check(verdict="UNVERIFIED", limit=max_drop, reason=f"Not judged: {why}.")
    if metric.drop is None or metric.drop_high is None:
        return Check(
            verdict="UNVERIFIED",
            limit=max_drop,
            reason="Not judged: the reference was not scored on the same images.",
        )
    drop, high = 100 * metric.drop, 100 * metric.drop_high
    details: dict[str, Any] = {"metric": metric.name, "n": metric.n, "drop_high_points": high}
    proven = high <= max_drop + _SLACK
    if drop > max_drop + _SLACK:
        return Check(
            verdict="FAIL",
            value=drop,
            limit=max_drop,
            proven=False,
            reason=f"{metric.name} drops by {drop:.2f} points; {max_drop:g} are allowed.",
            details=details,
        )
    reason = ""
    if not proven:
        needed = images_needed(metric, max_drop)
        missing = None if needed is None else max(1, needed - metric.n)
        details["images_missing"] = missing
        more = "no number of images" if missing is None else f"about {_round(missing)} more images"
        reason = f"The drop may be as large as {high:.2f} points; {more} would settle it."
    return Check(
        verdict="PASS", value=drop, limit=max_drop, proven=proven, reason=reason, details=details
    )


def images_needed(metric: Metric, max_drop: float) -> int | None:
    """Return about how many images bring the upper end of the drop's interval to the limit.

    The width of an interval shrinks with the square root of the number of images, the drop itself
    taken as it is.

    Args:
        metric: With a paired drop.
        max_drop: In points.

    Returns:
        The number in all, not below metric.n; None where the drop itself is on or over the limit.
    """
    if metric.drop is None or metric.drop_high is None:
        return None
    room = max_drop / 100 - metric.drop
    if room <= _SLACK:
        return None
    return max(metric.n, math.ceil(metric.n * ((metric.drop_high - metric.drop) / room) ** 2))


def check_agreement(agreement: Agreement | None, min_agreement: float) -> Check:
    """Share of the reference's answers that the entry gives as well, 0 to 1.

    `proven` where the interval's lower end is within the limit and, for detectors, the reference
    found at least 200 objects.
    """
    if agreement is None:
        return Check(
            verdict="UNVERIFIED", limit=min_agreement, reason="Not judged: there is no image."
        )
    details: dict[str, Any] = msgspec.to_builtins(agreement)
    few = agreement.unit == "detections" and agreement.n < LEAST_DETECTIONS
    reason = ""
    if agreement.value < min_agreement - _SLACK:
        return Check(
            verdict="FAIL",
            value=agreement.value,
            limit=min_agreement,
            proven=False,
            reason=(
                f"{agreement.value:.3f} of the answers agree with the reference; "
                f"{min_agreement:g} are needed."
            ),
            details=details,
        )
    if few:
        reason = (
            f"The reference found {agreement.n} objects; {LEAST_DETECTIONS} are needed as a proof."
        )
    elif agreement.low < min_agreement - _SLACK:
        reason = f"The agreement may be as low as {agreement.low:.3f}; more images would settle it."
    return Check(
        verdict="PASS",
        value=agreement.value,
        limit=min_agreement,
        proven=not reason,
        reason=reason,
        details=details,
    )


def check_confidence_shift(shift: Shift | None, max_shift: float) -> Check:
    """Magnitude of the median change of confidence, 0 to 1; its p90 is told beside it."""
    if shift is None or shift.median is None:
        return Check(
            verdict="UNVERIFIED",
            limit=max_shift,
            reason="Not judged: no answer of the reference was found again.",
        )
    value = abs(shift.median)
    within = value <= max_shift + _SLACK
    direction = "less" if shift.median < 0 else "more"
    return Check(
        verdict="PASS" if within else "FAIL",
        value=value,
        limit=max_shift,
        reason=(
            ""
            if within
            else f"Answers are {value:.3f} {direction} sure than the reference's at the median; "
            f"{max_shift:g} is allowed."
        ),
        details={"median": shift.median, "p90": shift.p90, "n": shift.n},
    )


# The checks that the engine's arithmetic decides.
_ARITHMETIC = ("finite", "parity", "metric", "agreement", "confidence_shift")
_IN_SIMULATION = "Judged by a simulation of fp16: as far as the engine tells, it computed wider."
_WHO_ADDS = "Engines that add up in fp32 are within the limit."
_SIMULATED = (
    "It is in the dialect of another engine: here its rounding was simulated in float, so its "
    "accuracy is shown and where it runs is not."
)
_COMPUTED_WIDER = (
    "The graph is fp16, and this engine does not compute in it: its accuracy can be simulated, "
    "and where it runs is not shown."
)


def check_placement(
    placement: Placement | None,
    *,
    devices: Collection[str],
    precision: str,
    compute: str,
    quantized_share: float | None = None,
    quantized_by_graph: Mapping[str, float] = MappingProxyType({}),
    simulated: bool = False,
    allow_fallback: bool = False,
) -> Check:
    """Where and in which precision the arithmetic ran, by share of FLOPs.

    Four things must hold: all of it on the device asked for; none of it in a precision that was
    not asked for (fp32 is always welcome); an int8 graph ran at least half of its quantized share
    in int8; and of the float arithmetic at least half ran in `compute`. What only moves data may
    be elsewhere; it is told. The figure and limit are those of the first that fails, else the
    share on the device. Where the engine does not tell the precision of a part ("unknown") and
    nothing is wrong with the rest, that is UNVERIFIED. So is an fp16 graph that was computed wider:
    its arithmetic is not what the graph asks for, and no less.

    Args:
        placement: Read from the engine's own graph; None where it does not tell.
        devices: The names that the engine gives to the device asked for, in any case of letters.
        precision: The variant's: "fp32", "fp16" or "int8".
        compute: The entry's.
        quantized_share: Share of the graphs' FLOPs that is quantized; None where not known.
        quantized_by_graph: Likewise of each graph, by role; one without any is told.
        simulated: Whether its Q/DQ are in the dialect of another engine, which is to run it. Then
            this engine rounds as they say and may compute in float: whether int8 is executed is
            UNVERIFIED.
        allow_fallback: Whether all of this is allowed; it is told nevertheless.
    """
    if placement is None or not placement.nodes:
        return Check(
            verdict="UNVERIFIED", limit=1.0, reason="The engine does not tell what ran where."
        )
    by_device, by_precision = placement.share_by_device(), placement.share_by_precision()
    on_device, elsewhere, where = _whereabouts(placement, devices)
    details: dict[str, Any] = {
        "devices": by_device,
        "precisions": by_precision,
        "quantized_share": quantized_share,
        "quantized_by_graph": dict(quantized_by_graph),
        "elsewhere": [
            f"{node.name} ({node.op}) on {node.device}" for node in elsewhere[:_MOST_NODES]
        ],
        "elsewhere_nodes": len(elsewhere),
    }
    faults: list[tuple[str, float, float]] = []
    if where:
        faults.append((where, on_device, 1.0))
    wrong = _precision_faults(by_precision, precision, compute, quantized_share)
    if simulated and not faults and wrong:
        return Check(
            verdict="UNVERIFIED",
            value=by_precision.get("int8", 0.0),
            limit=1.0,
            reason=_SIMULATED,
            details=details,
        )
    faults += wrong
    if not faults:
        told = f"{len(elsewhere)} nodes that only move data ran elsewhere." if elsewhere else ""
        floats = [role for role, share in quantized_by_graph.items() if not share]
        if floats:
            told = f"The graph {_names(floats)} is float in this variant. {told}".strip()
        hidden = by_precision.get(_UNKNOWN, 0.0)
        verdict: Verdict = "PASS"
        if hidden > _SLACK:
            verdict = "PASS" if allow_fallback else "UNVERIFIED"
            told = (
                f"{hidden:.1%} of the arithmetic ran in parts that the provider compiled itself; "
                f"it does not tell in which precision. {told}"
            ).strip()
        elif precision == "fp16" and not computed_in(precision, placement):
            verdict = "PASS" if allow_fallback else "UNVERIFIED"
            told = f"{_COMPUTED_WIDER} {told}".strip()
        return Check(verdict=verdict, value=on_device, limit=1.0, reason=told, details=details)
    _, value, limit = faults[0]
    reason = "; ".join(fault for fault, _, _ in faults)
    if allow_fallback:
        reason += " (allowed)"
    return Check(
        verdict="PASS" if allow_fallback else "FAIL",
        value=value,
        limit=limit,
        reason=f"{reason}.",
        details=details,
    )


def fell_back(placement: Placement, devices: Collection[str]) -> str:
    """Say what of the arithmetic ran on another device than asked for; empty where nothing did.

    Args:
        placement: Read from the engine's own graph.
        devices: The names that the engine gives to the device asked for, in any case of letters.
    """
    return _whereabouts(placement, devices)[2]


def _whereabouts(
    placement: Placement, devices: Collection[str]
) -> tuple[float, list[NodePlacement], str]:
    """Share of the arithmetic on the device, nodes elsewhere, and what of it counts, in words."""
    wanted = {name.casefold() for name in devices}
    shares = placement.share_by_device()
    on_device = math.fsum(shares[name] for name in shares if name.casefold() in wanted)
    elsewhere = [node for node in placement.nodes if node.device.casefold() not in wanted]
    if on_device >= 1 - _SLACK or not elsewhere:
        return on_device, elsewhere, ""
    first = next((node for node in elsewhere if node.flops), elsewhere[0])
    where = f"{1 - on_device:.1%} of the arithmetic ran on {first.device}, {first.name!r} first"
    return on_device, elsewhere, where


def check_repeatable(
    differing: int | None, difference: float | None = None, *, tolerance: float = 0.0
) -> Check:
    """The same input twice gives the same output.

    Args:
        differing: Elements that differ between two runs; judged where `tolerance` is 0 (bitwise).
        difference: Largest absolute difference; judged against a `tolerance` above 0.
        tolerance: 0 on a CPU.
    """
    value = differing if tolerance == 0 else difference
    if value is None:
        return Check(
            verdict="UNVERIFIED", limit=tolerance, reason="No input was run a second time."
        )
    details = {
        "differing": differing,
        "difference": difference if difference is not None and math.isfinite(difference) else None,
    }
    if value <= tolerance:
        return Check(verdict="PASS", value=float(value), limit=tolerance, details=details)
    how = f"{differing} elements differ" if tolerance == 0 else f"they differ by {value:.3g}"
    return Check(
        verdict="FAIL",
        value=float(value) if math.isfinite(value) else None,
        limit=tolerance,
        reason=f"Two runs on one input gave two outputs: {how}.",
        details=details,
    )


def check_shapes(
    outputs: Mapping[str, float],
    cases: Sequence[ShapeCase],
    *,
    limit: float,
    generated: bool,
    unjudged: Sequence[str] = (),
) -> Check:
    """SQNR of the worst output of the exported graph against its source, dB, over all sizes.

    A graph is wrong where its error is far beyond what rounding makes of the source's own answer.
    Where rounding alone moves the source's answer by that much, or the source gives no answer to
    compare with, the graph is UNVERIFIED.

    Args:
        outputs: Output to its SQNR over all cases, dB.
        cases: The same by size.
        limit: Of fp32, see parity_limit, dB.
        generated: Whether the inputs were generated rather than real.
        unjudged: A sentence for every size that could not be judged.
    """
    inputs = "generated" if generated else "real"
    details: dict[str, Any] = {
        "inputs": inputs,
        "sizes": [{"role": case.role, "axes": dict(case.sizes)} for case in cases],
    }
    if not cases:
        reason = " ".join(unjudged) or "The exported graph was not run."
        return Check(verdict="UNVERIFIED", limit=limit, reason=reason, details=details)
    value = min(outputs.values())
    if value >= limit - _SLACK:
        return Check(
            verdict="UNVERIFIED" if unjudged else "PASS",
            value=value,
            limit=limit,
            reason=" ".join(unjudged),
            details=details,
        )
    every = [(case, name) for case in cases for name in case.outputs]
    off = [(case, name) for case, name in every if case.outputs[name] < limit - _SLACK] or every
    wrong = [(case, name) for case, name in off if _beyond_rounding(case, name)]
    case, name = min(wrong or off, key=lambda one: one[0].outputs[one[1]])
    reached = (
        f"The output {name!r} of the exported graph reaches {case.outputs[name]:.1f} dB "
        f"against the source {case}, on {inputs} inputs"
    )
    reason = f"{reached}; {limit:g} dB are needed."
    if not wrong:
        reason = (
            f"{reached}, and rounding alone moves the source's own answer there to "
            f"{case.noise_db[name]:.1f} dB: too unstable to judge by."
        )
    return Check(
        verdict="FAIL" if wrong else "UNVERIFIED",
        value=value,
        limit=limit,
        reason=reason,
        details=details,
    )


def compare_runs(first: Mapping[str, Array], second: Mapping[str, Array]) -> tuple[int, float]:
    """Compare the outputs of two runs on the same input.

    Args:
        first: Output name to array.
        second: The same names.

    Returns:
        The number of elements that are not bitwise equal, and the largest absolute difference
        (infinite where a name, shape or dtype differs or one side alone is NaN).
    """
    if first.keys() != second.keys():
        return len(first.keys() ^ second.keys()), math.inf
    differing, largest = 0, 0.0
    for name in first:
        one, other = np.atleast_1d(first[name]), np.atleast_1d(second[name])
        if one.shape != other.shape or one.dtype != other.dtype:
            return max(1, differing), math.inf
        bits = f"V{one.dtype.itemsize}"
        unequal = np.ascontiguousarray(one).view(bits) != np.ascontiguousarray(other).view(bits)
        if not unequal.any():
            continue
        differing += int(unequal.sum())
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(one[unequal].astype(np.float64) - other[unequal].astype(np.float64))
        same = one[unequal] == other[unequal]
        gap = np.where(same, 0.0, np.where(np.isnan(gap), math.inf, gap))
        largest = max(largest, float(gap.max()))
    return differing, largest


def require_proven(check: Check) -> Check:
    """Turn a PASS that its interval does not prove into a FAIL."""
    if check.verdict != "PASS" or check.proven is not False:
        return check
    return msgspec.structs.replace(
        check, verdict="FAIL", reason=f"A proof is required. {check.reason}".strip()
    )


def _beyond_rounding(case: ShapeCase, name: str) -> bool:
    noise = case.noise_db.get(name, math.inf)
    return case.outputs[name] < noise - _BEYOND_ROUNDING_DB


def _precision_faults(
    shares: Mapping[str, float], precision: str, compute: str, quantized_share: float | None
) -> list[tuple[str, float, float]]:
    """What is wrong with the precisions that ran: sentence, figure, limit."""
    faults = []
    int8 = shares.get("int8", 0.0)
    floats = {name: share for name, share in shares.items() if name in _FLOATS}
    welcome = {"fp64", "fp32", compute, precision}
    foreign = {name: share for name, share in floats.items() if name not in welcome}
    if precision != "int8" and int8:
        foreign["int8"] = int8
    for name, share in foreign.items():
        if share > _SLACK:
            faults.append(
                (f"{share:.1%} of the arithmetic ran in {name}, not in {compute}", 1 - share, 1.0)
            )
    if precision == "int8":
        limit = _EXECUTED_PART * (quantized_share or 0.0)
        # What a provider compiled itself may be int8.
        most = int8 + shares.get(_UNKNOWN, 0.0)
        if most == 0 or most < limit - _SLACK:
            part = "none" if int8 == 0 else f"only {int8:.1%}"
            faults.append((f"{part} of the arithmetic ran in int8", int8, limit))
    total = math.fsum(floats.values())
    if compute != "fp32" and total > _REMAINDER:
        share = floats.get(compute, 0.0) / total
        if share < _EXECUTED_PART - _SLACK:
            faults.append(
                (
                    f"{share:.1%} of the float arithmetic ran in {compute}, which was asked for",
                    share,
                    _EXECUTED_PART,
                )
            )
    return faults


def _plain(parity: TensorParity) -> dict[str, Any]:
    """Figures for a document; JSON knows no infinity, so it becomes None."""
    content: dict[str, Any] = msgspec.to_builtins(parity)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }


def _names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _round(number: int) -> int:
    """Two leading digits: an estimate deserves no more."""
    digits = max(0, len(str(number)) - 2)
    return round(number, -digits)
