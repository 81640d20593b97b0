"""What a page is made of, before anything is worded or drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgekit.core.certificate import Metric
from edgekit.core.details import Details, EntryDetails
from edgekit.core.documents import DeployEntry, Environment, Recommendation
from edgekit.core.manifest import entry_name

__all__ = ["Kind", "Subject", "entry_text", "name_of"]

Kind = Literal["bundle", "deploy", "bench", "eval"]
Samples = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """One bundle or result that a page is about.

    Attributes:
        name: What the page calls it.
        kind: A whole bundle, or one document.
        model: What was deployed or measured.
        task: As in the card; empty where not known.
        labels: Names of the classes; may be empty.
        entries: Everything that was made or measured.
        recommended: One a target; empty where nothing was certified.
        best: The fastest of them.
        reference: What the entries were compared with; may be empty.
        reference_metric: Its own score.
        environment: The machine behind the figures; None where not known.
        created: UTC, ISO 8601; may be empty.
        version: Of the edgekit that made it; may be empty.
        source: What the model came from, by name.
        samples: Name of an entry's files to its latencies in nanoseconds, in order of time.
        details: By class and by image.
        pictures: Id of an image to a JPEG of it.
        pictures_note: Why pictures are missing, and how to get them; empty where none is missing.
        recipe: The recipe that repeats the deployment; may be empty.
        commands: What each does and how it is typed.
        damage: What is wrong with the bundle, sentences.
        notes: Sentences worth telling.
    """

    name: str
    kind: Kind
    model: str
    entries: Sequence[DeployEntry]
    task: str = ""
    labels: Sequence[str] = ()
    recommended: Sequence[Recommendation] = ()
    best: Recommendation | None = None
    reference: str = ""
    reference_metric: Metric | None = None
    environment: Environment | None = None
    created: str = ""
    version: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, Samples] = field(default_factory=dict)
    details: Details = field(default_factory=Details)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    pictures_note: str = ""
    recipe: str = ""
    commands: Sequence[tuple[str, str]] = ()
    damage: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def certified(self) -> bool:
        """Whether entries have certificates at all."""
        return self.kind in ("bundle", "deploy")

    def entry(self, choice: Recommendation) -> DeployEntry | None:
        """Return the entry that a recommendation names."""
        key = (choice.target, choice.variant, choice.compute)
        return next((one for one in self.entries if _key(one) == key), None)

    def is_recommended(self, entry: DeployEntry) -> bool:
        """Whether an entry is the one to ship on its target."""
        return any(
            _key(entry) == (one.target, one.variant, one.compute) for one in self.recommended
        )

    def is_best(self, entry: DeployEntry) -> bool:
        """Whether an entry is the one to ship, all in all."""
        best = self.best
        return best is not None and _key(entry) == (best.target, best.variant, best.compute)

    def baseline(self, entry: DeployEntry) -> DeployEntry | None:
        """Return fp32 in fp32 on an entry's target."""
        key = (entry.target, "fp32", "fp32")
        return next((one for one in self.entries if _key(one) == key), None)

    def details_of(self, entry: DeployEntry) -> EntryDetails:
        """Return what is known of an entry by class and by image; empty where nothing is."""
        return self.details.entries.get(name_of(entry), EntryDetails())

    def in_focus(self) -> list[DeployEntry]:
        """Return the entries that are worth a closer look, at most two a target.

        The one to ship, and the smallest of the others. fp32 in fp32 is left out where there is
        another: it differs from the reference by rounding alone.
        """
        found: list[DeployEntry] = []
        for target in dict.fromkeys(entry.target for entry in self.entries):
            run = [one for one in self.entries if one.target == target and one.checks]
            rivals = [one for one in run if (one.variant, one.compute) != ("fp32", "fp32")] or run
            shipped = [one for one in rivals if self.is_recommended(one)]
            smallest = sorted(rivals, key=lambda one: one.size_bytes)[:1]
            found += [*shipped, *(one for one in smallest if one not in shipped)]
        return found


def name_of(entry: DeployEntry) -> str:
    """The name of an entry's files in a bundle."""
    return entry_name(entry.target, entry.variant, entry.compute)


def entry_text(entry: DeployEntry) -> str:
    """Return "int8-u8s8 in fp32 on openvino:cpu"."""
    return f"{entry.variant} in {entry.compute} on {entry.target}"


def _key(entry: DeployEntry) -> tuple[str, str, str]:
    return entry.target, entry.variant, entry.compute
