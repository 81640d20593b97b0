"""PyTorch's files are opened, exported and run in a process that can do nothing else.

Arrays and graphs are all that goes in and out. With --trust-code or --trust-pickle a file runs code
on purpose, which may need anything: it gets a process of its own, and no confinement.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekit.core.card import ModelCard, TensorCard
from edgekit.core.confinement import Confinement
from edgekit.core.errors import CheckFailed
from edgekit.core.interpreter import module_folders, package_folders
from edgekit.core.opening import no_file
from edgekit.core.runtime import Array, Feeds, Session
from edgekit.core.source import Source
from edgekit.export.reference import TorchSession, reference_graphs
from edgekit.export.worker import ExportOutcome
from edgekit.jobs.process.child import Child

__all__ = ["checked", "confinement_of", "open_confined"]


def confinement_of(
    source: Source, *folders: Path, trust_code: bool, trust_pickle: bool
) -> Confinement | None:
    """What a process may touch that loads a source; None where no confinement is of use.

    Args:
        source: What the user named.
        folders: It writes into.
        trust_code: Code of the user's runs in it.
        trust_pickle: Likewise.
    """
    if trust_code or trust_pickle or source.kind == "onnx":
        return None
    path = source.path
    own = [] if path is None else [path, *(path.iterdir() if path.is_dir() else ())]
    # A link beside the graphs may be one to a file of a download's cache, and to no folder.
    own = [one for one in own if one is path or one.is_file()]
    return Confinement(
        tuple(str(one.resolve()) for one in own), tuple(str(one.resolve()) for one in folders)
    )


def open_confined(source: Source, card: ModelCard) -> dict[str, Session]:
    """Open the PyTorch reference of a source as `open_reference` does, in a confined process.

    Args:
        source: What the user named; nothing in it is trusted.
        card: As the export returned it.
    """
    child = Child(
        _Networks,
        source,
        card,
        what=f"the reference of {source.name}",
        confined=confinement_of(source, trust_code=False, trust_pickle=False),
    )
    signatures: dict[str, tuple[dict[str, TensorCard], tuple[str, ...]]] = child.call("signatures")
    left = set(signatures)
    return {
        role: _Session(_Elsewhere(child, role, inputs, outputs, left), card.graph(role).outputs)
        for role, (inputs, outputs) in signatures.items()
    }


def checked(outcome: ExportOutcome, folder: Path) -> ExportOutcome:
    """Return what a confined export says where it is what an export can say.

    Args:
        outcome: Of the export.
        folder: It was to write into.

    Raises:
        CheckFailed: It names other files than its own, or something else in the place of arrays.
    """
    files = all(
        path == folder / f"{role}.onnx"
        and path.parent == folder
        and path.is_file()
        and not path.is_symlink()
        for role, path in outcome.graphs.items()
    )
    searched = tuple(Path(place).resolve() for place in (*module_folders(), *package_folders()))
    code = all(
        file.endswith(".py")
        and not no_file(Path(file))
        and any(Path(file).resolve().is_relative_to(place) for place in searched)
        for file in outcome.code
    )
    known = outcome.reference.keys() <= outcome.graphs.keys()
    values = [
        value
        for cases in outcome.reference.values()
        for case in cases
        for arrays in case
        for value in arrays.values()
    ]
    if not (files and code and known) or not all(isinstance(value, np.ndarray) for value in values):
        raise CheckFailed(
            "The export answered what no export answers.",
            hint="The file that it opened may be hostile.",
        )
    for path in outcome.graphs.values():
        path.chmod(0o644)  # a confined process sets no modes
    return outcome


class _Networks:
    """Networks of a source, in the confined process."""

    def __init__(self, source: Source, card: ModelCard) -> None:
        self._graphs = reference_graphs(source, card)

    def signatures(self) -> dict[str, tuple[dict[str, TensorCard], tuple[str, ...]]]:
        """Inputs and names of the outputs by role."""
        return {
            role: (dict(graph.inputs), tuple(graph.outputs)) for role, graph in self._graphs.items()
        }

    def run(self, role: str, feeds: Feeds) -> dict[str, Array]:
        """Run one of them."""
        return self._graphs[role](feeds)


class _Elsewhere:
    """A network in the confined process, as TorchSession runs one."""

    def __init__(
        self,
        child: Child,
        role: str,
        inputs: Mapping[str, TensorCard],
        outputs: tuple[str, ...],
        left: set[str],
    ) -> None:
        self._child = child
        self._role = role
        self._left = left
        self.inputs = inputs
        self.outputs = outputs

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Run it once."""
        answer: dict[str, Array] = self._child.call("run", self._role, dict(feeds))
        if not all(isinstance(value, np.ndarray) for value in answer.values()):
            raise CheckFailed("The reference answered what no network answers.")
        return answer

    def close(self) -> None:
        """End the process with the last of its networks."""
        self._left.discard(self._role)
        if not self._left:
            self._child.close()


class _Session(TorchSession):
    """One of those networks, which says when it is no longer wanted."""

    def __init__(self, network: _Elsewhere, outputs: Mapping[str, TensorCard]) -> None:
        super().__init__(network, outputs)
        self._network = network

    def close(self) -> None:
        """Drop the network; calling it twice is allowed."""
        super().close()
        self._network.close()
