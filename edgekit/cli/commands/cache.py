"""`edgekit cache list|size|prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.examples import examples
from edgekit.cli.group import Group
from edgekit.cli.reporting import reporting
from edgekit.cli.types import Number

if TYPE_CHECKING:
    from edgekit.core.documents import CacheDocument

__all__ = ["command"]


@click.group(
    "cache",
    cls=Group,
    epilog=examples(
        "edgekit cache list",
        "edgekit cache prune --limit 5GB --older-than 30",
    ),
)
def command() -> None:
    """List, measure and prune what was made before and can be used again.

    The cache lies in EDGEKIT_CACHE, or in the user's cache folder, and keeps to EDGEKIT_CACHE_LIMIT
    (10 GB): what was used longest ago goes first.
    """


@command.command(
    "list",
    epilog=examples(
        "edgekit cache list",
        "edgekit cache list --json",
    ),
)
@reporting
def list_(**_options: Any) -> CacheDocument:
    """List every stage that is cached: what for, how large, last used when."""
    from edgekit import api

    return api.cache_list()


@command.command(
    "size",
    epilog=examples(
        "edgekit cache size",
    ),
)
@reporting
def size(**_options: Any) -> CacheDocument:
    """Say how large the cache is, by kind of stage."""
    import msgspec

    from edgekit import api

    return msgspec.structs.replace(api.cache_list(), entries=())


@command.command(
    "prune",
    epilog=examples(
        "edgekit cache prune --older-than 30",
        "edgekit cache prune --all",
    ),
)
@click.option("--limit", metavar="SIZE", help="Keep at most this much, for instance 5GB.")
@click.option(
    "--older-than",
    metavar="DAYS",
    type=Number(min=0),
    help="Remove what was not used for so many days.",
)
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
@reporting
def prune(**options: Any) -> CacheDocument:
    """Remove what is damaged or left over, and what was used longest ago beyond the limit.

    What a running process uses stays.
    """
    from edgekit import api

    return api.cache_prune(**options)
