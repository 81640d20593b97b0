"""The click group: a command's module is imported when that command is asked for."""

from __future__ import annotations

import importlib
from typing import Any

import click
from click.shell_completion import CompletionItem

from edgekit.cli.catalogue import COMMANDS, TOOLS
from edgekit.core.names import closest
from edgekit.core.version import __version__

__all__ = ["Group", "LazyGroup", "edgekit"]

_ALL = {**COMMANDS, **TOOLS}


class Group(click.Group):
    """A group that shows its help where no command is given, and names the closest for a typo."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; nothing at all means --help, which ends with status 0."""
        if not args and not ctx.resilient_parsing:
            args = ["--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with.

        Raises:
            click.UsageError: There is none; the message names the closest one.
        """
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"{name!r} is not a command. {closest(name, known)}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group that knows its commands by name and summary only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the catalogue's order."""
        return list(_ALL)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None where there is none of that name."""
        if cmd_name not in _ALL:
            return None
        command = importlib.import_module(f"edgekit.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands and options, without importing a command."""
        names = [name for name in _ALL if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=_ALL[name]) for name in names), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_ALL.items()))


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"edgekit {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Results go to stdout, as a table or with --json as one JSON document; progress goes "
    "to stderr. Exit status: 0 done and within budget, 1 a check failed, 2 wrong usage or bad "
    "input, 3 the engine or device is not available, 130 interrupted.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
def edgekit(**_options: Any) -> None:
    """A trained PyTorch model in, a certified bundle out.

    Start with `edgekit doctor`, then `edgekit deploy SOURCE --data DIR -o BUNDLE`.
    """
