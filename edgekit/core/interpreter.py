"""Python processes of our own: how they start, and where they look for modules and programs.

Python puts the current folder first in the search path of `python -m` and `python -c`, so that a
`traceback.py` which lies beside a downloaded model would run. An empty or relative entry of a
search path means the current folder, or one in it, as well.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = [
    "absolute_entries",
    "command",
    "environment",
    "module_folders",
    "package_folders",
]

# Runs before anything is imported but `sys`, which is no file. Python 3.10 knows no PYTHONSAFEPATH:
# there the empty entry stands in the path of every `-c`. The package is taken from where the parent
# has it, which may be a checkout that no search path names.
_START = """\
import sys
sys.path[:] = filter(None, sys.path)
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
_, folder, called, *arguments = sys.argv
spec = PathFinder.find_spec("edgekit", [folder])
sys.modules["edgekit"] = package = module_from_spec(spec)
spec.loader.exec_module(package)
module, _, function = called.partition(":")
sys.argv[:] = [called, *arguments]
getattr(import_module(module), function)()
"""
_ROOT = Path(__file__).parents[2]
# Search paths of programs and of shared libraries.
_PATHS = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def command(called: str, *arguments: str) -> list[str]:
    """Return the command of a Python process that calls a function of edgekit's.

    Args:
        called: "module:function"; it finds its arguments in sys.argv[1:].
        arguments: Of the process.
    """
    return [sys.executable, "-c", _START, str(_ROOT), called, *arguments]


def environment() -> dict[str, str]:
    """Return the environment of such a process, which searches what this one does.

    The current folder is searched only where PYTHONPATH names it in full.
    """
    inherited = {
        **os.environ,
        **{name: absolute_entries(name) for name in _PATHS if name in os.environ},
        "PYTHONPATH": os.pathsep.join(module_folders()),
        "PYTHONSAFEPATH": "1",
    }
    return {**inherited, "PYTHONNOUSERSITE": "1"} if sys.flags.no_user_site else inherited


def module_folders() -> list[str]:
    """Return sys.path without the current folder and without what PYTHONPATH names relatively."""
    named = [Path(one) for one in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    unwanted = {_resolved(one) for one in (Path(), *named) if not one.is_absolute()}
    wanted = {_resolved(one) for one in named if one.is_absolute()}
    return [
        one
        for one in sys.path
        if Path(one).is_absolute() and _resolved(Path(one)) not in unwanted - wanted
    ]


def package_folders() -> list[str]:
    """Return folders of packages that no entry of sys.path holds: edgekit's and editable ones.

    setuptools keeps the latter in a module of its own.
    """
    own = Path(__file__).parents[1]
    linked = [one for one in own.iterdir() if one.is_symlink()] if own.is_dir() else []
    finders = [module for name, module in list(sys.modules.items()) if "__editable__" in name]
    editable = [folder for finder in finders for folder in getattr(finder, "MAPPING", {}).values()]
    return [str(one) for one in (own, *linked, *editable)]


def absolute_entries(name: str) -> str:
    """Return a search path of the environment without its empty and relative entries.

    Args:
        name: Of the variable, "PATH".
    """
    entries = os.environ.get(name, "").split(os.pathsep)
    return os.pathsep.join(one for one in entries if Path(one).is_absolute())


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except FileNotFoundError:  # the current folder was deleted
        return path
