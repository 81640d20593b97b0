"""Network inputs: made from a data set's images, from a user's arrays, or generated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.card import ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import axis_sizes, generate_feeds
from edgekit.core.runtime import Array, Feeds
from edgekit.core.trials import named_as
from edgekit.jobs.process.golden import generated_pictures
from edgekit.tasks.datasets import Dataset, open_dataset, readable
from edgekit.tasks.images import read_image
from edgekit.tasks.preprocess import image_input, preprocessor
from edgekit.tasks.samples import Role, Sample

__all__ = [
    "Data",
    "fit_batch",
    "generated_feeds",
    "golden_feeds",
    "missing_inputs",
    "open_data",
    "roles",
    "unscored",
]

# Cases of each graph that are generated where there is no data, and that a bundle keeps.
_CASES = 4


@dataclass(frozen=True)
class Data:
    """A data set seen from the network: what calibrates it, what scores it.

    Attributes:
        dataset: Opened, its roles settled.
        card: The model's.
    """

    dataset: Dataset
    card: ModelCard

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Images that score; empty for a data set of arrays or for calibration alone."""
        return tuple(
            one for one in self.dataset.samples if one.role == "eval" and one.arrays is None
        )

    def feeds(self, limit: int) -> dict[str, list[Feeds]]:
        """Return the first inputs that score, by role; empty where there are none.

        Args:
            limit: Of each role at most.
        """
        scoring = [one for one in self.dataset.samples if one.role == "eval"]
        found = {role: self._made(scoring, role, limit) for role in roles(self.card)}
        return {role: several for role, several in found.items() if several}

    def real_feeds(self, limit: int) -> dict[str, list[Feeds]]:
        """Return the first inputs of whatever the data holds, those that score before others.

        Args:
            limit: Of each role at most.
        """
        scoring = self.feeds(limit)
        found = {
            role: scoring.get(role) or self._made(self.dataset.calibration(), role, limit)
            for role in roles(self.card)
        }
        return {role: several for role, several in found.items() if several}

    def calibration_feeds(self, role: str, limit: int) -> list[Feeds]:
        """Return inputs to calibrate one graph on, each of the graph's own batch.

        Raises:
            BadInput: There are none for this graph.
        """
        made = self._made(self.dataset.calibration(), role, limit)
        if not made:
            scores = self._made(self.dataset.samples, role, 1)
            raise BadInput(
                f"Nothing is left to calibrate the graph {role!r} on: "
                f"{'its one sample scores' if scores else 'the data lacks its inputs'}.",
                hint=f"Put more of its inputs into {role}.npz, or give --calibration DIR.",
            )
        return made

    def record(self) -> dict[str, object]:
        """What the decisions say about the data they were made on."""
        return {
            "data_sha256": self.dataset.fingerprint,
            "data_format": self.dataset.format,
            "split": self.dataset.split,
        }

    def _made(self, samples: Iterable[Sample], role: str, limit: int) -> list[Feeds]:
        tensors = self.card.graph(role).inputs
        if self.card.preprocess is not None:
            lay = preprocessor(self.card)
            name = _image_name(self.card)
            chosen = list(samples)[:limit]
            return [
                fit_batch({name: lay(example.image)[0]}, tensors)
                for example in readable(chosen)
                if example.image is not None
            ]
        # Arrays of a model of several graphs lie in one file a role.
        own = [one for one in samples if role == "main" or one.path.stem == role][:limit]
        zeros = _state_zeros(self.card, role)
        return [
            fit_batch(_named(tensors, {**zeros, **one.arrays}, one), tensors)
            for one in own
            if one.arrays is not None
        ]


def missing_inputs(data: Data | None, use: Role) -> tuple[str, str] | None:
    """Say why there is nothing to calibrate ("calib") or to score ("eval") on.

    Returns:
        A reason without a full stop, and a remedy; None where there is something.
    """
    if data is None:
        remedy = "--data DIR or --calibration DIR" if use == "calib" else "--data DIR"
        return "no data was given", f"Give {remedy}."
    return data.dataset.missing(use)


