"""What a program runs: an entry of a bundle, or an ONNX file; and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgekit.core.certificate import Verdict
from edgekit.core.documents import DeployEntry
from edgekit.core.errors import Unavailable
from edgekit.core.manifest import Engine
from edgekit.core.progress import Progress, Silent
from edgekit.core.runtime import CompileOptions, Probe
from edgekit.core.target import Target
from edgekit.jobs.model.bundle import is_bundle, refuse_changed
from edgekit.jobs.model.certified import Certified, EntrySelection, built_for, entry_text
from edgekit.jobs.model.resolve import Model, resolve_model, split_variant
from edgekit.jobs.opening.engines import engines_of, own_options
from edgekit.jobs.opening.places import Place, place_of, refuse_all, say_chosen
from edgekit.jobs.process.targets import usable
from edgekit.runtimes.catalogue import among

__all__ = ["Choice", "choose", "engine_folders"]


@dataclass(frozen=True)
class Choice:
    """What is going to run.

    Attributes:
        model: One variant with its card.
        target: Where; usable on this machine.
        options: How it is compiled: as certified, unless asked otherwise.
        verdict: Of its certificate; None where nobody certified it on this target.
        warnings: What a user must know before relying on it, each a sentence.
        bundle: The one it comes from; None for an ONNX file.
        engines: The bundle's own, by role; empty where there are none.
    """

    model: Model
    target: Target
    probe: Probe
    options: CompileOptions
    verdict: Verdict | None = None
    warnings: tuple[str, ...] = ()
    bundle: Certified | None = None
    engines: dict[str, Engine] = field(default_factory=dict)


def choose(
    model: str,
    *,
    target: str | None = None,
    compute: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Choice:
    """Choose what to run.

    A bundle's best entry that this machine can run, of those that PASS, else of those that are
    UNVERIFIED. An entry that failed its certificate, or one that was never certified, runs only
    where BUNDLE@VARIANT names it, and with a warning.

    Args:
        model: An ONNX file, a bundle, BUNDLE@VARIANT, or a folder of engines.
        target: Only there; None means wherever a bundle does best, and for another model what
            edgekit.jobs.opening.places chooses.
        compute: Only in this float precision; None means the chosen entry's own.
        threads: Threads of a CPU engine; None means as certified.
        progress: Told of a target that was chosen.

    Raises:
        BadInput: No such model, variant or entry, or the bundle is damaged.
        CheckFailed: Every entry that would do failed its certificate.
        Unavailable: The target, or every target of the bundle, is not here.
    """
    place, variant = split_variant(model)
    if not is_bundle(place):
        where, probe = place_of(target, model, progress or Silent())
        resolved = resolve_model(model, probe=probe, engines=True)
        options = _options(own_options(model), compute, threads, probe)
        return Choice(resolved, where, probe, options)
    refuse_all(target)
    bundle = Certified.read(place)
    wanted = EntrySelection(
        () if target is None else among(target, bundle.targets), variant, compute
    )
    if variant and not bundle.candidates(wanted):
        return _uncertified(bundle, wanted, threads, place_of(target, model, progress or Silent()))
    strict = len(wanted.targets) == 1
    entry, where, probe = _first_here(bundle.allowed(wanted), place, strict=strict)
    if not strict and progress is not None:
        say_chosen(progress, [where], target, "edgekit bench ")
    engines = bundle.engines(entry)
    certified = next((engine.compiled.options for engine in engines.values()), None)
    failed = f"{entry_text(entry)} failed its certificate; its answers may be wrong."
    return Choice(
        resolve_model(f"{bundle.folder}@{entry.variant}", probe=probe),
        where,
        probe,
        _options(certified, entry.compute, threads, probe),
        entry.verdict,
        (failed,) if entry.verdict == "FAIL" else (),
        bundle,
        engines,
    )


def engine_folders(choice: Choice, *, trust_engine: bool, progress: Progress) -> dict[str, Path]:
    """Return the folder of every role's engine: compiled here and cached, or the bundle's own.

    Args:
        choice: What is going to run.
        trust_engine: Open the bundle's own engines where they were made for this version, device
            and these options, or a folder's although it was built elsewhere; they are native code.
        progress: Told of cache hits, and why an engine of the bundle was not used.
    """
    bundle, engines = choice.bundle, choice.engines
    if trust_engine and bundle is not None and engines:
        if all(
            built_for(bundle.folder, engine, choice.probe, choice.options)
            for engine in engines.values()
        ):
            prefixes = tuple(f"{engine.folder}/" for engine in engines.values())
            own = [name for name in bundle.manifest.files if name.startswith(prefixes)]
            refuse_changed(bundle.folder, bundle.manifest, own)
            return {role: bundle.folder / engine.folder for role, engine in engines.items()}
        made = next(iter(engines.values())).compiled
        progress.note(
            f"The bundle's engine was built by {made.runtime_version} for {made.device}; this is "
            f"{choice.probe.version} on {choice.probe.device}, or with other options: compiled "
            "from the bundle's graph."
        )
    found = engines_of(
        choice.model,
        choice.target,
        choice.probe,
        choice.options,
        trust_engine=trust_engine,
        progress=progress,
    )
    return {role: engine.folder for role, engine in found.items()}


def _first_here(
    entries: Sequence[DeployEntry], bundle: Path, *, strict: bool
) -> tuple[DeployEntry, Target, Probe]:
    """The first entry whose target this machine has.

    Raises:
        Unavailable: None is, or `strict` and the first is not; says why for each target.
    """
    reasons: dict[str, Unavailable] = {}
    for entry in entries:
        if entry.target in reasons:
            continue
        try:
            return entry, *usable(entry.target)
        except Unavailable as error:
            if strict:
                raise
            reasons[entry.target] = error
    why = " ".join(error.message for error in reasons.values())
    fixes = " ".join(dict.fromkeys(error.hint for error in reasons.values() if error.hint))
    raise Unavailable(f"Nothing of {bundle} can run here. {why}", hint=fixes)


def _uncertified(
    bundle: Certified, wanted: EntrySelection, threads: int | None, place: Place
) -> Choice:
    """A variant that the user names, where the bundle certified it for nothing of the kind."""
    where, probe = place
    model = resolve_model(f"{bundle.folder}@{wanted.variant}", probe=probe)
    options = _options(None, wanted.compute, threads, probe)
    warning = (
        f"{model.variant.id} was never certified on {where} in {options.compute}; nothing is known "
        "of its answers there."
    )
    return Choice(model, where, probe, options, warnings=(warning,), bundle=bundle)


def _options(
    certified: CompileOptions | None, compute: str | None, threads: int | None, probe: Probe
) -> CompileOptions:
    options = certified or CompileOptions(compute=probe.computes[0])
    if compute is not None:
        options = msgspec.structs.replace(options, compute=compute)
    return options if threads is None else msgspec.structs.replace(options, threads=threads)
