"""The code that makes a step: a module and all of edgekit that it leads to, as one checksum.

What a step made stays good until something changes that made it. A version number alone does not
see an edited module, and a checksum over all of edgekit throws every step away for a comment in the
command line. Imports point one way (import-linter), so what a module leads to is what stands below
it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
from pathlib import Path

__all__ = ["led_to", "sources"]

# `from edgekit.x import y, z`, `import edgekit.x`, and a module named as text, as tables of members
# name those that are imported when they are used: "edgekit.x.y" or "edgekit.x:Y".
_NAMED = re.compile(
    r"^[ \t]*from[ \t]+(edgekit(?:\.\w+)*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)"
    r"|^[ \t]*import[ \t]+(edgekit(?:\.\w+)*)"
    r"|[\"'](edgekit(?:\.\w+)+)[\"':]",
    re.M,
)


@functools.cache
def sources(*modules: str) -> str:
    """Sha256 over modules of edgekit and all of edgekit that they lead to.

    Args:
        modules: Full names, "edgekit.export.worker".
    """
    files = {name: _file(name) for name in sorted(led_to(*modules))}
    found = hashlib.sha256()
    for name, file in files.items():
        assert file is not None, "what is led to is there"
        content = file.read_bytes()
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()


@functools.cache
def led_to(*modules: str) -> frozenset[str]:
    """Return the names of modules, and of all that they import, wherever the import stands."""
    found: set[str] = set()
    left = list(modules)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _named(name)
    return frozenset(found)


@functools.cache
def _named(module: str) -> frozenset[str]:
    """Modules of edgekit that one names."""
    file = _file(module)
    assert file is not None, f"{module} is no module of edgekit"
    found: set[str] = set()
    for base, names, plain, text in _NAMED.findall(file.read_text(encoding="utf-8")):
        named = {base or plain or text}
        named |= {f"{base}.{name}" for name in re.findall(r"\w+", names)} if base else set()
        found |= {name for name in named if _file(name) is not None}
    # The package itself holds names of the interface, each imported when it is asked for; and a
    # release alone changes nothing.
    return frozenset(found - {"edgekit", "edgekit.core.version"})


@functools.cache
def _file(module: str) -> Path | None:
    _, *rest = module.split(".")
    if not rest:
        return None
    # In a checkout some packages are links, which not every system follows.
    top = importlib.util.find_spec(f"edgekit.{rest[0]}")
    if top is None or top.origin is None:
        return None
    origin = Path(top.origin)
    if len(rest) == 1:
        return origin
    if origin.name != "__init__.py":
        return None
    place = origin.parent.joinpath(*rest[1:])
    return next(
        (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None
    )
