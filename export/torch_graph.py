"""One PyTorch network with named inputs and outputs, whatever form it came in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from msgspec.structs import replace as replace_struct

from edgekit.core.axes import axis_names, is_derived, label_range, normal_label, renamed_label
from edgekit.core.card import Axis, GraphCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.runtime import Array, Feeds
from edgekit.core.texts import shown
from edgekit.core.trials import example_feeds, named_as
from edgekit.export.load import Loaded
from edgekit.export.quiet import quiet
from edgekit.export.signature import match_names, merge_tensors

__all__ = ["TorchGraph", "torch_graph"]


@dataclass(frozen=True)
class TorchGraph:
    """A network that takes and gives arrays by name, in eager fp32 (or its weights' own dtype).

    Attributes:
        where: The model and role, for messages.
        module: A torch.nn.Module, or the module of an exported program.
        program: The exported program itself, or None.
        inputs: Tensors by name, in the order of the call.
        by_keyword: Whether inputs are passed by name rather than by position.
        outputs: Names, in the order of the flattened result.
        notes: What is worth telling about the match of card and network.
        real: Real inputs of batch one under the network's names; empty where there are none.
    """

    where: str
    module: Any
    program: Any
    inputs: dict[str, TensorCard]
    by_keyword: bool
    outputs: tuple[str, ...]
    notes: list[str] = field(default_factory=list)
    real: tuple[Feeds, ...] = ()

    def arguments(self, feeds: Feeds) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the call's positional and keyword arguments as torch tensors."""
        import torch

        tensors = {name: torch.from_numpy(np.array(feeds[name])) for name in self.inputs}
        return ((), tensors) if self.by_keyword else (tuple(tensors.values()), {})

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Run once, without gradients.

        Raises:
            BadInput: The network refuses the inputs, or returns another number of outputs.
        """
        values = _run(self.module, *self.arguments(feeds), self.where)
        if len(values) != len(self.outputs):
            raise BadInput(f"{self.where} returned {len(values)} outputs, not {len(self.outputs)}.")
        return dict(zip(self.outputs, values, strict=True))


def torch_graph(
    loaded: Loaded,
    card: GraphCard,
    where: str,
    *,
    real: Sequence[Feeds] = (),
    outputs: Sequence[str] = (),
) -> TorchGraph:
    """Bring a loaded network and its card together.

    Args:
        loaded: A module or a program.
        card: Inputs (needed for a module) and output names (optional).
        where: The model and role, for messages.
        real: Real inputs of batch one, of which a module's outputs are found; where there are
            none, they are generated.
        outputs: Names of the outputs in the network's order, where an export found them; the
            module is not run then.

    Raises:
        BadInput: Card and network do not fit each other, or the network fails on the card's shape.
    """
    if loaded.program is not None:
        return _of_program(loaded, card, where, real)
    if not card.inputs:
        raise BadInput(
            f"Nothing says which inputs {where} takes.",
            hint="Give --input NAME=batch,3,224,224 (its real shape) or a card.",
        )
    order, by_keyword = _call_order(loaded.module, tuple(card.inputs), where)
    inputs = {name: card.inputs[name] for name in order}
    named = tuple(named_as(inputs, feed, where) for feed in real)
    graph = TorchGraph(where, loaded.module, None, inputs, by_keyword, tuple(outputs), [], named)
    if outputs:
        return graph
    result = _call(loaded.module, *graph.arguments(example_feeds(inputs, named)), where)
    names = _output_names(result, len(_leaves(result, where)), card, where)
    return replace(graph, outputs=names)


def _of_program(loaded: Loaded, card: GraphCard, where: str, real: Sequence[Feeds]) -> TorchGraph:
    import torch.utils._pytree as pytree  # type: ignore[import-not-found,unused-ignore]

    program = loaded.program
    own = _program_inputs(program, loaded.relations, where)
    renamed = dict(own)
    if len(own) == 1 and len(card.inputs) == 1 and set(own) != set(card.inputs):
        # One input has no other to be confused with, so the card's name stands.
        renamed = {next(iter(card.inputs)): next(iter(own.values()))}
    merged, notes = merge_tensors(renamed, match_names(tuple(renamed), card.inputs, where), where)
    _refuse_split_axes(renamed, merged, where)
    spec = program.call_spec.out_spec
    # What is no tensor stands there itself.
    leaves = program.graph_signature.user_outputs
    try:
        result = pytree.tree_unflatten(list(leaves), spec)
        with quiet():
            module = program.module()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadInput(f"{where} cannot be run by PyTorch: {reason[:300]}.") from error
    for path, leaf in pytree.tree_flatten_with_path(result)[0]:
        if leaf is not None and not isinstance(leaf, str):
            raise _no_tensor(where, pytree.keystr(path), type(leaf).__name__)
    names = _output_names(result, sum(leaf is not None for leaf in leaves), card, where)
    named = tuple(named_as(merged, feed, where) for feed in real)
    return TorchGraph(where, module, program, merged, False, names, notes, named)


def _refuse_split_axes(
    own: Mapping[str, TensorCard], merged: Mapping[str, TensorCard], where: str
) -> None:
    """Raise BadInput where the card gives one axis of the program two names."""
    labels: dict[str, str] = {}
    for name, tensor in own.items():
        for before, after in zip(tensor.shape, merged[name].shape, strict=True):
            if isinstance(before, Axis) and isinstance(after, Axis):
                label = labels.setdefault(before.name, after.name)
                if label != after.name:
                    raise BadInput(
                        f"The card calls one axis of {where} both {label!r} and {after.name!r}.",
                        hint="Give it one name.",
                    )


def _program_inputs(program: Any, relations: Sequence[str], where: str) -> dict[str, TensorCard]:
    """Inputs of an exported program, dynamic axes with the range they were traced for."""
    args, kwargs = program.call_spec.in_spec.unflatten(
        list(range(program.call_spec.in_spec.num_leaves))
    )
    if kwargs:
        raise BadInput(
            f"{where} was exported with keyword arguments ({', '.join(kwargs)}).",
            hint="Export it with positional arguments only.",
        )
    names = program.graph_signature.user_inputs
    if len(args) != len(names):
        raise BadInput(
            f"{where} takes nested inputs.", hint="Export it with one tensor an argument."
        )
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    for name in names:
        if not hasattr(values.get(name), "shape"):
            raise BadInput(
                f"{where} takes {shown(name)} among its inputs, which is no tensor.",
                hint="Export it with one tensor an argument, and the rest fixed inside.",
            )
    tensors = {name: values[name] for name in names}
    labels: dict[str, str] = {}
    for index, size in [place for value in tensors.values() for place in enumerate(value.shape)]:
        if not isinstance(size, int) and not is_derived(str(size)):
            default = "batch" if index == 0 and "batch" not in labels.values() else str(size)
            labels.setdefault(str(size), default)
    ranges = {
        renamed_label(str(symbol), labels): _axis(str(symbol), range_)
        for symbol, range_ in program.range_constraints.items()
    }
    shapes: dict[str, list[int | str]] = {
        name: [
            size if isinstance(size, int) else renamed_label(str(size), labels)
            for size in value.shape
        ]
        for name, value in tensors.items()
    }
    _put_relations(shapes, ranges, relations)
    return {
        name: TensorCard(
            shape=tuple(
                size if isinstance(size, int) else _bounded(size, ranges) for size in shapes[name]
            ),
            dtype=str(value.dtype).removeprefix("torch."),
        )
        for name, value in tensors.items()
    }


# How a guard of a program names the size of an input: "L['x'].size()[1]".
_SIZE = re.compile(r"L\['(\w+)'\]\.size\(\)\[(\d+)\]")


def _put_relations(
    shapes: dict[str, list[int | str]], ranges: dict[str, Axis], guards: Sequence[str]
) -> None:
    """Put what the guards say of one axis in the place of that axis, in all shapes.

    torch.export leaves some relations out of its symbols: an axis that is half of another is a
    symbol of its own, and a guard says the rest.
    """
    for guard in guards:
        places = [(name, int(index)) for name, index in _SIZE.findall(guard)]
        if any(name not in shapes or index >= len(shapes[name]) for name, index in places):
            continue
        text = _SIZE.sub(lambda match: _inside(shapes[match[1]][int(match[2])]), guard)
        left, sign, right = text.partition(" == ")
        sides = [normal_label(side) for side in (left, right)]
        for one, other in (sides, sides[::-1]):
            known = is_derived(other) or other.isidentifier()
            if sign and one.isidentifier() and known and one not in axis_names(other):
                ranges.setdefault(other, ranges.get(one, Axis(one)))
                for shape in shapes.values():
                    shape[:] = [
                        size if isinstance(size, int) else renamed_label(size, {one: other})
                        for size in shape
                    ]
                break


def _inside(label: int | str) -> str:
    return f"({label})" if isinstance(label, str) and is_derived(label) else str(label)


def _bounded(label: str, ranges: Mapping[str, Axis]) -> Axis:
    """An axis with the range that its symbols have; that of an expression lies between its ends."""
    if label in ranges:
        return replace_struct(ranges[label], name=label)
    parts = {name: ranges.get(name, Axis(name)) for name in axis_names(label)}
    if not is_derived(label):
        return parts[label]
    return replace_struct(label_range(label, parts), typical=None)


def _axis(label: str, range_: Any) -> Axis:
    """An Axis of a torch.export range."""
    # torch writes "unbounded" as a very large number in some versions.
    top = _whole_end(range_, "upper")
    return Axis(
        label,
        min=max(1, _whole_end(range_, "lower") or 1),
        max=top if top is not None and top < 2**31 else None,
    )


def _whole_end(range_: Any, end: str) -> int | None:
    """An end of a range; the infinities of sympy and of torch have no integer value."""
    try:
        return int(getattr(range_, end))
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None


def _call_order(module: Any, names: tuple[str, ...], where: str) -> tuple[tuple[str, ...], bool]:
    """Order the card's inputs as `forward` takes them; by keyword where some are left out."""
    parameters = [
        parameter
        for parameter in inspect.signature(module.forward).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    takes_any = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    own = [parameter.name for parameter in parameters]
    if not takes_any and set(names) <= set(own):
        order = tuple(name for name in own if name in names)
        return order, tuple(own[: len(order)]) != order
    if takes_any or (len(names) == 1 and own):
        # One input has no other to be confused with, so the card's name stands.
        return names, False
    wrong = next(name for name in names if name not in own)
    raise BadInput(
        f"{where} takes {', '.join(own) or 'nothing'}, but the card names {wrong!r}.",
        hint="Name the inputs as the arguments of forward.",
    )


def _run(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], where: str) -> list[Array]:
    leaves = _leaves(_call(module, args, kwargs, where), where)
    with _running(args, kwargs, where):
        return [leaf.detach().cpu().numpy().copy() for leaf in leaves]


def _leaves(result: Any, where: str) -> list[Any]:
    """The tensors of a result, in order; None where an optional one is left out is none.

    Raises:
        BadInput: Something in it is no tensor, as a cache or a number; names its place.
    """
    import torch
    import torch.utils._pytree as pytree

    leaves = []
    for path, leaf in pytree.tree_flatten_with_path(result)[0]:
        if leaf is None:
            continue
        if not isinstance(leaf, torch.Tensor):
            raise _no_tensor(where, pytree.keystr(path), type(leaf).__name__)
        leaves.append(leaf)
    return leaves


def _no_tensor(where: str, place: str, kind: str) -> BadInput:
    return BadInput(
        f"{where} returns {f'at {place} ' if place else ''}a {kind}, which is no tensor.",
        hint="Let forward return tensors alone, in tuples, lists or dicts; a network of "
        "transformers returns no cache with use_cache=False in its configuration.",
    )


def _call(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], where: str) -> Any:
    import torch

    with _running(args, kwargs, where), torch.inference_mode(), quiet():
        return module(*args, **kwargs)


