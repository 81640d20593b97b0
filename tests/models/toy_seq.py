"""A model of two graphs: an encoder over a sequence, and a step that carries a GRU cell's state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEATURES, HIDDEN, CLASSES = 8, 16, 4


class Encoder(nn.Module):
    """(N, time, FEATURES) to the first state (N, HIDDEN)."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv1d(FEATURES, HIDDEN, 3, padding=1)

    def forward(self, sequence: Tensor) -> Tensor:
        return self.mix(sequence.transpose(1, 2)).relu().mean(2)


class Step(nn.Module):
    """(N, FEATURES) and a state to scores (N, CLASSES) and the next state."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(FEATURES, HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor, h_in: Tensor) -> dict[str, Tensor]:
        h_out = self.cell(x, h_in)
        return {"scores": self.head(h_out), "h_out": h_out}


class SequenceEncoder(nn.Module):
    """(N, time, FEATURES) to (N, time, HIDDEN) by a GRU over a dynamic time axis."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv1d(FEATURES, HIDDEN, 3, padding=1)
        self.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)

    def forward(self, sequence: Tensor) -> Tensor:
        mixed = self.mix(sequence.transpose(1, 2)).relu().transpose(1, 2)
        return self.gru(mixed)[0]


def toy_seq() -> dict[str, nn.Module]:
    """Build encoder and step."""
    return {"encoder": Encoder(), "step": Step()}


def sequence_encoder() -> nn.Module:
    """Build the GRU encoder alone."""
    return SequenceEncoder()


def write_weights(path: str) -> None:
    """Write seeded weights of both graphs as one state dict."""
    torch.manual_seed(5)
    torch.save(nn.ModuleDict(toy_seq()).state_dict(), path)


CARD = {
    "schema": "edgekit.card/1",
    "task": "raw",
    "graphs": {
        "encoder": {
            "inputs": {
                "sequence": {
                    "shape": ["batch", {"name": "time", "typical": 6, "max": 40}, FEATURES]
                }
            },
            "outputs": {"h_out": {"shape": ["batch", HIDDEN]}},
        },
        "step": {
            "inputs": {
                "x": {"shape": ["batch", FEATURES]},
                "h_in": {"shape": ["batch", HIDDEN]},
            },
            "outputs": {
                "scores": {"shape": ["batch", CLASSES]},
                "h_out": {"shape": ["batch", HIDDEN]},
            },
            "state": {"h_out": "h_in"},
        },
    },
}
