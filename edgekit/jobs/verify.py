"""`edgekit verify`: what a bundle proves on arrival, without torch and without a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import msgspec

from edgekit.benchmarks.certificate import (
    Simulated,
    check_finite,
    check_parity,
    check_placement,
    check_repeatable,
    computed_in,
    judge_simulated,
    worse,
)
from edgekit.benchmarks.environment import differences, environment
from edgekit.core.card import card_from_dict
from edgekit.core.certificate import Certificate, Check, Verdict, worst
from edgekit.core.documents import Environment, InstructionSets, VerifyDocument, VerifyEntry
from edgekit.core.errors import BadInput, EdgekitError, Unavailable
from edgekit.core.json_text import as_kind, parse_json
from edgekit.core.manifest import Engine, Manifest
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.core.runtime import Probe
from edgekit.core.subject import works_on
from edgekit.core.target import Target
from edgekit.jobs.model.bundle import damage, read_manifest, sealed_content, unshared_bundle
from edgekit.jobs.model.certified import built_for
from edgekit.jobs.model.signing import check_signature
from edgekit.jobs.process.child import Child
from edgekit.jobs.process.golden import read_golden
from edgekit.jobs.process.targets import usable
from edgekit.jobs.process.worker import Worker
from edgekit.jobs.steps.cache import CacheUnwritable
from edgekit.jobs.steps.engine import compile_graphs, open_engines
from edgekit.jobs.steps.examine import foreign_dialect, named_parity, whole_placement
from edgekit.jobs.steps.simulated import narrow_runs
from edgekit.runtimes.catalogue import among

__all__ = ["run"]

# Rounding differs a little between machines: what was certified may be missed by so many dB.
_MARGIN_DB = 1.0
# Clocks of two machines that both keep time differ by less.
_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class _Arrival:
    """A bundle that has arrived, and how it is to be run here."""

    bundle: Path
    manifest: Manifest
    threads: int | None
    trust_engine: bool
    min_parity: float | None
    progress: Progress


@dataclass(frozen=True)
class _Entry:
    """One entry of the bundle, and the target of this machine that it belongs to.

    Attributes:
        engines: The bundle's own, by role.
    """

    engines: dict[str, Engine]
    target: Target
    probe: Probe

    @property
    def first(self) -> Engine:
        """What all its engines have in common stands in each."""
        return next(iter(self.engines.values()))

    def __str__(self) -> str:
        return f"{self.first.variant} on {self.first.target} in {self.first.compute}"


@works_on
def run(
    bundle: Path,
    *,
    targets: Sequence[str] | None,
    threads: int | None,
    trust_engine: bool,
    min_parity: float | None,
    require_signature: Path | None,
    progress: Progress,
) -> VerifyDocument:
    """See edgekit.api.verify."""
    place = unshared_bundle(bundle)
    manifest = read_manifest(place, refuse_links=False)
    certified, here = _certified(place, manifest), environment(threads)
    progress.stage("checksums")
    signature = check_signature(place, require_signature, manifest)
    damaged = damage(place, manifest)
    wanted = _wanted(manifest, targets)
    entries: list[VerifyEntry] = []
    skipped: list[str] = []
    verdicts: list[Verdict] = []
    # Nothing of a bundle that is not what was sent is opened.
    if damaged or (require_signature is not None and signature.state != "valid"):
        verdicts.append("FAIL")
    else:
        arrival = _Arrival(place, manifest, threads, trust_engine, min_parity, progress)
        # A device's name is content with what is here of it.
        strict = len(wanted) == len(targets or ())
        for entry in _entries(arrival, wanted, skipped, strict=strict):
            progress.stage(str(entry))
            entries.append(_verified(arrival, entry))
            verdicts.append(entries[-1].verdict)
    return VerifyDocument(
        bundle=str(bundle),
        verdict=worst(verdicts),
        files=len(manifest.files) + 1,
        damaged=tuple(damaged),
        entries=tuple(entries),
        differences=tuple(differences(certified, here)),
        skipped=tuple(skipped),
        signature=signature,
        instruction_set=_instruction_sets(certified, here),
        notes=tuple(_clock(manifest.created)),
    )


def _certified(bundle: Path, manifest: Manifest) -> Environment:
    place = f"`environment` in the manifest of {bundle}"
    hint = "Take a fresh copy of the bundle."
    return as_kind(manifest.environment, place, Environment, hint=hint)


def _wanted(manifest: Manifest, targets: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(engine.target for engine in manifest.engines))
    meant = [among(text, known) for text in targets or ()]
    for names in meant:
        if not set(names) <= set(known):
            raise BadInput(
                f"The bundle holds nothing for {', '.join(names)}.", closest(names[0], known)
            )
    wanted = list(dict.fromkeys(target for names in meant for target in names))
    return wanted or known


def _entries(
    arrival: _Arrival, targets: Sequence[str], skipped: list[str], *, strict: bool
) -> list[_Entry]:
    """The entries that can be repeated here; why the others cannot goes to `skipped`.

    Raises:
        Unavailable: `strict`, and a target is not usable here.
    """
    found: list[_Entry] = []
    for text in targets:
        try:
            target, probe = usable(text)
        except Unavailable as error:
            if strict:
                raise
            skipped.append(f"{text}: {error.message}")
            continue
        for engines in _by_entry(arrival.manifest, text):
            entry = _Entry(engines, target, probe)
            if _certificate(arrival, entry.first).verdict == "FAIL":
                skipped.append(f"{entry} failed when it was certified and is not for use.")
            elif entry.first.compute not in probe.computes:
                skipped.append(f"{entry}: this machine cannot compute in {entry.first.compute}.")
            else:
                found.append(entry)
    return found


def _by_entry(manifest: Manifest, target: str) -> list[dict[str, Engine]]:
    """The engines of a target, by entry and then by role."""
    found: dict[tuple[str, str], dict[str, Engine]] = {}
    for engine in manifest.engines:
        if engine.target == target:
            found.setdefault((engine.variant, engine.compute), {})[engine.role] = engine
    return list(found.values())


def _verified(arrival: _Arrival, entry: _Entry) -> VerifyEntry:
    try:
        folders = _folders(arrival, entry)
        checks = _checks(arrival, entry, folders)
    except CacheUnwritable:
        raise
    except EdgekitError as error:
        checks = {"opens": Check(verdict="FAIL", reason=str(error))}
    return VerifyEntry(
        target=entry.first.target,
        variant=entry.first.variant,
        compute=entry.first.compute,
        verdict=worst(check.verdict for check in checks.values()),
        checks=checks,
    )


def _checks(arrival: _Arrival, entry: _Entry, folders: dict[str, Path]) -> dict[str, Check]:
    """Open the engines, repeat the four checks that need no data set; a fifth is as certified."""
    bundle, manifest, first = arrival.bundle, arrival.manifest, entry.first
    variant = manifest.variant(first.variant)
    assert variant is not None, "an engine belongs to a variant"
    card = card_from_dict(manifest.card, str(bundle / "manifest.json"))
    golden = {
        role: read_golden(bundle / path, sealed_content(bundle, manifest, path))
        for role, path in manifest.golden.items()
        if role in entry.engines
    }
    feeds = {role: pair[0] for role, pair in golden.items()}
    with Child(
        Worker, partial(open_engines, folders), card, bundle, False, what=str(entry)
    ) as child:
        placement = whole_placement(child.call("placement"))
        outputs = child.call("sequences", feeds)
        differing, difference = child.call("repeat", feeds)
    expected = {role: pair[1] for role, pair in golden.items()}
    parity = named_parity(card, expected, outputs)
    simulated: Simulated | None = None
    if variant.precision == "fp16" and not computed_in("fp16", placement):
        paths = {role: str(bundle / engine.graph) for role, engine in entry.engines.items()}
        here = msgspec.structs.replace(variant, graphs=paths)
        try:
            narrow = narrow_runs(here, card, feeds)
        except (BadInput, Unavailable) as error:
            simulated = Simulated(reason=str(error))
        else:
            simulated = Simulated(
                named_parity(card, expected, narrow.wide),
                named_parity(card, narrow.wide, narrow.narrow),
                narrow.nodes,
            )
        parity = worse(parity, simulated.outputs)
    certified = _certificate(arrival, first).checks
    quantized = certified["placement"].details
    limit = certified["parity"].limit if arrival.min_parity is None else arrival.min_parity
    # The source is not here: how the graph agrees with it stands as it was certified.
    kept = {name: check for name, check in certified.items() if name == "shapes"}
    checks = {
        "opens": Check(verdict="PASS"),
        "finite": check_finite(parity),
        "parity": _as_certified(
            check_parity(parity, variant.precision, first.compute, min_parity=limit),
            # What the user asks for is asked for, whatever the certificate was content with.
            manifest.golden_sqnr_db.get(first.name) if arrival.min_parity is None else None,
        ),
        "placement": check_placement(
            placement,
            devices=(entry.target.device,),
            precision=variant.precision,
            compute=first.compute,
            quantized_share=quantized.get("quantized_share"),
            quantized_by_graph=quantized.get("quantized_by_graph", {}),
            simulated=foreign_dialect(first.variant, entry.probe),
            allow_fallback=first.compiled.options.allow_fallback,
        ),
        "repeatable": check_repeatable(differing, difference),
        **kept,
    }
    return checks if simulated is None else judge_simulated(checks, simulated)


def _folders(arrival: _Arrival, entry: _Entry) -> dict[str, Path]:
    """Compile the bundle's graphs here, or use its own engines where the user trusts them.

    An engine is native code for its library to load: one that was made elsewhere is not opened
    unasked. On the machine that made the bundle the engine is in the cache anyway.
    """
    options = entry.first.compiled.options
    if arrival.threads is not None:
        options = msgspec.structs.replace(options, threads=arrival.threads)
    if arrival.trust_engine:
        own = entry.engines.values()
        if all(built_for(arrival.bundle, one, entry.probe, options) for one in own):
            return {role: arrival.bundle / one.folder for role, one in entry.engines.items()}
        made = entry.first.compiled
        arrival.progress.note(
            f"The bundle's engine was built by {made.runtime_version} for {made.device}; this is "
            f"{entry.probe.version} on {entry.probe.device}: compiled again from the bundle's "
            "graph."
        )
    graphs = {role: arrival.bundle / engine.graph for role, engine in entry.engines.items()}
    engines = compile_graphs(
        graphs,
        entry.target,
        entry.probe,
        options,
        trust_engine=arrival.trust_engine,
        progress=arrival.progress,
    )
    return {role: engine.folder for role, engine in engines.items()}


def _certificate(arrival: _Arrival, engine: Engine) -> Certificate:
    name = f"certificates/{engine.name}.json"
    content = sealed_content(arrival.bundle, arrival.manifest, name)
    return parse_json(content, arrival.bundle / name, Certificate)


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


def _instruction_sets(certified: Environment, here: Environment) -> InstructionSets | None:
    """Compare what engines choose their kernels by; the golden outputs decide what it does."""
    one = certified.identity.get("instruction_set")
    if not isinstance(one, list | tuple):
        return None
    theirs = tuple(str(name) for name in one)
    ours = tuple(str(name) for name in here.identity["instruction_set"])
    if theirs == ours:
        return InstructionSets(certified=theirs, here=ours, same=True)
    lacks = " ".join(name for name in theirs if name not in ours)
    adds = " ".join(name for name in ours if name not in theirs)
    parts = [f"this machine lacks {lacks}"] if lacks else []
    parts += [f"this machine adds {adds}"] if adds else []
    return InstructionSets(
        certified=theirs,
        here=ours,
        same=False,
        reason=f"The certificate was made on another instruction set ({'; '.join(parts)}): its "
        "latency does not carry over, and whether its answers do is for the golden outputs to say.",
    )


def _clock(created: str) -> list[str]:
    """A sentence where the bundle comes from the future: one of two clocks is wrong."""
    try:
        made = datetime.fromisoformat(created)
    except ValueError:
        return [f"The manifest's date, {created!r}, is no date."]
    now = datetime.now(timezone.utc)
    if made.tzinfo is None:
        made = made.replace(tzinfo=timezone.utc)
    if made <= now + _CLOCKS_DIFFER:
        return []
    here = now.isoformat(timespec="seconds")
    return [f"The bundle is dated {created}, and the clock here says {here}: one of them is wrong."]
