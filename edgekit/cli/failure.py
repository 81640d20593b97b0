"""An exception as one sentence, and with --json as a document."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import click

from edgekit.cli.pipes import reader_left
from edgekit.cli.status import BAD_INPUT, FAILED
from edgekit.core.addresses import without_secrets
from edgekit.core.errors import EdgekitError
from edgekit.core.names import closest
from edgekit.core.reading import environment_error
from edgekit.core.texts import bounded, safe

__all__ = ["Failure", "describe", "report"]


@dataclass(frozen=True)
class Failure:
    """What a user or a program is told.

    Attributes:
        kind: A word for programs: "bad-input", "usage", "bug", …
        message: One sentence: what is wrong and where.
        hint: What to do about it; may be empty.
        exit_status: See edgekit.cli.status.
    """

    kind: str
    message: str
    hint: str
    exit_status: int


def describe(error: Exception) -> Failure:
    """Turn an exception into what is told about it."""
    known = error if isinstance(error, EdgekitError) else environment_error(error)
    if known is not None:
        return Failure(known.kind, known.message, known.hint, known.exit_status)
    if isinstance(error, click.ClickException):
        return _usage(error)
    text = bounded(" ".join(str(error).split()))
    return Failure(
        "bug",
        f"This is a bug in edgekit: {type(error).__name__}{': ' if text else ''}{text}",
        "Run the same command with --debug to see the traceback.",
        FAILED,
    )


def report(failure: Failure, *, as_json: bool) -> None:
    """Print the sentence on stderr and, for --json, the document on stdout."""
    sentence = f"{_closed(failure.message)} {failure.hint}".strip()
    click.echo(f"edgekit: {safe(sentence)}", err=True)
    if as_json:
        import msgspec

        from edgekit.core.documents import ErrorDocument

        document = ErrorDocument(
            kind=failure.kind,
            message=_closed(failure.message),
            hint=failure.hint,
            exit_status=failure.exit_status,
        )
        with contextlib.suppress(BrokenPipeError):
            click.echo(msgspec.json.encode(document))
        reader_left()


def _usage(error: click.ClickException) -> Failure:
    context = error.ctx if isinstance(error, click.UsageError) else None
    name = context.command_path if context else "edgekit"
    hint = f"See {name} --help."
    if isinstance(error, click.NoSuchOption) and context:
        options = [
            text
            for parameter in context.command.get_params(context)
            for text in parameter.opts
            if text.startswith("--")
        ]
        nearest = closest(error.option_name, options)
        message = f"{name} has no option {bounded(safe(error.option_name), 100)}."
        return Failure("usage", message, nearest if "mean" in nearest else hint, BAD_INPUT)
    message = bounded(safe(without_secrets(" ".join(error.format_message().split()))))
    return Failure("usage", message, "" if "Did you mean" in message else hint, BAD_INPUT)


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
