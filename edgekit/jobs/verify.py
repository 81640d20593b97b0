"""`edgekit verify`: what a bundle proves on arrival, without torch and without a data set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from edgekit.benchmarks.certificate import (
    check_finite,
    check_parity,
    check_placement,
    check_repeatable,
)
from edgekit.benchmarks.environment import differences, environment
from edgekit.core.card import card_from_dict
from edgekit.core.certificate import Certificate, Check, Verdict, worst
from edgekit.core.documents import Environment, VerifyDocument, VerifyEntry
from edgekit.core.errors import BadInput, EdgekitError, Unavailable
from edgekit.core.manifest import Engine, Manifest
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.core.runtime import Probe
from edgekit.core.target import Target
from edgekit.jobs.bundle import damage, entry_name, read_manifest
from edgekit.jobs.certify import named_parity, whole_placement
from edgekit.jobs.child import Child
from edgekit.jobs.engines import compile_graphs, open_engines, usable
from edgekit.jobs.golden import read_golden
from edgekit.jobs.worker import Worker

__all__ = ["run"]

# Rounding differs a little between machines: what was certified may be missed by so many dB.
_MARGIN_DB = 1.0


def run(
    bundle: Path,
    *,
    targets: Sequence[str],
    threads: int | None,
    trust_engine: bool,
    progress: Progress,
) -> VerifyDocument:
    """See edgekit.api.verify."""
    manifest = read_manifest(bundle)
    progress.stage("checksums")
    damaged = damage(bundle, manifest)
    entries: list[VerifyEntry] = []
    skipped: list[str] = []
    if not damaged:
        for target in _wanted(manifest, targets):
            try:
                where, probe = usable(target)
            except Unavailable as error:
                if targets:
                    raise
                skipped.append(f"{target}: {error.message}")
                continue
            for engines in _entries(manifest, target):
                first = next(iter(engines.values()))
                name = f"{first.variant} on {target} in {first.compute}"
                if _certificate(bundle, first).verdict == "FAIL":
                    skipped.append(f"{name} failed when it was certified and is not for use.")
                    continue
                progress.stage(name)
                entries.append(
                    _verified(
                        bundle, manifest, engines, where, probe, threads, trust_engine, progress
                    )
                )
    certified = msgspec.convert(manifest.environment, Environment)
    verdicts: list[Verdict] = [entry.verdict for entry in entries]
    if damaged:
        verdicts.append("FAIL")
    return VerifyDocument(
        bundle=str(bundle),
        verdict=worst(verdicts),
        files=len(manifest.files),
        damaged=tuple(damaged),
        entries=tuple(entries),
        differences=tuple(differences(certified, environment(threads))),
        skipped=tuple(skipped),
    )


def _wanted(manifest: Manifest, targets: Sequence[str]) -> list[str]:
    known = list(dict.fromkeys(engine.target for engine in manifest.engines))
    for target in targets:
        if target not in known:
            raise BadInput(f"The bundle holds nothing for {target}.", closest(target, known))
    return list(dict.fromkeys(targets)) or known


def _entries(manifest: Manifest, target: str) -> list[dict[str, Engine]]:
    """The engines of a target, by entry and then by role."""
    found: dict[tuple[str, str], dict[str, Engine]] = {}
    for engine in manifest.engines:
        if engine.target == target:
            found.setdefault((engine.variant, engine.compute), {})[engine.role] = engine
    return list(found.values())


def _verified(
    bundle: Path,
    manifest: Manifest,
    engines: dict[str, Engine],
    target: Target,
    probe: Probe,
    threads: int | None,
    trust_engine: bool,
    progress: Progress,
) -> VerifyEntry:
    first = next(iter(engines.values()))
    try:
        checks = _checks(bundle, manifest, engines, target, probe, threads, trust_engine, progress)
    except EdgekitError as error:
        checks = {"finite": Check(verdict="FAIL", reason=str(error))}
    return VerifyEntry(
        target=first.target,
        variant=first.variant,
        compute=first.compute,
        verdict=worst(check.verdict for check in checks.values()),
        checks=checks,
    )


def _checks(
    bundle: Path,
    manifest: Manifest,
    engines: dict[str, Engine],
    target: Target,
    probe: Probe,
    threads: int | None,
    trust_engine: bool,
    progress: Progress,
) -> dict[str, Check]:
    """Repeat the four checks that need no data set."""
    first = next(iter(engines.values()))
    variant = manifest.variant(first.variant)
    assert variant is not None, "an engine belongs to a variant"
    card = card_from_dict(manifest.card, str(bundle / "manifest.json"))
    folders = _folders(bundle, engines, target, probe, threads, trust_engine, progress)
    golden = {role: read_golden(bundle / path) for role, path in manifest.golden.items()}
    feeds = {role: pair[0] for role, pair in golden.items()}
    with Child(
        Worker, partial(open_engines, folders), card, bundle, False, what=first.variant
    ) as child:
        placement = whole_placement(child.call("placement"))
        outputs = child.call("sequences", feeds)
        differing, difference = child.call("repeat", feeds)
    parity = named_parity({role: pair[1] for role, pair in golden.items()}, outputs)
    quantized = _certificate(bundle, first).checks["placement"].details.get("quantized_share")
    return {
        "finite": check_finite(parity),
        "parity": _as_certified(
            check_parity(parity, variant.precision, first.compute),
            manifest.golden_sqnr_db.get(_name(first)),
        ),
        "placement": check_placement(
            placement,
            devices=(target.device,),
            precision=variant.precision,
            compute=first.compute,
            quantized_share=quantized,
            allow_fallback=first.compiled.options.allow_fallback,
        ),
        "repeatable": check_repeatable(differing, difference),
    }


def _folders(
    bundle: Path,
    engines: dict[str, Engine],
    target: Target,
    probe: Probe,
    threads: int | None,
    trust_engine: bool,
    progress: Progress,
) -> dict[str, Path]:
    """Compile the bundle's graphs here, or use its own engines where the user trusts them.

    An engine is native code for its library to load: one that was made elsewhere is not opened
    unasked. On the machine that made the bundle the engine is in the cache anyway.
    """
    first = next(iter(engines.values())).compiled
    if trust_engine:
        fitting = all(
            engine.compiled.runtime_version == probe.version
            and engine.compiled.device == probe.device
            and threads in (None, engine.compiled.options.threads)
            for engine in engines.values()
        )
        if fitting:
            return {role: bundle / engine.folder for role, engine in engines.items()}
        progress.note(
            f"The bundle's engine was built by {first.runtime_version} for {first.device}; this is "
            f"{probe.version} on {probe.device}: compiled again from the bundle's graph."
        )
    options = first.options
    if threads is not None:
        options = msgspec.structs.replace(options, threads=threads)
    graphs = {role: bundle / engine.graph for role, engine in engines.items()}
    made = compile_graphs(graphs, target, probe, options, progress=progress)
    return {role: engine.folder for role, engine in made.items()}


def _name(engine: Engine) -> str:
    return entry_name(engine.target, engine.variant, engine.compute)


def _certificate(bundle: Path, engine: Engine) -> Certificate:
    path = bundle / "certificates" / f"{_name(engine)}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Certificate)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"{path} is no certificate: {error}.") from error


def _as_certified(check: Check, certified_db: float | None) -> Check:
    """Golden inputs are generated, and an int8 network may know them less well than pictures.

    So an entry passes where it is within the limit, or where it does as well as it did when it was
    certified on real inputs.
    """
    if check.verdict != "FAIL" or certified_db is None or check.value is None:
        return check
    limit = certified_db - _MARGIN_DB
    if check.value < limit:
        return check
    return msgspec.structs.replace(
        check,
        verdict="PASS",
        limit=limit,
        reason=f"As on the machine that certified it, {certified_db:.1f} dB on golden inputs.",
    )
