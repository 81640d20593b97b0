"""Completion scripts of the shells, and the answers that they ask for.

click's own for zsh and fish; for bash one that knows that the shell splits words at ":" and "@".
"""

from __future__ import annotations

import os

from click.shell_completion import (
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from edgekit.cli.group import edgekit

__all__ = ["SHELLS", "VARIABLE", "answer", "script"]

_PROGRAM = "edgekit"
# Set by the scripts when they ask.
VARIABLE = "_EDGEKIT_COMPLETE"

# Works from bash 3.2 (macOS) on. Without an answer readline completes file names by itself. Of an
# answer it replaces only what stands behind the last character that splits words.
_BASH = """\
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} type value sign signs= head=
    local word=${line##*[[:space:]]}
    [[ $word == -*=* ]] && word=${word#*=}
    for sign in ":" "=" "@"; do
        [[ $COMP_WORDBREAKS == *"$sign"* ]] && signs+=$sign
    done
    [[ -n $signs && $word == *[$signs]* ]] && head=${word%%"${word##*[$signs]}"}
    # "@" begins the part that is replaced, the others end what is kept.
    head=${head%%@}
    COMPREPLY=()
    while IFS=, read -r type value; do
        [[ $type == plain ]] && COMPREPLY+=("${value#"$head"}")
    done < <(COMP_WORDS="$line" %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o bashdefault -o default -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null ||
    complete -o bashdefault -o default -F %(complete_func)s %(prog_name)s
"""


class _Bash(ShellComplete):
    name = "bash"
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        if words and not line[-1].isspace():
            return words[:-1], words[-1]
        return words, ""

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value}"


class _Zsh(ZshComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return _whole_words(super().get_completions(args, incomplete), incomplete)


class _Fish(FishComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return _whole_words(super().get_completions(args, incomplete), incomplete)

    def format_completion(self, item: CompletionItem) -> str:
        # click's script for fish splits a line at its commas and takes the second piece.
        help_ = item.help.replace(",", ";").replace("\n", " ") if item.help else None
        return super().format_completion(CompletionItem(item.value, type=item.type, help=help_))


def _whole_words(items: list[CompletionItem], incomplete: str) -> list[CompletionItem]:
    """Values of --option=VALUE with their option: zsh and fish replace the whole word."""
    option, equals, _ = incomplete.partition("=")
    if not (equals and option.startswith("-")):
        return items
    return [
        CompletionItem(f"{option}={item.value}", type=item.type, help=item.help)
        if item.type == "plain"
        else item
        for item in items
    ]


_CLASSES: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}
SHELLS = tuple(_CLASSES)


def script(shell: str) -> str:
    """Return the script that teaches a shell to complete edgekit's command line."""
    return _of(shell).source()


def answer(instruction: str) -> str | None:
    """Return what a script asks for; None where it is no question of a script of ours.

    Args:
        instruction: The value of VARIABLE, "zsh_complete".
    """
    shell, _, verb = instruction.partition("_")
    return _of(shell).complete() if shell in _CLASSES and verb == "complete" else None


def _of(shell: str) -> ShellComplete:
    return _CLASSES[shell](edgekit, {}, _PROGRAM, VARIABLE)
