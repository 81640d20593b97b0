"""Which module of the user's PyTorch model each node of a graph came from.

torch.onnx writes the modules that were entered into every node's metadata, together with stack
traces that are larger than the graph; the TorchScript exporter writes them into the node's name.
Clean-up and conversion lose both. So the path ("features.3.squeeze") is read once, kept under a key
of our own, and written back by the name of the tensor that a node makes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from edgekit.core.onnx_keys import MODULE_KEY
from edgekit.export.literals import parse_literal

if TYPE_CHECKING:
    import onnx

__all__ = ["module_paths", "put_module_paths"]

_SCOPES = "pkg.torch.onnx.name_scopes"
_RULE = "pkg.onnxscript.rewriter.rule_name"
# What the exporter notes for its own developers.
_NOISE = ("pkg.", "namespace")
# "/layer1/layer1.0/conv1/Conv_1": modules, then the operator and a number.
_TRACED = re.compile(r"^((?:/[^/]+)*)/[A-Z]\w*$")
_CALL = re.compile(r"@\d+")
_NUMBER = re.compile(r"_\d+$")


def module_paths(model: onnx.ModelProto, modules: Collection[str] = ()) -> dict[str, str]:
    """Return the module of every node of the main graph that says one, by the tensors it makes.

    The model itself, which has no name of its own, is "". A module that is called several times
    is one.

    Args:
        model: As an exporter or `put_module_paths` left it.
        modules: The network's modules by name, which tell a module "act_1" from the second call of
            "act" where the TorchScript exporter wrote the graph; may be empty.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, str] = {}
    for node in model.graph.node:
        path = _path(node, weights, modules)
        if path is not None:
            found.update((name, path) for name in node.output if name)
    return found


def put_module_paths(model: onnx.ModelProto, paths: Mapping[str, str]) -> None:
    """Write paths into the nodes that make those tensors, and drop the exporter's own notes.

    Args:
        model: Changed in place.
        paths: From `module_paths`, of this model or of what it was made of.
    """
    for node in model.graph.node:
        path = next((paths[name] for name in node.output if name in paths), None)
        kept = [
            (entry.key, entry.value)
            for entry in node.metadata_props
            if not entry.key.startswith(_NOISE) and (path is None or entry.key != MODULE_KEY)
        ]
        if path is not None:
            kept.append((MODULE_KEY, path))
        del node.metadata_props[:]
        for key, value in kept:
            entry = node.metadata_props.add()
            entry.key, entry.value = key, value


def _path(node: onnx.NodeProto, weights: Collection[str], modules: Collection[str]) -> str | None:
    notes: dict[str, str] = {entry.key: entry.value for entry in node.metadata_props}
    if MODULE_KEY in notes:
        return notes[MODULE_KEY]
    if _SCOPES in notes:
        if "BatchNorm" in notes.get(_RULE, ""):
            # The convolution took the norm's place in the notes; its weight still says its own.
            own = _owner(node.input, weights)
            if own is not None:
                return own
        return _exported(notes[_SCOPES])
    traced = _TRACED.match(node.name)
    return _joined(traced[1].split("/")[1:], modules) if traced else None


def _exported(text: str) -> str | None:
    """The innermost module of ['', 'features.0', 'features.0.act', 'silu']; last is the call."""
    scopes = parse_literal(text)
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        return None
    return _CALL.sub("", scopes[-2]) if len(scopes) > 1 else ""


def _joined(scopes: Iterable[str], modules: Collection[str]) -> str:
    """Join ["layer1", "layer1.0", "conv1"] to "layer1.0.conv1": a child of a list repeats it."""
    parts: list[str] = []
    for scope in scopes:
        if parts and scope.startswith(f"{parts[-1]}."):
            parts.pop()
        name = ".".join([*parts, scope])
        if modules and name not in modules and _NUMBER.sub("", name) in modules:
            scope = _NUMBER.sub("", scope)
        parts.append(scope)
    return ".".join(parts)


def _owner(inputs: Iterable[str], weights: Collection[str]) -> str | None:
    for name in inputs:
        if name in weights and name.endswith(".weight"):
            return name.removesuffix(".weight")
    return None
