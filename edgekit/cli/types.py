"""Types of option values, stricter than click's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import click

from edgekit.core.texts import shown, whole_number

__all__ = [
    "Number",
    "Percent",
    "StreamSize",
    "fail_conditions",
    "named_numbers",
    "named_profiles",
    "named_shapes",
    "named_values",
    "whole_numbers",
]


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


class Percent(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A share of 1, given as "3%" or as 0.03."""

    name = "percent"

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """What the help calls a value."""
        return "PERCENT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the share.

        Raises:
            click.BadParameter: It is none, or not from 0 to below 1.
        """
        found = _share(value)
        if found is None:
            self.fail(f"{value!r} is no share from 0% to below 100%, for instance 3%.", param, ctx)
        return found


class StreamSize(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Width and height of a stream's frames, "1280x720"."""

    name = "size"

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """What the help calls a value."""
        return "WIDTHxHEIGHT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return (width, height), pixels.

        Raises:
            click.BadParameter: It is no size that a stream can have.
        """
        from edgekit.core.errors import BadInput
        from edgekit.core.sizes import parse_stream

        if isinstance(value, tuple):
            return value[0], value[1]
        try:
            return parse_stream(str(value))
        except BadInput as error:
            self.fail(str(error), param, ctx)


def fail_conditions(
    _ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> dict[str, float | None]:
    """Read every --fail-on, as an option's callback: condition to its share, None without one.

    Raises:
        click.BadParameter: One is neither slower, slower:SHARE nor unclear.
    """
    found: dict[str, float | None] = {}
    for word in (word.strip() for value in values for word in value.split(",")):
        name, colon, share = word.partition(":")
        limit = _share(share) if colon else None
        known = name == "slower" or (name == "unclear" and not colon)
        if not known or (colon and limit is None):
            raise click.BadParameter(f"{word!r} is none of slower, slower:3%, unclear.")
        found[name] = limit
    return found


def _share(value: Any) -> float | None:
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None
    return number if 0 <= number < 1 else None


def named_shapes(
    _ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """Split every NAME=SHAPE into name and shape, as an option's callback.

    Raises:
        click.BadParameter: One holds no "=", or a name stands twice.
    """
    return _named((value.rpartition("=") for value in values), "NAME=SHAPE, x=batch,3,224,224")


def named_values(
    _ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """Split every KEY=VALUE into key and value, as an option's callback.

    Raises:
        click.BadParameter: One holds no "=", or a key stands twice.
    """
    return _named((value.partition("=") for value in values), "KEY=VALUE, confidence=0.4")


def named_numbers(
    _ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Split every AXIS=N,N into axis and whole numbers, as an option's callback.

    Raises:
        click.BadParameter: One holds no "=", an axis stands twice, or a value is no whole number.
    """
    form = "AXIS=N,N, batch=1,2,4"
    found: dict[str, tuple[int, ...]] = {}
    for name, text in _named((value.partition("=") for value in values), form).items():
        found[name] = _whole_numbers(text, f"{name}={text}", form)
    return found


def named_profiles(
    _ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> tuple[dict[str, str], ...]:
    """Gather NAME=SHAPES into profiles, as an option's callback: a name's second goes to another.

    Raises:
        click.BadParameter: One holds no "=".
    """
    profiles: list[dict[str, str]] = []
    for value in values:
        ((name, shapes),) = _named([value.rpartition("=")], "NAME=MIN:TYPICAL:MAX").items()
        free = next((one for one in profiles if name not in one), None)
        if free is None:
            profiles.append({})
            free = profiles[-1]
        free[name] = shapes
    return tuple(profiles)


def whole_numbers(
    _ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]
) -> tuple[int, ...]:
    """Split every N,N into whole numbers, as an option's callback.

    Raises:
        click.BadParameter: Something in it is none.
    """
    text = ",".join(values)
    return _whole_numbers(text, text, "86,89") if values else ()


def _whole_numbers(text: str, given: str, form: str) -> tuple[int, ...]:
    found: list[int] = []
    for word in text.split(","):
        number = whole_number(word.strip())
        if number is None:
            raise click.BadParameter(f"{shown(given)} is not of the form {form}.")
        found.append(number)
    return tuple(found)


def _named(pairs: Iterable[tuple[str, str, str]], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, equals, value in pairs:
        if not (equals and name and value):
            raise click.BadParameter(f"{name + equals + value!r} is not of the form {form}.")
        if name in found:
            raise click.BadParameter(f"{name!r} is given twice.")
        found[name] = value
    return found
