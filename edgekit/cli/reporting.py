"""What every command does around its call: progress, the result, the exit status."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any

import click

from edgekit.cli.pipes import reader_left
from edgekit.cli.status import GATES, status_of
from edgekit.core.texts import safe

__all__ = ["reporting"]


def reporting(command: Callable[..., Any]) -> Callable[..., int]:
    """Give a command --json, --quiet and --debug, and print the document that it returns.

    The command is called with one argument more, `progress`, and returns the document of its API
    call. What comes out is the exit status.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON document.")
    @click.option("--quiet", is_flag=True, help="No progress and no advice on stderr.")
    @click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
    )
    @functools.wraps(command)
    def wrapped(*, as_json: bool, quiet: bool, **options: Any) -> int:
        from edgekit.cli.progress import progress_on_stderr

        gates = {name: options.pop(name) for name in GATES if name in options}
        with progress_on_stderr(quiet=quiet) as progress:
            document = command(progress=progress, **options)
        # rich turns a broken pipe into an exit; the status stays the one that the result earned.
        with contextlib.suppress(BrokenPipeError, SystemExit):
            _print(document, as_json=as_json, aside=str(options.get("detections")) == "-")
        reader_left()
        if not (quiet or as_json):
            _print_next(document, {**options, **gates})
        return status_of(document, gates)

    return wrapped


def _print_next(document: object, options: Mapping[str, Any]) -> None:
    """Print what to run next, on stderr, so that stdout is the result alone."""
    from rich.text import Text

    from edgekit.cli.following import following
    from edgekit.cli.terminal import console_on_stderr

    console = console_on_stderr()
    arguments = click.get_current_context().find_root().obj or ()
    for number, command in enumerate(following(document, options, arguments)):
        if console.is_terminal:
            text = Text.assemble(("next  " if number == 0 else "      ", "bold"), safe(command))
        else:
            text = Text(f"edgekit: next: {safe(command)}")
        console.print(text, soft_wrap=True)


def _print(document: object, *, as_json: bool, aside: bool) -> None:
    """Print the result; a table `aside`, where stdout is full of lines of JSON."""
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(document))
    else:
        from edgekit.cli.show import show
        from edgekit.cli.terminal import console_on_stderr

        show(document, console_on_stderr() if aside else None)
