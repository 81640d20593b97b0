"""How far rounding alone moves a network's own answer: what a graph of it can be blamed for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.core.card import ModelCard
from edgekit.core.parity import ParityMeter
from edgekit.core.runtime import Array, Feeds
from edgekit.core.source import Source
from edgekit.export.load import load_source
from edgekit.export.torch_graph import torch_graph

__all__ = ["rounding_noise"]

# Moved twice, each time another way: one step may happen to leave a comparison as it was.
_MOVES = 2


def rounding_noise(
    source: Source,
    card: ModelCard,
    cases: Mapping[str, Sequence[tuple[Feeds, dict[str, Array]]]],
    *,
    trust_code: bool = False,
    trust_pickle: bool = False,
) -> dict[str, list[dict[str, float]]]:
    """Run networks with every float of their weights and inputs moved by its last binary digit.

    Whole numbers stay: they are masks, counts and limits. Exporter and engine round otherwise than
    PyTorch does, by about that much. A network whose
    answer jumps at it (a threshold that is just met, a difference of large numbers) says nothing
    of a graph whose answer jumps too.

    Args:
        source: The trained model.
        card: As `export_model` returned it.
        cases: By role: inputs, and what the network answered.
        trust_code: As for the export.
        trust_pickle: As for the export.

    Returns:
        By role and case: output to the SQNR of the worst moved answer against the first one, dB.
    """
    import torch

    loaded = load_source(source, card, trust_code=trust_code, trust_pickle=trust_pickle)
    found: dict[str, list[dict[str, float]]] = {}
    for role, several in cases.items():
        own = card.graph(role)
        graph = torch_graph(loaded[role], own, source.text, outputs=tuple(own.outputs))
        figures: list[dict[str, float]] = [{} for _ in several]
        whole = {name: tensor.clone() for name, tensor in _floats(graph.module)}
        for seed in range(_MOVES):
            random = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for name, tensor in _floats(graph.module):
                    tensor.copy_(_moved(whole[name], random))
            for figure, (feeds, expected) in zip(figures, several, strict=True):
                inputs = {name: torch.from_numpy(array) for name, array in feeds.items()}
                moved = {name: _moved(tensor, random).numpy() for name, tensor in inputs.items()}
                for name, value in graph(moved).items():
                    meter = ParityMeter()
                    meter.add(expected[name], value)
                    figure[name] = min(figure.get(name, math.inf), meter.result().sqnr_db)
        found[role] = figures
    return found


def _floats(module: Any) -> list[tuple[str, Any]]:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return [(name, tensor) for name, tensor in tensors if tensor.is_floating_point()]


def _moved(tensor: Any, random: Any) -> Any:
    import torch

    if not tensor.is_floating_point():
        return tensor
    signs = torch.randint(0, 2, tensor.shape, generator=random) * 2 - 1
    moved = tensor * (1 + signs * torch.finfo(tensor.dtype).eps)
    return torch.where(tensor == tensor.round(), tensor, moved.to(tensor.dtype))
