"""Every graph of a variant, written in its precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.core.runtime import Feeds
from edgekit.core.variant import Variant
from edgekit.jobs.steps.cast import write_fp16_graph
from edgekit.jobs.steps.quantize import write_int8_graph

__all__ = ["write_variant"]


def write_variant(
    variant: Variant,
    identifier: str,
    decisions: dict[str, Path],
    folder: Path,
    feeds: Mapping[str, Sequence[Feeds]],
) -> tuple[Variant, list[str]]:
    """Write every graph of a variant: "fp16" by a cast, "int8-DIALECT" from decisions.

    Args:
        variant: The fp32 variant.
        identifier: What to write.
        decisions: Of int8, by role.
        folder: Where to write.
        feeds: For fp16, inputs by role on which its nodes are tried.

    Returns:
        The variant, and a sentence for everything that a user should know of the cast.
    """
    folder.mkdir(parents=True, exist_ok=True)
    precision, _, dialect = identifier.partition("-")
    graphs: dict[str, str] = {}
    notes: list[str] = []
    for role, path in variant.graphs.items():
        output = folder / f"{role}.onnx"
        if precision == "fp16":
            notes += write_fp16_graph(role, Path(path), feeds.get(role, ()), output)
        else:
            write_int8_graph(role, Path(path), decisions, dialect, output)
        graphs[role] = str(output)
    return Variant(id=identifier, precision=precision, graphs=graphs), notes
