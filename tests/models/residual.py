"""A convolutional network with shortcuts, batch norms, modules called twice, and two outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """x + act(norm(conv(x))) on one path, a 1x1 convolution on the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.SiLU()
        self.mix = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.SiLU())
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.mix(self.act(self.norm(self.conv(x))))


class Residual(nn.Module):
    """(N, 3, H, W) to scores (N, 5) and a map (N, 8, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.act = nn.ReLU()
        self.blocks = nn.ModuleList([Block(8) for _ in range(3)])
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.act(self.stem(image))
        for block in self.blocks:
            x = block(x)
        return {"scores": self.head(self.act(x).mean((2, 3))), "map": x}


def residual() -> nn.Module:
    """Build the network."""
    return Residual()


def trained() -> nn.Module:
    """Build it with seeded weights, its batch norms no identity."""
    torch.manual_seed(3)
    network = Residual()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return network.eval()


CARD = {
    "schema": "edgekit.card/1",
    "task": "raw",
    "inputs": {"image": {"shape": ["batch", 3, 12, 12]}},
    "outputs": {"scores": {"shape": ["batch", 5]}, "map": {"shape": ["batch", 8, 12, 12]}},
}
