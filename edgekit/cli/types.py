"""Types of option values, stricter than click's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click

__all__ = ["Number", "named_shapes"]


class Number(click.FloatRange):
    """A finite number within a range; click's own lets `nan` and `inf` through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number.

        Raises:
            click.BadParameter: It is none, not finite, or outside the range.
        """
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def named_shapes(
    _ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """Split every NAME=SHAPE into name and shape, as an option's callback.

    Raises:
        click.BadParameter: One holds no "=", or a name stands twice.
    """
    shapes: dict[str, str] = {}
    for value in values:
        name, equals, shape = value.rpartition("=")
        if not (equals and name and shape):
            raise click.BadParameter(f"{value!r} is not of the form NAME=SHAPE, x=batch,3,224,224.")
        if name in shapes:
            raise click.BadParameter(f"{name!r} is given twice.")
        shapes[name] = shape
    return shapes
