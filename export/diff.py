"""How two ONNX graphs differ: nodes by name and then by structure, weights by value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit.core.documents import Change, GraphDiff, GraphFacts, NodeChange, WeightChange
from edgekit.core.json_text import parse_json
from edgekit.core.onnx_keys import CARD_KEY
from edgekit.export.facts import facts_of
from edgekit.export.onnx_file import read_onnx
from edgekit.export.work import node_name

__all__ = ["changes", "flattened", "graph_diff"]

# What is compared of the facts; counts of operators, tensors and axes have places of their own.
_FACTS = (
    "opset", "ir_version", "producer", "domains", "precision", "size_bytes", "nodes", "parameters",
    "parameter_bytes", "flops", "bytes", "quantized_share", "int8_on_onnxruntime",
    "round_trip_bytes",
)  # fmt: skip


def graph_diff(before: Path, after: Path, role: str = "main") -> GraphDiff:
    """Compare two ONNX files.

    Nodes belong together by name; those left over, by structure: the same operator and attributes
    on inputs that are made alike. A weight that another name holds unchanged is the same weight.
    Where tensors were only renamed, the nodes that read them have not changed.

    Args:
        before: The first file.
        after: The second.
        role: Their role in their models.

    Raises:
        BadInput: A file that is damaged or no valid graph.
    """
    models = read_onnx(before), read_onnx(after)
    facts = facts_of(models[0], before, role), facts_of(models[1], after, role)
    weights, renamed_weights = _weights(*models)
    nodes = _nodes(*models, renamed_weights)
    parts: dict[str, Any] = {
        "facts": changes(*({name: getattr(fact, name) for name in _FACTS} for fact in facts)),
        "inputs": changes(facts[0].inputs, facts[1].inputs),
        "outputs": changes(facts[0].outputs, facts[1].outputs),
        "axes": changes(*(_plain(fact) for fact in facts)),
        "metadata": changes(*(_metadata(model) for model in models)),
        "operators": changes(facts[0].operators, facts[1].operators),
        **nodes,
        **weights,
    }
    return GraphDiff(
        role=role, before=str(before), after=str(after), equal=not any(parts.values()), **parts
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Change]:
    """Return the keys whose values differ, the first mapping's order first."""
    return {
        key: Change(before=before.get(key), after=after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    }


def flattened(content: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys; lists are values."""
    if not isinstance(content, Mapping):
        return {prefix: content}
    flat = {}
    for key, value in content.items():
        flat.update(flattened(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat


def _plain(facts: GraphFacts) -> dict[str, Any]:
    return {name: msgspec.to_builtins(axis) for name, axis in facts.axes.items()}


def _metadata(model: Any) -> dict[str, Any]:
    """The file's metadata; a card in it key by key."""
    found: dict[str, Any] = {}
    for entry in model.metadata_props:
        value: Any = entry.value
        if entry.key == CARD_KEY:
            value = parse_json(entry.value, f"The metadata key {CARD_KEY!r}")
        found.update(flattened(value, entry.key))
    return found


# --- weights ---------------------------------------------------------------------------------


def _weights(before: Any, after: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Compare initializers; also old to new name of those that were only renamed."""
    old = {tensor.name: tensor for tensor in before.graph.initializer}
    new = {tensor.name: tensor for tensor in after.graph.initializer}
    changed = [
        change for name in old if name in new and (change := _weight_change(old[name], new[name]))
    ]
    renamed = _paired(
        [name for name in old if name not in new],
        [name for name in new if name not in old],
        lambda name: _content(old[name]),
        lambda name: _content(new[name]),
    )
    same = set(renamed.values())
    return {
        "weights_removed": tuple(name for name in old if name not in new and name not in renamed),
        "weights_added": tuple(name for name in new if name not in old and name not in same),
        "weights_changed": tuple(changed),
        "weights_renamed": len(renamed),
    }, renamed


def _weight_change(old: Any, new: Any) -> WeightChange | None:
    import onnx

    described = _described(old), _described(new)
    if described[0] != described[1]:
        return WeightChange(name=old.name, before=described[0], after=described[1])
    first, second = onnx.numpy_helper.to_array(old), onnx.numpy_helper.to_array(new)
    if first.tobytes() == second.tobytes():
        return None
    different = first != second
    worst = None
    if first.dtype.kind != "O":
        with np.errstate(all="ignore"):
            gap = np.abs(first.astype(np.float64) - second.astype(np.float64))
        worst = float(np.nanmax(gap)) if np.isfinite(gap).any() else None
    return WeightChange(
        name=old.name,
        before=described[0],
        after=described[1],
        max_abs=worst if worst is None or np.isfinite(worst) else None,
        elements=int(different.sum()),
    )


def _described(tensor: Any) -> str:
    import onnx

    name = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
    return f"{name} {list(tensor.dims)}"


def _content(tensor: Any) -> bytes:
    import onnx

    values = onnx.numpy_helper.to_array(tensor)
    content = values.tobytes() if values.dtype.kind != "O" else repr(values.tolist()).encode()
    return sha256(_described(tensor).encode() + content).digest()


# --- nodes -----------------------------------------------------------------------------------


def _nodes(before: Any, after: Any, renamed_weights: Mapping[str, str]) -> dict[str, Any]:
    old, new = _named(before), _named(after)
    pairs = {name: name for name in old if name in new}
    shapes = _structure(before), _structure(after)
    pairs |= _paired(
        [name for name in old if name not in new],
        [name for name in new if name not in old],
        lambda name: shapes[0][name],
        lambda name: shapes[1][name],
    )
    matched = set(pairs.values())
    tensors = {**renamed_weights}
    for name, other in pairs.items():
        tensors.update(zip(old[name].output, new[other].output, strict=False))
    changed, renamed = [], 0
    for name, other in pairs.items():
        different = _different(old[name], new[other], tensors)
        if different:
            operators = old[name].op_type, new[other].op_type
            changed.append(
                NodeChange(
                    name=name,
                    renamed=other if other != name else "",
                    op=operators[0] if operators[0] == operators[1] else " > ".join(operators),
                    changed=different,
                )
            )
        elif name != other or list(old[name].output) != list(new[other].output):
            renamed += 1
    return {
        "nodes_removed": tuple(_told(name, old[name]) for name in old if name not in pairs),
        "nodes_added": tuple(_told(name, new[name]) for name in new if name not in matched),
        "nodes_changed": tuple(changed),
        "nodes_renamed": renamed,
    }


def _named(model: Any) -> dict[str, Any]:
    """Nodes by name; where a name stands twice, the later ones are called after an output too."""
    found: dict[str, Any] = {}
    for index, node in enumerate(model.graph.node):
        name = node_name(node, index)
        if name in found:
            name = f"{name}:{node.output[0] if node.output else index}"
        found[name] = node
    return found


def _structure(model: Any) -> dict[str, bytes]:
    """Name to a digest of how each node's result is made, names of nodes and tensors apart."""
    made: dict[str, bytes] = {value.name: value.name.encode() for value in model.graph.input}
    for tensor in model.graph.initializer:
        made[tensor.name] = _described(tensor).encode()
    digests = {}
    for name, node in _named(model).items():
        digest = sha256(f"{node.domain}:{node.op_type}".encode())
        for key, value in sorted(_attributes(node).items()):
            digest.update(key.encode() + value)
        for source in node.input:
            # What a subgraph reads from outside is part of its own attribute.
            digest.update(sha256(made.get(source) or source.encode()).digest())
        digests[name] = digest.digest()
        for place, output in enumerate(node.output):
            made[output] = digests[name] + str(place).encode()
    return digests


def _different(old: Any, new: Any, tensors: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    if (old.op_type, old.domain) != (new.op_type, new.domain):
        found.append("operator")
    if _attributes(old) != _attributes(new):
        found.append("attributes")
    if [tensors.get(name, name) for name in old.input] != list(new.input):
        found.append("inputs")
    if [bool(name) for name in old.output] != [bool(name) for name in new.output]:
        found.append("outputs")
    return tuple(found)


def _attributes(node: Any) -> dict[str, bytes]:
    return {entry.name: entry.SerializeToString(deterministic=True) for entry in node.attribute}


def _told(name: str, node: Any) -> str:
    return f"{name} ({node.op_type})"


def _paired(
    old: Sequence[str],
    new: Iterable[str],
    old_key: Callable[[str], bytes],
    new_key: Callable[[str], bytes],
) -> dict[str, str]:
    """Bring together names whose keys are equal, in order where several are."""
    waiting: defaultdict[bytes, list[str]] = defaultdict(list)
    for name in new:
        waiting[new_key(name)].append(name)
    pairs = {}
    for name in old:
        if candidates := waiting[old_key(name)]:
            pairs[name] = candidates.pop(0)
    return pairs
