"""`edgekit completion`."""

from __future__ import annotations

import click

from edgekit.cli.examples import examples

__all__ = ["command"]


@click.command(
    "completion",
    epilog=examples(
        "edgekit completion bash \\\n    > ~/.local/share/bash-completion/completions/edgekit",
        "edgekit completion zsh > ~/.zfunc/_edgekit    # fpath+=~/.zfunc in .zshrc",
        "edgekit completion fish > ~/.config/fish/completions/edgekit.fish",
        'eval "$(edgekit completion bash)"    # this shell only; zsh alike',
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    """Print the script that completes edgekit's command line in SHELL.

    Commands, options, targets, built-in names, precisions, and after BUNDLE@ its variants.
    """
    from edgekit.cli.shells import script

    click.echo(script(shell))
