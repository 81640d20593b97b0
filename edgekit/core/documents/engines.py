"""`inspect` of compiled engines: what is known of them without opening them."""

from __future__ import annotations

from typing import Any

import msgspec

from edgekit.core.runtime import CompileOptions, ShapeProfile, TensorInfo

__all__ = ["EngineFacts", "EngineLayer"]


class EngineLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the network as the builder read the graph, before it fused.

    Attributes:
        name: Of the ONNX node.
        kind: The builder's kind of layer, "CONVOLUTION".
        precision: That it is planned in.
    """

    name: str
    kind: str
    precision: str


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One compiled engine, as what lies beside it or in front of it describes it.

    Attributes:
        role: The graph's; "main" where there is one.
        file: Path of the engine.
        size_bytes: Of the file.
        sha256: Of the file.
        whole: Whether that is the checksum recorded when it was built; None where none was.
        target: It runs on; None where nothing tells.
        device: It was built for: a name and an architecture or instruction set; empty where
            nothing tells.
        builder: Name and version of what built it; the version alone where the name is not
            recorded; empty where nothing tells.
        built_here: Whether this machine's cache holds the very file.
        options: How it was compiled; None where nothing tells.
        graph_sha256: Of the ONNX file it was compiled from; empty where nothing tells.
        inputs: With the names of their axes.
        outputs: Likewise.
        profiles: Optimization profiles: input to its smallest, typical and largest shape.
        planned: Share of the products by the precision they are planned in.
        layers: In order; empty where the builder tells none.
        memory: "weights_bytes", "activations_bytes", "scratch_bytes": what it takes on its device
            with the largest shapes, where the builder told.
        notes: What was said when it was built, each a sentence.
        warnings: The builder's.
        metadata: What another program wrote in front of the engine; None where nothing is.
    """

    role: str
    file: str
    size_bytes: int
    sha256: str
    whole: bool | None
    target: str | None = None
    device: str = ""
    builder: str = ""
    built_here: bool = False
    options: CompileOptions | None = None
    graph_sha256: str = ""
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    profiles: tuple[ShapeProfile, ...] = ()
    planned: dict[str, float] = {}
    layers: tuple[EngineLayer, ...] = ()
    memory: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