@contextmanager
def _running(args: Sequence[Any], kwargs: Mapping[str, Any], where: str) -> Iterator[None]:
    """Make one sentence of whatever a network raises on its inputs, or its outputs as arrays."""
    try:
        yield
    except Exception as error:
        shapes = [tuple(value.shape) for value in [*args, *kwargs.values()]]
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadInput(
            f"{where} fails on inputs of shape {', '.join(map(str, shapes))}: {reason[:300]}.",
            hint="Correct the shapes in the card or with --input, where an axis may follow from "
            'another ("past + 1", "32 * h"); or give real inputs with --data.',
        ) from error


def _output_names(result: Any, count: int, card: GraphCard, where: str) -> tuple[str, ...]:
    """Names of the flattened outputs, `count` tensors: the card's, a dict's or named tuple's."""
    if card.outputs:
        if len(card.outputs) != count:
            raise BadInput(
                f"The card names {len(card.outputs)} outputs, but {where} returns {count}."
            )
        if isinstance(result, Mapping) and set(result) == set(card.outputs):
            return tuple(str(key) for key in result)
        return tuple(card.outputs)
    if isinstance(result, Mapping) and len(result) == count:
        return tuple(str(key) for key in result)
    fields = getattr(result, "_fields", ())
    if len(fields) == count:
        return tuple(fields)
    if count == 1:
        return ("output",)
    return tuple(f"output_{index}" for index in range(count))
