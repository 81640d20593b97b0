"""The FP32 truth: a source's networks run by PyTorch in eager mode, behind the Session protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.runtime import Array, Feeds, NodePlacement, Placement, Session, TensorInfo
from edgekit.core.source import Source
from edgekit.export.load import load_source
from edgekit.export.torch_graph import TorchGraph, torch_graph

__all__ = ["Network", "TorchSession", "open_reference", "reference_graphs"]


class Network(Protocol):
    """What a TorchSession runs; a TorchGraph is one."""

    @property
    def inputs(self) -> Mapping[str, TensorCard]:
        """By name, in the order of the network's call."""
        ...

    @property
    def outputs(self) -> Sequence[str]:
        """Names, in the order of the network's result."""
        ...

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Run once."""
        ...


class TorchSession:
    """One network in PyTorch eager, fp32, on the CPU.

    Args:
        graph: The network, in this process or another.
        outputs: The outputs' tensors; empty means that they are found by a run.
        threads: Threads of this process's PyTorch; None leaves them as they are.
    """

    def __init__(
        self,
        graph: Network,
        outputs: Mapping[str, TensorCard] | None = None,
        threads: int | None = None,
    ) -> None:
        self._graph: Network | None = graph
        self._threads = threads
        self._inputs = tuple(_info(name, tensor) for name, tensor in graph.inputs.items())
        known = outputs or {}
        self._outputs = tuple(
            _info(name, known[name]) if name in known else TensorInfo(name, "float32", ())
            for name in graph.outputs
        )

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs, in the order of the network's call."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs, in the order of the network's result."""
        return self._outputs

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once on arrays by input name; the outputs belong to the caller.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        graph = self._open()
        self._check(feeds)
        if self._threads is None:
            return graph(feeds)
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return graph(feeds)
        finally:
            torch.set_num_threads(before)

    def bind(self, feeds: Feeds) -> _Binding:
        """Copy the feeds into buffers and return the reusable binding; eager gains nothing."""
        self._check(feeds)
        return _Binding(self, {name: np.array(value) for name, value in feeds.items()})

    def placement(self) -> Placement:
        """One node: PyTorch eager tells no more."""
        return Placement((NodePlacement("eager", "torch", "CPU", "fp32"),))

    def close(self) -> None:
        """Drop the network; calling it twice is allowed."""
        self._graph = None

    def __enter__(self) -> TorchSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self) -> Network:
        if self._graph is None:
            raise BadInput("The PyTorch reference is closed.")
        return self._graph

    def _check(self, feeds: Feeds) -> None:
        self._open()
        known = {info.name: info for info in self._inputs}
        for name in feeds:
            if name not in known:
                raise BadInput(f"The reference has no input {name!r}.", hint=closest(name, known))
        for name, info in known.items():
            if name not in feeds:
                raise BadInput(f"The input {name!r} is missing.")
            if not info.accepts(feeds[name]):
                raise BadInput(
                    f"The input {name!r} takes {info.dtype} {list(info.shape)}, "
                    f"not {feeds[name].dtype} {list(feeds[name].shape)}."
                )


class _Binding:
    """Input buffers that a TorchSession runs on."""

    def __init__(self, session: TorchSession, inputs: dict[str, Array]) -> None:
        self._session = session
        self._inputs = inputs
        self._outputs: dict[str, Array] = {}

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The input buffers; write new values into them in place."""
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Array]:
        """The outputs of the last run."""
        return self._outputs

    def run(self) -> None:
        """Run once on what the input buffers hold."""
        fresh = self._session.run(self._inputs)
        for name, value in fresh.items():
            held = self._outputs.get(name)
            if held is not None and held.shape == value.shape:
                np.copyto(held, value)
            else:
                self._outputs[name] = value


def open_reference(
    source: Source,
    card: ModelCard,
    *,
    trust_code: bool = False,
    trust_pickle: bool = False,
    threads: int | None = None,
) -> dict[str, Session]:
    """Open the PyTorch reference of every network of a source that is one.

    Args:
        source: What the user named. Roles that are ONNX files have no PyTorch reference and are
            left out; a source that is an ONNX file gives an empty dict.
        card: The card as `export_model` returned it, so that names agree with the graphs.
        trust_code: Allow `arch` in a file of the user's.
        trust_pickle: Allow weights that only a full pickle can load.
        threads: Threads of PyTorch while a session runs; None leaves them as they are.

    Returns:
        Sessions by role.

    Raises:
        BadInput: As load_source and the networks themselves.
        MissingLibrary: torch is not installed.
    """
    graphs = reference_graphs(source, card, trust_code=trust_code, trust_pickle=trust_pickle)
    return {
        role: TorchSession(graph, card.graph(role).outputs, threads)
        for role, graph in graphs.items()
    }


def reference_graphs(
    source: Source, card: ModelCard, *, trust_code: bool = False, trust_pickle: bool = False
) -> dict[str, TorchGraph]:
    """Load the networks that `open_reference` runs, by role."""
    graphs: dict[str, TorchGraph] = {}
    for role, loaded in load_source(
        source, card, trust_code=trust_code, trust_pickle=trust_pickle
    ).items():
        if loaded.onnx is None:
            own = card.graph(role)
            where = f"{source.text} ({role})"
            graphs[role] = torch_graph(loaded, own, where, outputs=tuple(own.outputs))
    return graphs


def _info(name: str, tensor: TensorCard) -> TensorInfo:
    shape: tuple[Any, ...] = tuple(
        size.name if isinstance(size, Axis) else size for size in tensor.shape
    )
    return TensorInfo(name, tensor.dtype, shape)
