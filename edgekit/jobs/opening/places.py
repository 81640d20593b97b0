"""Where a model runs: what --target means on this machine, and what is chosen without it.

A device's name narrows the choice that is made without a target: of the targets of that device,
the first of the catalogue's order that is usable. A bundle is asked what it was certified for, and
engines are for one target.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.progress import Progress
from edgekit.core.runtime import Probe
from edgekit.core.target import Target
from edgekit.jobs.model.bundle import is_bundle
from edgekit.jobs.model.certified import Certified, EntrySelection
from edgekit.jobs.model.resolve import refuse_no_graph, split_variant
from edgekit.jobs.opening.engines import own_target
from edgekit.jobs.process.targets import usable
from edgekit.runtimes.catalogue import (
    among,
    is_all,
    load_runtime,
    parse_target,
    parse_targets,
    preferred,
)

__all__ = [
    "Place",
    "deploy_targets",
    "every_place",
    "place_of",
    "places_of",
    "refuse_all",
    "say_chosen",
]

Place = tuple[Target, Probe]


def place_of(
    target: str | None, model: str, progress: Progress, *, only: type | None = None
) -> Place:
    """Choose where a model runs, for a call that takes one target.

    Args:
        target: As typed; None chooses.
        model: MODEL as typed: a bundle or engines bring targets of their own.
        progress: Told of the choice.
        only: A protocol that the runtime must offer beside Runtime, such as Adopting.

    Raises:
        BadInput: No such target, or "all".
        Unavailable: It is not here.
    """
    refuse_all(target)
    return _first(target, model, progress, "edgekit bench ", only)


def refuse_all(target: str | None) -> None:
    """Refuse --target all where one target is taken.

    Raises:
        BadInput: It is "all".
    """
    if target is not None and is_all(target):
        raise BadInput(
            "--target all names several targets, and this takes one.",
            hint=f"{_here()} Compare them with: edgekit bench MODEL --target all",
        )


def places_of(targets: Sequence[str] | None, model: str, progress: Progress) -> list[Place]:
    """Choose where a model runs, for a call that takes several targets.

    Args:
        targets: As typed; empty chooses one. "all" is every usable one.
        model: MODEL as typed.
        progress: Told of the choice.

    Raises:
        BadInput: No such target.
        Unavailable: One of them is not here.
    """
    found: list[Place] = []
    for text in targets or (None,):
        if text is not None and is_all(text):
            found += every_place(own_target(model) or text)
        else:
            found.append(_first(text, model, progress))
    return list(dict.fromkeys(found))


def deploy_targets(targets: Sequence[str], progress: Progress) -> list[str]:
    """Choose the targets of a bundle: a device's name means all of its targets that are usable.

    Args:
        targets: As typed; empty takes the device of the first usable target.
        progress: Told of the choice.

    Returns:
        Targets in full, so that a recipe which holds them repeats the choice elsewhere.

    Raises:
        BadInput: No such target.
        Unavailable: One of them is not here.
    """
    found: list[str] = []
    for text in targets or (None,):
        word = text if text is not None else _first_usable(None, preferred())[0].device
        places = [target for target, _ in every_place(word)]
        if text is None or len(places) > 1:
            say_chosen(progress, places, text)
        found += map(str, places)
    return list(dict.fromkeys(found))


def every_place(text: str) -> list[Place]:
    """Return every usable target that is meant.

    Args:
        text: A target, a device that several have, or "all".

    Raises:
        BadInput: No such target.
        Unavailable: None of it is here.
    """
    meant = parse_targets(text)
    if len(meant) == 1:
        # The one that is named says itself why it is not usable.
        return [usable(str(meant[0]))]
    return list(_usable(meant)) or _nothing(text, meant)


def _first(
    text: str | None,
    model: str,
    progress: Progress,
    compared_by: str = "",
    only: type | None = None,
) -> Place:
    """The first usable of what is meant, told where it was not the only one."""
    if only is None:
        # Before a target is chosen for what is none.
        refuse_no_graph(model)
    meant = _meant(text, model)
    if only is not None:
        able = [one for one in meant if isinstance(load_runtime(one.runtime), only)]
        meant = able or meant
    place = _first_usable(text, meant)
    if text is None and own_target(model) is not None:
        progress.note(f"target: {place[0]} (as {model} was compiled)")
    elif text is None or len(meant) > 1:
        say_chosen(progress, [place[0]], text, compared_by)
    return place


def _first_usable(text: str | None, meant: Sequence[Target]) -> Place:
    if len(meant) == 1:
        return usable(str(meant[0]))
    return next(_usable(meant), None) or _nothing(text, meant)


def _usable(targets: Iterable[Target]) -> Iterator[Place]:
    """Those targets that this machine has, each probed when it is asked for."""
    for target in targets:
        try:
            yield usable(str(target))
        except Unavailable:
            continue


def _meant(text: str | None, model: str) -> list[Target]:
    """The targets that may be taken, the best first."""
    brought = _brought(model)
    if text is None:
        return brought or preferred()
    meant = parse_targets(text)
    if len(meant) == 1:
        return meant
    own = among(text, map(str, brought))
    return [one for one in brought if str(one) in own] or meant


def _brought(model: str) -> list[Target]:
    """The targets that MODEL itself is for, the best first; empty for a plain graph."""
    own = own_target(model)
    if own is not None:
        return [parse_target(own)]
    place, variant = split_variant(model)
    if not is_bundle(place):
        return []
    bundle = Certified.read(place)
    # A bundle's name alone is its fp32 variant, as for resolve_model.
    entries = bundle.candidates(EntrySelection((), variant or "fp32", None)) or bundle.candidates(
        EntrySelection((), "", None)
    )
    return [parse_target(text) for text in dict.fromkeys(entry.target for entry in entries)]


def _nothing(text: str | None, meant: Sequence[Target]) -> NoReturn:
    """Say that nothing of what is meant is here, and what is.

    Raises:
        Unavailable: Always.
    """
    names = ", ".join(map(str, meant))
    what = f"--target {text} means one of {names}" if text else f"It can run on {names}"
    raise Unavailable(
        f"{what}: none is usable here." if meant else "No engine is usable here.",
        hint=f"{_here()} edgekit doctor says why, and the fix.",
    )


def _here() -> str:
    names = [str(target) for target, _ in _usable(preferred())]
    return f"Usable here: {', '.join(names)}." if names else "pip install 'edgekit[cpu]'"


def say_chosen(
    progress: Progress, targets: Sequence[Target], text: str | None, compared_by: str = ""
) -> None:
    """Name what was chosen.

    Args:
        progress: Told of it.
        targets: What was chosen.
        text: The device that was asked for; None where nothing was.
        compared_by: The command that takes --target all, where this one does not.
    """
    named = ", ".join(map(str, targets))
    if text and is_all(text):
        progress.note(f"target: {named} (all that are usable here)")
        return
    how = f"chosen for {text}" if text else "chosen"
    progress.note(f"target: {named} ({how}; {compared_by}--target all compares)")
