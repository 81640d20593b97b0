"""`inspect --diff`: two models side by side."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgekit.core.documents.document import Document

__all__ = ["Change", "DiffDocument", "EntryDiff", "GraphDiff", "NodeChange", "WeightChange"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has two values; None where one side does not have it."""

    before: Any = None
    after: Any = None


class NodeChange(msgspec.Struct, frozen=True, kw_only=True):
    """One node that both graphs have and that differs.

    Attributes:
        name: In the first graph.
        renamed: Its name in the second, where that is another one.
        op: Operator in both, or "A > B".
        changed: What differs: "operator", "attributes", "inputs", "outputs".
    """

    name: str
    op: str
    changed: tuple[str, ...]
    renamed: str = ""


class WeightChange(msgspec.Struct, frozen=True, kw_only=True):
    """One initializer that both graphs have and that differs.

    Attributes:
        max_abs: Largest absolute difference; None where dtype or shape differ, or it is no number.
        elements: How many elements differ; None likewise.
    """

    name: str
    before: str
    after: str
    max_abs: float | None = None
    elements: int | None = None


class GraphDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How two graphs of one role differ; empty where they do not.

    Attributes:
        equal: Whether nothing at all differs, names included.
        facts: "opset", "ir_version", "producer", "size_bytes", "flops", "bytes", … to both values.
        inputs: Inputs that differ, with dtype and shape.
        outputs: Outputs that differ.
        axes: Dynamic axes that differ.
        metadata: Keys of the file's metadata that differ, the card's one by one.
        operators: Operators whose count differs.
        nodes_added: Nodes that only the second graph has, "NAME (OPERATOR)".
        nodes_removed: Nodes that only the first graph has.
        nodes_changed: Nodes that both have and that differ.
        nodes_renamed: Nodes that differ in their name alone.
        weights_added: Initializers that only the second graph has.
        weights_removed: Initializers that only the first graph has.
        weights_changed: Initializers that both have and that differ.
        weights_renamed: Initializers that hold the same under another name.
    """

    role: str
    before: str
    after: str
    equal: bool
    facts: dict[str, Change] = msgspec.field(default_factory=dict)
    inputs: dict[str, Change] = msgspec.field(default_factory=dict)
    outputs: dict[str, Change] = msgspec.field(default_factory=dict)
    axes: dict[str, Change] = msgspec.field(default_factory=dict)
    metadata: dict[str, Change] = msgspec.field(default_factory=dict)
    operators: dict[str, Change] = msgspec.field(default_factory=dict)
    nodes_added: tuple[str, ...] = ()
    nodes_removed: tuple[str, ...] = ()
    nodes_changed: tuple[NodeChange, ...] = ()
    nodes_renamed: int = 0
    weights_added: tuple[str, ...] = ()
    weights_removed: tuple[str, ...] = ()
    weights_changed: tuple[WeightChange, ...] = ()
    weights_renamed: int = 0


class EntryDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One (target, variant, compute) of two bundles side by side; equal figures are left out."""

    target: str
    variant: str
    compute: str
    figures: dict[str, Change]


class DiffDocument(Document, frozen=True, kw_only=True):
    """How two graphs, variants or bundles differ.

    Attributes:
        equal: Whether nothing differs but where they lie.
        graphs: One for each pair of graphs of the same variant and role.
        card: Keys of the card that differ, dotted; tensors are compared by graph.
        bundle: Facts of the two manifests that differ: versions, source, reference, sizes.
        variants: Variants, and graphs of them, that only one side has.
        engines: Engines that only one side has, or of another version or device.
        recipe: Options of the two recipes that differ.
        entries: Verdict, metric, p50, … of each certificate that differs or that one side lacks.
    """

    schema: Literal["edgekit.diff/1"] = "edgekit.diff/1"
    before: str
    after: str
    equal: bool
    graphs: tuple[GraphDiff, ...] = ()
    card: dict[str, Change] = msgspec.field(default_factory=dict)
    bundle: dict[str, Change] = msgspec.field(default_factory=dict)
    variants: dict[str, Change] = msgspec.field(default_factory=dict)
    engines: dict[str, Change] = msgspec.field(default_factory=dict)
    recipe: dict[str, Change] = msgspec.field(default_factory=dict)
    entries: tuple[EntryDiff, ...] = ()
    top: int = 5
