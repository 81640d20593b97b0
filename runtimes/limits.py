"""Which operator sets and IR versions each runtime reads: asked of the library, or documented.

A library that names its limits when it refuses a graph is asked: it is given a graph of one node
from the far future. For the others there is a table, each row with its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgekit.core.documents import RuntimeLimit
from edgekit.core.errors import EdgekitError
from edgekit.core.requires import requires
from edgekit.core.runtime import CompileOptions
from edgekit.core.temporary import scratch
from edgekit.runtimes.catalogue import CATALOGUE, load_runtime, parse_target
from edgekit.runtimes.installed import installed, older_than

__all__ = ["TABLE", "GraphLimits", "graph_limits", "runtime_limits"]

# Later than any opset or IR version will be for some time.
_FUTURE = 999


@dataclass(frozen=True)
class GraphLimits:
    """What one release of a runtime reads.

    Attributes:
        runtime: As in a target.
        since: First release that the row is about.
        opset_min: Smallest operator set; None where not known.
        opset_max: Largest one.
        ir_max: Largest IR version; None where it is not known, or not checked.
        source: Where the figures are from.
        strict: Whether a larger opset is refused; False where the library reads it all the same
            and takes the newest definition of each operator that it has.
        opset_words: How its refusal of an opset names the largest one, a pattern with one group.
        ir_words: The same for the IR version.
        version: Of the installed library; empty where it is not here.
    """

    runtime: str
    since: str
    opset_min: int | None
    opset_max: int | None
    ir_max: int | None
    source: str
    strict: bool = True
    opset_words: str = ""
    ir_words: str = ""
    version: str = ""


# Looked up in November 2026. The newest release of a runtime comes first.
TABLE = (
    GraphLimits(
        runtime="onnxruntime",
        since="1.0",
        opset_min=7,
        opset_max=None,
        ir_max=None,
        source="asked of the library; its smallest: onnxruntime.ai, Compatibility",
        opset_words=r"till opset (\d+)",
        ir_words=r"max supported IR version: (\d+)",
    ),
    GraphLimits(
        runtime="openvino",
        since="2026.0",
        opset_min=None,
        opset_max=23,
        ir_max=None,
        source="OpenVINO ONNX frontend, supported_ops.md: the newest definitions listed",
        strict=False,
    ),
    GraphLimits(
        runtime="tensorrt",
        since="11.0",
        opset_min=9,
        opset_max=25,
        ir_max=None,
        source="docs.nvidia.com/deeplearning/tensorrt, ONNX Opset Guide",
    ),
    GraphLimits(
        runtime="tensorrt",
        since="10.15",
        opset_min=9,
        opset_max=24,
        ir_max=None,
        source="onnx-tensorrt 10.15, operators.md",
    ),
    GraphLimits(
        runtime="tensorrt-rtx",
        since="1.0",
        opset_min=9,
        opset_max=22,
        ir_max=None,
        source="docs.nvidia.com/deeplearning/tensorrt-rtx, ONNX Conversion and Deployment",
    ),
)
# Distributions of runtimes that are in the table and not in the catalogue.
_DISTRIBUTIONS = {
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
    "tensorrt-rtx": ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12"),
}


def runtime_limits() -> tuple[GraphLimits, ...]:
    """What every runtime reads: the installed release, else all that the table has of it."""
    return tuple(_found())


def graph_limits(
    opset: int, ir_version: int, limits: tuple[GraphLimits, ...]
) -> list[RuntimeLimit]:
    """Judge one graph by the limits of every runtime.

    Args:
        opset: Version of the standard operators that the graph imports.
        ir_version: Of the file.
        limits: See `runtime_limits`.
    """
    return [_judged(opset, ir_version, one) for one in limits]


def _found() -> Iterator[GraphLimits]:
    for runtime in dict.fromkeys(row.runtime for row in TABLE):
        rows = [row for row in TABLE if row.runtime == runtime]
        entry = CATALOGUE.get(runtime)
        names = entry.distributions if entry else _DISTRIBUTIONS[runtime]
        version = next(iter(installed(names).values()), "")
        if not version:
            yield from rows
            continue
        row = next((row for row in rows if not older_than(version, row.since)), None)
        if row is None:
            yield GraphLimits(
                runtime, version, None, None, None, "no source known", version=version
            )
        else:
            yield replace(_asked(row), version=version)


def _asked(row: GraphLimits) -> GraphLimits:
    """Fill in what the library itself says of its limits."""
    return replace(
        row,
        opset_max=_answer(row, _FUTURE, 4, row.opset_words) if row.opset_words else row.opset_max,
        ir_max=_answer(row, 9, _FUTURE, row.ir_words) if row.ir_words else row.ir_max,
    )


def _answer(row: GraphLimits, opset: int, ir_version: int, words: str) -> int | None:
    """The number in a library's refusal; None where it does not refuse, or in other words."""
    with requires("onnx", extra="onnx", why="to ask a runtime for its limits"):
        import onnx
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "future",
        [helper.make_tensor_value_info("x", kind, [1])],
        [helper.make_tensor_value_info("y", kind, [1])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version
    )
    with scratch("limits") as folder:
        path, engine = folder / "future.onnx", folder / "engine"
        path.write_bytes(model.SerializeToString())
        engine.mkdir()
        try:
            target = parse_target(row.runtime)
            load_runtime(row.runtime).compile(path, target, CompileOptions(), engine)
        except EdgekitError as error:
            # Ours is shortened; the library's own words are its cause.
            found = re.search(words, f"{error} {error.__cause__}")
            return int(found.group(1)) if found else None
    return None


def _judged(opset: int, ir_version: int, limits: GraphLimits) -> RuntimeLimit:
    verdict, reason = _verdict(opset, ir_version, limits)
    return RuntimeLimit(
        runtime=limits.runtime,
        version=limits.version or limits.since,
        installed=bool(limits.version),
        verdict=verdict,  # type: ignore[arg-type]
        opset_min=limits.opset_min,
        opset_max=limits.opset_max,
        ir_max=limits.ir_max,
        source=limits.source,
        reason=reason,
    )


def _verdict(opset: int, ir_version: int, limits: GraphLimits) -> tuple[str, str]:
    if limits.ir_max is not None and ir_version > limits.ir_max:
        return "too new", f"IR version {ir_version} is above {limits.ir_max}."
    if limits.opset_max is None:
        return "unknown", "No source tells the largest opset."
    if opset > limits.opset_max:
        if limits.strict:
            return "too new", f"Opset {opset} is above {limits.opset_max}."
        return "unknown", (
            f"Any opset is read, but operators by their definitions of opset {limits.opset_max} "
            "or before."
        )
    if limits.opset_min is not None and opset < limits.opset_min:
        return "too old", f"Opset {opset} is below {limits.opset_min}."
    return "ok", ""