def unscored(data: Data | None) -> str:
    """Say why no metric can be had of a data set, without a full stop; empty where one can."""
    missing = missing_inputs(data, "eval")
    if missing is not None:
        return missing[0]
    assert data is not None, "no data is something missing"
    if not data.dataset.labelled:
        return f"{data.dataset.folder} holds no labels"
    return ""


def open_data(
    data: Path | None, card: ModelCard, *, calibration: Path | None = None, seed: int
) -> Data:
    """Open a data set for a model; see edgekit.tasks.datasets.open_dataset."""
    found = Data(open_dataset(data, card, seed=seed, calibration=calibration), card)
    found.real_feeds(1)  # refuses arrays that the model does not take, before any work
    return found


def roles(card: ModelCard) -> list[str]:
    """The roles of a model's graphs, in the order in which they run."""
    return list(card.graphs) or ["main"]


def generated_feeds(card: ModelCard, seed: int, cases: int = _CASES) -> dict[str, list[Feeds]]:
    """Generate inputs of every graph: pictures where the task takes images, else random arrays."""
    if card.preprocess is not None:
        return _laid(card, generated_pictures(cases, seed))
    return {
        role: [
            generate_feeds(
                card.graph(role).inputs, axis_sizes(card.graph(role).inputs), seed + case
            )
            for case in range(cases)
        ]
        for role in roles(card)
    }


def golden_feeds(card: ModelCard, folder: Path | None, seed: int) -> dict[str, list[Feeds]]:
    """Make the inputs that a bundle keeps: generated, or the user's own pictures if told so.

    Args:
        card: With the tensors of every graph.
        folder: The pictures; None generates.
        seed: Of what is generated.

    Raises:
        BadInput: The folder holds no pictures, or the model takes none.
    """
    if folder is None:
        return generated_feeds(card, seed)
    if card.preprocess is None:
        raise BadInput("--golden takes pictures, and this model takes arrays.")
    files = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in (".jpg", ".png")]
    if not files:
        raise BadInput(f"{folder} holds no .jpg or .png for --golden.")
    return _laid(card, [read_image(path) for path in files[:_CASES]])


def fit_batch(feeds: Feeds, tensors: dict[str, TensorCard]) -> dict[str, Array]:
    """Repeat single cases where a graph has a fixed batch larger than one."""
    fitted: dict[str, Array] = {}
    for name, array in feeds.items():
        shape = tensors[name].shape if name in tensors else ()
        first = shape[0] if shape else None
        wanted = first if isinstance(first, int) and array.ndim == len(shape) else 1
        repeat = wanted > 1 and array.shape[0] == 1
        fitted[name] = np.repeat(array, wanted, axis=0) if repeat else array
    return fitted


def _named(tensors: dict[str, TensorCard], feed: Feeds, sample: Sample) -> Feeds:
    """A sample's arrays under the graph's names, where those are known already."""
    return named_as(tensors, feed, "the model", sample.id) if tensors else feed


def _laid(card: ModelCard, pictures: Iterable[Any]) -> dict[str, list[Feeds]]:
    lay, name = preprocessor(card), _image_name(card)
    return {"main": [fit_batch({name: lay(picture)[0]}, card.inputs) for picture in pictures]}


def _image_name(card: ModelCard) -> str:
    found = image_input(card)
    # Before the export a card may name no inputs; the graph's own name is then not known yet.
    return found[0] if found is not None else "x"


def _state_zeros(card: ModelCard, role: str) -> dict[str, Array]:
    """State that the data leaves out starts at zero."""
    graph = card.graph(role)
    sizes = axis_sizes(graph.inputs)
    fresh = {name: graph.inputs[name] for name in graph.state.values() if name in graph.inputs}
    return {name: np.zeros_like(array) for name, array in generate_feeds(fresh, sizes, 0).items()}
