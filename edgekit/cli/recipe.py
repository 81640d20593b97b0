"""`--config recipe.yaml`: option names to values, read as if they stood on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.texts import shown
from edgekit.core.version import __version__

__all__ = ["config", "consent"]

# What a file may ask for, but only whoever runs it can grant.
_CONSENT = ("trust_code", "trust_pickle")
# Options that name code: Python to import, and libraries that an execution provider loads.
_NAMES_CODE = ("arch", "provider_options")
_ASKED = "edgekit.recipe.consent"
_NOT_RECIPE = ("as_json", "quiet", "debug", "config", "help")


def _read(ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is not None and not ctx.resilient_parsing:
        ctx.default_map = _values(path, ctx)


config = click.option(
    "--config",
    metavar="RECIPE.yaml",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_read,
    help="Options from a file, by their long names; the command line overrides them.",
)


def consent(ctx: click.Context, parameter: click.Parameter, given: bool) -> bool:
    """Return whether a --trust-… flag was given, as its callback.

    Raises:
        BadInput: A recipe asks for it, or names code, and the command line does not grant it.
    """
    asked: dict[str, tuple[Path, str]] = ctx.meta.get(_ASKED, {})
    if not given and parameter.name in asked:
        path, what = asked[parameter.name]
        raise _refusal(f"{path} needs {what}", parameter)
    for name in _NAMES_CODE:
        # What stands on the command line was read by now, and takes the place of the recipe's.
        overridden = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if parameter.name == "trust_code" and not given and name in asked and not overridden:
            path, what = asked[name]
            raise _refusal(f"{path} names code to run by {what}", parameter)
    return given


def _refusal(what: str, parameter: click.Parameter) -> BadInput:
    return BadInput(
        f"{what}, and a file cannot consent for you.",
        hint=f"If you agree, give --{_key(parameter)} on the command line.",
    )


def _values(path: Path, ctx: click.Context) -> dict[str, Any]:
    """Read a recipe into values by parameter name."""
    parameters = {
        _key(parameter): parameter
        for parameter in ctx.command.get_params(ctx)
        if parameter.name not in _NOT_RECIPE
    }
    values: dict[str, Any] = {}
    content = _mapping(path)
    other = _other_version(path, content)
    for key, value in content.items():
        parameter = parameters.get(key)
        if parameter is None or parameter.name is None:
            raise BadInput(
                f"{path} has the unknown key {shown(key)}{other and f': {other}'}.",
                closest(str(key), parameters),
            )
        checked = _checked(path, key, value, parameter)
        if parameter.name not in _CONSENT:
            values[parameter.name] = checked
        if checked and parameter.name in (*_CONSENT, *_NAMES_CODE):
            ctx.meta.setdefault(_ASKED, {})[parameter.name] = path, key
    return values


def _other_version(path: Path, content: dict[Any, Any]) -> str:
    """Take out the version that wrote the recipe; say so where it is not this one's."""
    written = content.pop("edgekit", __version__)
    if not isinstance(written, str):
        raise BadInput(
            f"{path}: edgekit must be a version, got {shown(written)}.",
            hint="Leave it out, or write it in quotes.",
        )
    if written == __version__:
        return ""
    return f"it was written by edgekit {written}, and this is {__version__}"


def _mapping(path: Path) -> dict[Any, Any]:
    from edgekit.core.yaml_text import read_yaml

    content = read_yaml(path, hint="Give a recipe with --config.")
    if not isinstance(content, dict):
        raise BadInput(
            f"{path} is no recipe: it is not a mapping of option names to values.",
            hint="For instance: target: [openvino:cpu]",
        )
    return content


def _checked(path: Path, key: str, value: Any, parameter: click.Parameter) -> Any:
    """Return a value in the form that click expects; what YAML read as another kind is refused."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if isinstance(value, bool):
            return value
        raise BadInput(f"{path}: {key} must be true or false, got {shown(value)}.")
    repeatable = isinstance(parameter, click.Option) and parameter.multiple
    if repeatable and isinstance(value, dict):
        # `input: {x: [batch, 3, 224, 224]}` reads better than a list of NAME=SHAPE.
        value = [f"{name}={_joined(shape)}" for name, shape in value.items()]
    items = value if repeatable and isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            wanted = "a value or a list of values" if repeatable else "one value"
            raise BadInput(f"{path}: {key} must be {wanted}, got {shown(value)}.")
    # As it would be typed: a type of click's that wants a text gets no number.
    texts = [str(item) for item in items]
    return texts if repeatable else texts[0]


def _joined(shape: object) -> str:
    sizes = shape if isinstance(shape, list) else [shape]
    return ",".join("" if size is None else str(size) for size in sizes)


def _key(parameter: click.Parameter) -> str:
    """The name of an option without its dashes, or an argument's own."""
    longest = max(parameter.opts, key=len)
    return longest.lstrip("-")
