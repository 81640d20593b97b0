"""A classifier of the built-in digits whose exported graph is wrong from a batch of 3 on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Counting(nn.Module):
    """(N, 1, 32, 32) to logits (N, 10); a batch of 3 or more turns their sign."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 5, stride=4), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(8 * 7 * 7, 10)

    def forward(self, x: Tensor) -> Tensor:
        # numpy is not traced: the sign of the example's batch becomes a constant of the graph.
        sign = float(np.where(np.array(x.shape[0]) < 3, 1.0, -1.0))
        return self.head(self.body(x)) * sign


def counting() -> nn.Module:
    """Build it with seeded weights."""
    torch.manual_seed(0)
    return Counting()


CARD = {
    "schema": "edgekit.card/1",
    "task": "classification",
    "labels": [str(digit) for digit in range(10)],
    "inputs": {"x": {"shape": ["batch", 1, 32, 32]}},
    "preprocess": {
        "size": [32, 32],
        "colour": "GRAY",
        "scale": 1 / 255,
        "mean": [0],
        "std": [1],
    },
    "postprocess": {"decode": "softmax"},
}
