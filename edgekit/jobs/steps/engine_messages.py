"""Why an engine is taken from the cache or built again: its builder and its device in words."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.runtimes.words import architecture

__all__ = ["built_again", "built_by"]

# What an engine is built by and for.
_BUILD = frozenset({"runtime", "device"})
# What changes with every release of edgekit, which says nothing to who updated a driver.
_ASIDE = frozenset({"edgekit"})


def built_by(parts: Mapping[str, str]) -> str:
    """Return "built by 10.13 for SM 8.9", of the parts that an engine depends on."""
    device = architecture(parts.get("device", ""))
    return f"built by {parts.get('runtime', '')}{f' for {device}' if device else ''}"


def built_again(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say why an engine that there was will not do; empty where more than its build changed.

    Args:
        before: The parts that the earlier one depends on.
        now: Those of the one that is wanted.
    """
    names = before.keys() | now.keys()
    changed = {name for name in names if before.get(name) != now.get(name)}
    if not changed & _BUILD or changed - _BUILD - _ASIDE:
        return ""
    was, here = before.get("device", ""), now.get("device", "")
    # Two drivers on one GPU differ in neither name nor SM: then the whole identity is said.
    whole = was != here and architecture(was) == architecture(here)
    words = [", ".join(one.split(" | ")) if whole else architecture(one) for one in (was, here)]
    return (
        f"built by {before.get('runtime', '')} for {words[0]}; this is {now.get('runtime', '')} on "
        f"{words[1]}: building again from the graph"
    )
