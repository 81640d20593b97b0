"""Nodes and constants added to an ONNX graph, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.onnx_bytes import bodies
from edgekit.export.graph import take

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["GraphWriter", "graph_names", "rename"]


class GraphWriter:
    """Adds nodes whose names and tensors nothing else in the graph is called.

    Nodes are kept aside until `prepend` or `append` puts them into the graph, in the order in which
    they were written.

    Args:
        model: The model; only its main graph is written to.
        prefix: Every new name begins with it.
    """

    def __init__(self, model: onnx.ModelProto, prefix: str) -> None:
        self._graph = model.graph
        self._taken = set(graph_names(model.graph))
        self._prefix = prefix
        self._nodes: list[onnx.NodeProto] = []

    def name(self, wish: str) -> str:
        """Return a name that is free, and take it."""
        name, count = wish, 1
        while name in self._taken:
            count += 1
            name = f"{wish}_{count}"
        self._taken.add(name)
        return name

    def taken(self, name: str) -> bool:
        """Say whether something in the graph has this name."""
        return name in self._taken

    def rename(self, old: str, new: str) -> None:
        """Let every node that makes or reads a tensor, and a graph output, call it `new`.

        An input of the graph keeps its name, so that what is written can stand between the two.
        """
        rename(self._graph, {old: new})

    def constant(self, value: NDArray[Any] | Sequence[int], wish: str = "constant") -> str:
        """Add an initializer and return its name; a sequence of integers becomes int64."""
        from onnx import numpy_helper

        array = value if isinstance(value, np.ndarray) else np.array(value, np.int64)
        name = self.name(f"{self._prefix}{wish}")
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def number(self, value: float) -> str:
        """Add a float32 scalar and return its name."""
        return self.constant(np.array(value, np.float32))

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Write a node of one output and return that output's name.

        Args:
            operator: Of ONNX's own set.
            inputs: Names of tensors.
            output: Its name; empty makes one up.
            attributes: Of the operator.
        """
        return self._write(operator, inputs, [output] if output else [""], attributes)[0]

    def add_pair(self, operator: str, *inputs: str, **attributes: Any) -> tuple[str, str]:
        """Write a node of two outputs and return their names."""
        first, second = self._write(operator, inputs, ["", ""], attributes)
        return first, second

    def slice(self, tensor: str, start: int, stop: int, axis: int) -> str:
        """Cut `start` to `stop` out of one axis."""
        bounds = [self.constant([each]) for each in (start, stop, axis)]
        return self.add("Slice", tensor, *bounds)

    def take(self) -> list[onnx.NodeProto]:
        """Return what was written, for the caller to put into the graph."""
        nodes, self._nodes = self._nodes, []
        return nodes

    def prepend(self) -> None:
        """Put what was written before every other node."""
        others = take(self._graph.node)
        self._graph.node.extend([*self._nodes, *others])
        self._nodes = []

    def append(self) -> None:
        """Put what was written after every other node."""
        self._graph.node.extend(self._nodes)
        self._nodes = []

    def _write(
        self, operator: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, Any]
    ) -> list[str]:
        from onnx import helper

        name = self.name(f"{self._prefix}{operator}")
        made = [
            each or self.name(f"{name}_{index}" if index else f"{name}_out")
            for index, each in enumerate(outputs)
        ]
        self._nodes.append(helper.make_node(operator, list(inputs), made, name=name, **attributes))
        return made


def graph_names(graph: onnx.GraphProto) -> Iterator[str]:
    """Every name in a graph and its subgraphs, of nodes and of tensors."""
    for entry in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield entry.name
    for node in graph.node:
        yield node.name
        yield from node.input
        yield from node.output
        for inner in bodies(node):
            yield from graph_names(inner)


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Let a graph and its bodies call tensors by other names; what is fed keeps its name.

    Args:
        graph: Of a plain model, in which no body calls a tensor of its own as one outside.
        names: Old to new.
    """
    for entry in (*graph.output, *graph.value_info, *graph.initializer):
        entry.name = names.get(entry.name, entry.name)
    for node in graph.node:
        for own in (node.input, node.output):
            for index, name in enumerate(own):
                if name in names:
                    own[index] = names[name]
        for inner in bodies(node):
            rename(inner, names)
