"""LeNet-5, the first convolutional network in daily use (LeCun et al., 1998)."""

from __future__ import annotations

from typing import Any

__all__ = ["lenet5"]


def lenet5(classes: int = 10) -> Any:
    """Build LeNet-5 for (N, 1, 32, 32) float32 images; returns (N, classes) logits.

    Layers and sizes follow Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning
    Applied to Document Recognition", Proc. IEEE 86(11), 1998, section II.B, with three changes
    that are usual today: C3 sees all of S2's maps, pooling has no weights, and a linear layer
    stands in the place of the radial basis functions.

    Returns:
        torch.nn.Module, 61,706 parameters.
    """
    from collections import OrderedDict

    from torch import nn

    return nn.Sequential(
        OrderedDict(
            c1=nn.Conv2d(1, 6, 5),
            a1=nn.Tanh(),
            s2=nn.AvgPool2d(2),
            c3=nn.Conv2d(6, 16, 5),
            a3=nn.Tanh(),
            s4=nn.AvgPool2d(2),
            c5=nn.Conv2d(16, 120, 5),
            a5=nn.Tanh(),
            flat=nn.Flatten(),
            f6=nn.Linear(120, 84),
            a6=nn.Tanh(),
            output=nn.Linear(84, classes),
        )
    )
