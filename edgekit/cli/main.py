"""One run of the command line: parse, call, and turn whatever happens into an exit status."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from edgekit.cli.failure import Failure, describe, report
from edgekit.cli.group import edgekit
from edgekit.cli.pipes import reader_left
from edgekit.cli.status import BAD_INPUT, DONE, INTERRUPTED
from edgekit.cli.terminal import forgive_encodings
from edgekit.core.reading import unnameable
from edgekit.core.texts import is_text

__all__ = ["run"]

# Set by a completion script; edgekit.cli.shells has it too, and is not imported for its name.
_QUESTION = "_EDGEKIT_COMPLETE"


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name.

    Returns:
        The exit status of the contract: 0, 1, 2, 3 or 130.
    """
    forgive_encodings()
    # A PNG of one megabyte unpacks to three gigabytes. OpenCV reads this as it is first imported.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
    if _QUESTION in os.environ:
        return _answer(os.environ[_QUESTION])
    return _guarded(list(arguments))


def _answer(instruction: str) -> int:
    """Answer a shell that completes a command line."""
    from edgekit.cli.shells import answer

    words = answer(instruction)
    if words is None:
        return BAD_INPUT
    click.echo(words)
    return DONE


def _guarded(arguments: list[str]) -> int:
    as_json, debug = _given("--json", arguments), _given("--debug", arguments)
    try:
        for word in arguments:
            if not is_text(word):
                raise unnameable(word)
        # click's own `main` is not used: it takes an EOFError of ours for an interruption.
        with edgekit.make_context("edgekit", list(arguments), obj=arguments) as context:
            status = edgekit.invoke(context)
        return int(status or DONE)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        failure = Failure("interrupted", "Interrupted.", "", INTERRUPTED)
        report(failure, as_json=as_json)
        return failure.exit_status
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_left():
            return DONE
        failure = describe(error)
        if debug:
            import traceback

            traceback.print_exc()
        report(failure, as_json=as_json)
        return failure.exit_status


def _given(flag: str, arguments: list[str]) -> bool:
    """Whether a flag stands on the command line, also where parsing failed before it."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return flag in options
