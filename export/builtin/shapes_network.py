"""The network of `edgekit:shapes`: a small anchor-free detector in the manner of YOLO."""

from __future__ import annotations

from typing import Any

__all__ = ["STRIDES", "shapes_network"]

# Pixels of the input a cell of each of the three output maps stands for.
STRIDES = (8, 16, 32)
# Channels at the strides 2, 4, 8, 16 and 32, and in the neck.
_WIDTHS = (16, 32, 64, 96, 128)
_NECK = 64


def shapes_network(classes: int = 20) -> Any:
    """Build the detector for (N, 3, H, W) float32 images, RGB, 0 to 1; H and W at least 32.

    A backbone of cross-stage partial blocks (Wang et al., arXiv:1911.11929), features joined from
    the top down and from the bottom up (Lin et al., arXiv:1612.03144; Liu et al.,
    arXiv:1803.01534), and a decoupled head without anchors (Tian et al., arXiv:1904.01355; Ge et
    al., arXiv:2107.08430). Activations are ReLU: they fuse with their convolution in int8 on every
    engine.

    In eval mode it returns (N, 4 + C, A): centre x, centre y, width and height in pixels, then a
    score from 0 to 1 a class, the anchors of the strides 8, 16, 32 one after the other, row by row.
    In training mode it returns the raw maps: for each stride scores (N, C, h, w) as logits and
    distances (N, 4, h, w) to the left, upper, right and lower edge in strides.

    Returns:
        torch.nn.Module, 831,000 parameters for 20 classes.
    """
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    def convolution(inside: int, outside: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )

    class Partial(nn.Module):  # type: ignore[misc]  # torch is Any here
        """Half of the channels go through a residual pair of convolutions, all are joined."""

        def __init__(self, inside: int, outside: int) -> None:
            super().__init__()
            half = outside // 2
            self.enter = convolution(inside, outside)
            self.first = convolution(half, half, 3)
            self.second = convolution(half, half, 3)
            self.leave = convolution(3 * half, outside)

        def forward(self, x: Tensor) -> Tensor:
            kept, passed = self.enter(x).chunk(2, 1)
            worked = passed + self.second(self.first(passed))
            result: Tensor = self.leave(torch.cat([kept, passed, worked], 1))
            return result

    class Head(nn.Module):  # type: ignore[misc]  # torch is Any here
        """Scores and distances of one stride."""

        def __init__(self) -> None:
            super().__init__()
            self.scores = nn.Sequential(convolution(_NECK, _NECK, 3), nn.Conv2d(_NECK, classes, 1))
            narrow = _NECK // 2
            self.edges = nn.Sequential(
                convolution(_NECK, narrow, 3),
                convolution(narrow, narrow, 3),
                nn.Conv2d(narrow, 4, 1),
            )

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.scores(x), self.edges(x)

    class Shapes(nn.Module):  # type: ignore[misc]  # torch is Any here
        def __init__(self) -> None:
            super().__init__()
            w2, w4, w8, w16, w32 = _WIDTHS
            self.stem = convolution(3, w2, 3, 2)
            self.down4, self.stage4 = convolution(w2, w4, 3, 2), Partial(w4, w4)
            self.down8, self.stage8 = convolution(w4, w8, 3, 2), Partial(w8, w8)
            self.down16, self.stage16 = convolution(w8, w16, 3, 2), Partial(w16, w16)
            self.down32, self.stage32 = convolution(w16, w32, 3, 2), Partial(w32, w32)
            self.side8 = convolution(w8, _NECK)
            self.side16 = convolution(w16, _NECK)
            self.side32 = convolution(w32, _NECK)
            self.join16, self.join8 = Partial(2 * _NECK, _NECK), Partial(2 * _NECK, _NECK)
            self.fall16, self.back16 = convolution(_NECK, _NECK, 3, 2), Partial(2 * _NECK, _NECK)
            self.fall32, self.back32 = convolution(_NECK, _NECK, 3, 2), Partial(2 * _NECK, _NECK)
            self.heads = nn.ModuleList(Head() for _ in STRIDES)

        def forward(self, image: Tensor) -> Any:
            at8 = self.stage8(self.down8(self.stage4(self.down4(self.stem(image)))))
            at16 = self.stage16(self.down16(at8))
            at32 = self.stage32(self.down32(at16))
            top32 = self.side32(at32)
            top16 = self.join16(self._above(top32, self.side16(at16)))
            out8 = self.join8(self._above(top16, self.side8(at8)))
            out16 = self.back16(torch.cat([self.fall16(out8), top16], 1))
            out32 = self.back32(torch.cat([self.fall32(out16), top32], 1))
            maps = [head(x) for head, x in zip(self.heads, (out8, out16, out32), strict=True)]
            if self.training:
                return maps
            scores = torch.cat([scores.flatten(2) for scores, _ in maps], 2).sigmoid()
            boxes = torch.cat(
                [
                    self._boxes(edges, stride)
                    for (_, edges), stride in zip(maps, STRIDES, strict=True)
                ],
                2,
            )
            return torch.cat([boxes, scores], 1)

        def _above(self, coarse: Tensor, fine: Tensor) -> Tensor:
            """Join a coarse map, enlarged to the size of the fine one, with it."""
            large = functional.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
            return torch.cat([large, fine], 1)

        def _boxes(self, edges: Tensor, stride: int) -> Tensor:
            """Distances (N, 4, h, w) in strides to centres and sizes (N, 4, h * w) in pixels."""
            height, width = edges.shape[-2:]
            x = torch.arange(width, dtype=edges.dtype, device=edges.device) + 0.5
            y = torch.arange(height, dtype=edges.dtype, device=edges.device)[:, None] + 0.5
            left, top, right, bottom = edges.unbind(1)
            found = [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom]
            return torch.stack(found, 1).flatten(2) * stride

    return Shapes()
