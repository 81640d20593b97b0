"""The FP32 truth: PyTorch eager, or the unoptimized graph where the source is one already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.progress import Progress
from edgekit.core.runtime import Session
from edgekit.core.source import Source
from edgekit.export.reference import open_reference
from edgekit.jobs.process.confined import open_confined
from edgekit.jobs.process.feeds import roles
from edgekit.jobs.process.plain import PLAIN, PLAIN_OPTIONS
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.engine import compile_graphs, open_engines

__all__ = ["Reference", "find_reference"]


@dataclass(frozen=True)
class Reference:
    """How to open the reference, and what it is called.

    Attributes:
        name: "torch 2.13.0 eager, fp32".
        opener: Opens its sessions by role; travels to a child process.
    """

    name: str
    opener: Callable[[], dict[str, Session]]


def find_reference(
    source: Source,
    card: ModelCard,
    originals: Mapping[str, Path],
    *,
    trust_code: bool,
    trust_pickle: bool,
    progress: Progress,
) -> Reference:
    """Choose the reference of a source.

    Args:
        source: The trained model.
        card: With the tensors of every graph filled in.
        originals: For an ONNX source: role to the graph as it was given; else empty.
        trust_code: As for export.
        trust_pickle: As for export.
        progress: Told of the choice.

    Raises:
        Unavailable: The source is a graph and ONNX Runtime is not installed.
    """
    # Only arrays leave the confined process, so what scores them may read the data.
    open_torch = (
        partial(open_reference, source, card, trust_code=trust_code, trust_pickle=trust_pickle)
        if trust_code or trust_pickle
        else partial(open_confined, source, card)
    )
    if not originals:
        return Reference(f"torch {version('torch')} eager, fp32", open_torch)
    target, probe = usable(PLAIN)
    engines = compile_graphs(originals, target, probe, PLAIN_OPTIONS, progress=progress)
    folders = {role: engine.folder for role, engine in engines.items()}
    name = f"onnxruntime {probe.version} on the CPU, fp32, graph optimizations off"
    if set(folders) == set(roles(card)):
        return Reference(name, partial(open_engines, folders))
    return Reference(
        f"{name}; torch {version('torch')} for the rest", partial(_open_both, open_torch, folders)
    )


def _open_both(
    open_torch: Callable[[], dict[str, Session]], folders: Mapping[str, Path]
) -> dict[str, Session]:
    return {**open_torch(), **open_engines(folders)}
