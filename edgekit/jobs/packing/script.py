"""run.py: put together from the engine's part and the task's, with this model's constants."""

from __future__ import annotations

from edgekit.core.version import __version__
from edgekit.jobs.packing.answers import Answers
from edgekit.jobs.packing.chosen import Chosen
from edgekit.jobs.packing.engines import Scripted

__all__ = ["script"]

_CHECK = "    python run.py --check     the golden inputs against the reference's outputs"
_FROM = "    from run import load      load({0}) takes arrays by input name"


def script(chosen: Chosen, engine: Scripted, answers: Answers) -> str:
    """Write run.py.

    Args:
        chosen: The entry.
        engine: How its target is opened.
        answers: The task's part.
    """
    images = chosen.card.preprocess is not None
    failed = f" ({', '.join(chosen.failed)})" if chosen.failed else ""
    # "import …" before "from …", as everywhere.
    standard = sorted(engine.imports, key=lambda one: (one[0] != "i", one))
    title = f"{_plain(chosen.name)}: {chosen}. Certificate: {chosen.entry.verdict}{failed}."
    lines = [
        f'"""{title}',
        "",
        *_usage(chosen, answers, images=images),
        f"Packed by edgekit {__version__}; needs requirements.txt and no edgekit.",
        '"""',
        "",
        *standard,
        *([""] if standard else []),
        "import guard  # first: it says in a sentence what this machine lacks",
        *(["import cv2"] if images else []),
        *(["import numpy as np"] if images or answers.functions else []),
        *engine.before,
        f"import {engine.module}",
        *answers.own_imports,
        *(["", *answers.constants] if answers.constants else []),
        "",
        "",
        engine.load.substitute(
            threads=chosen.threads, precision=engine.precisions[chosen.entry.compute]
        ).rstrip(),
        *(["", "", *answers.functions] if answers.functions else []),
        "",
        "",
        'if __name__ == "__main__":',
        f"    guard.main(__doc__, load, {answers.show})",
    ]
    return "\n".join(lines) + "\n"


def _usage(chosen: Chosen, answers: Answers, *, images: bool) -> list[str]:
    lines = []
    if answers.usage:
        what = "IMAGE...    " if images else "ARRAYS.npz  "
        lines.append(f"    python run.py {what}{answers.usage[0]}")
        lines += [f"{'':30}{line}" for line in answers.usage[1:]]
    lines.append(_CHECK)
    if not images:
        names = list(chosen.variant.graphs)
        argument = "" if names == ["main"] else " or ".join(repr(name) for name in names)
        lines.append(_FROM.format(argument))
    return [*lines, ""]


def _plain(name: str) -> str:
    """A folder's name inside the script's first text: nothing that could end it."""
    return "".join(one if one.isalnum() or one in "-_. " else "_" for one in name)
