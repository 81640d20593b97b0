"""Optimization profiles: the ranges of shapes that an engine is built for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.core.axes import is_derived, label_range
from edgekit.core.card import Axis, card_from_dict
from edgekit.core.errors import BadInput
from edgekit.core.inputs import dynamic_axes
from edgekit.core.json_text import parse_json
from edgekit.core.onnx_keys import CARD_KEY, ROLE_KEY
from edgekit.core.runtime import Array, ShapeProfile, TensorInfo
from edgekit.runtimes.graph import Graph

__all__ = ["check_covered", "profiles_of"]

_BATCH = "batch"
# What a batch axis is built for where nobody says more.
_BATCHES = (1, 1, 8)


def profiles_of(graph: Graph, asked: Sequence[ShapeProfile]) -> tuple[ShapeProfile, ...]:
    """Return the profiles that a graph is built with; none where every shape is fixed.

    Args:
        graph: With its card in the metadata, where it has one.
        asked: What the user asked for; inputs that this graph does not have belong to another one
            of the model. Empty takes the ranges of the card's axes. An axis called "batch" without
            a largest size is built for 1 to 8.

    Raises:
        BadInput: A profile does not fit the graph, or nothing says how large an axis may get.
    """
    dynamic = [info for info in graph.inputs if not _fixed(info)]
    if not dynamic:
        return ()
    if asked:
        return tuple(_checked(profile, graph, dynamic) for profile in asked)
    axes = _card_axes(graph)
    profile: ShapeProfile = {}
    for info in dynamic:
        ranges = [_range(info, place, axes, graph) for place in range(len(info.shape))]
        low, typical, high = (tuple(one[end] for one in ranges) for end in range(3))
        profile[info.name] = (low, typical, high)
    return (profile,)


def check_covered(profiles: Sequence[ShapeProfile], feeds: Mapping[str, Array]) -> int:
    """Return the number of the first profile that covers what is fed.

    Args:
        profiles: Of the engine; empty means fixed shapes, and profile 0.
        feeds: Input name to array.

    Raises:
        BadInput: None covers it; names the input, its shape and what the engine was built for.
    """
    for number, profile in enumerate(profiles):
        if all(_within(feeds[name].shape, limits) for name, limits in profile.items()):
            return number
    if not profiles:
        return 0
    for name in profiles[0]:
        shape = feeds[name].shape
        limits = [profile[name] for profile in profiles]
        if not any(_within(shape, limit) for limit in limits):
            ranges = " or ".join(f"{_text(low)} to {_text(high)}" for low, _, high in limits)
            raise BadInput(
                f"Input {name!r} has the shape {_text(shape)}, but the engine was built for "
                f"{ranges}.",
                hint=f"Build it with --shapes {name}=MIN:TYPICAL:MAX that covers it.",
            )
    raise BadInput(
        "No optimization profile of the engine covers these shapes together.",
        hint="Build it with a profile that does (--shapes).",
    )


def _checked(profile: ShapeProfile, graph: Graph, dynamic: Sequence[TensorInfo]) -> ShapeProfile:
    known = {info.name: info for info in graph.inputs}
    for name, shapes in profile.items():
        if name not in known:
            continue
        info = known[name]
        for shape in shapes:
            fits = len(shape) == len(info.shape) and all(
                isinstance(wanted, str) or wanted == got
                for wanted, got in zip(info.shape, shape, strict=True)
            )
            if not fits:
                raise BadInput(
                    f"The shape {_text(shape)} does not fit the input {name!r} of {graph.path}, "
                    f"which is {_text(info.shape)}.",
                    hint="Only axes with a name may be given another size.",
                )
        low, typical, high = shapes
        if not all(a <= b <= c for a, b, c in zip(low, typical, high, strict=True)):
            raise BadInput(
                f"The shapes of {name!r} do not ascend: {_text(low)}, {_text(typical)}, "
                f"{_text(high)}.",
                hint="Write MIN:TYPICAL:MAX.",
            )
    missing = [info.name for info in dynamic if info.name not in profile]
    if missing:
        raise BadInput(
            f"The dynamic input {missing[0]!r} of {graph.path} has no shape in --shapes.",
            hint=f"Give it in every profile: --shapes {missing[0]}=MIN:TYPICAL:MAX.",
        )
    wanted = {info.name for info in dynamic}
    return {name: shapes for name, shapes in profile.items() if name in wanted}


def _range(
    info: TensorInfo, place: int, axes: Mapping[str, Mapping[int, Axis]], graph: Graph
) -> tuple[int, int, int]:
    size = info.shape[place]
    if isinstance(size, int):
        return size, size, size
    axis = axes.get(info.name, {}).get(place)
    if axis is not None and axis.max is not None:
        return axis.min, axis.typical or axis.min, axis.max
    if size == _BATCH or (axis is not None and axis.name == _BATCH):
        low = axis.min if axis is not None else _BATCHES[0]
        typical = (axis.typical if axis is not None else None) or max(low, _BATCHES[1])
        return low, typical, max(typical, _BATCHES[2])
    raise BadInput(
        f"Nothing says how large the axis {size!r} of the input {info.name!r} of {graph.path} "
        "may get.",
        hint=f"Give --shapes {info.name}=MIN:TYPICAL:MAX, or the axis a range in the card.",
    )


def _card_axes(graph: Graph) -> dict[str, dict[int, Axis]]:
    """Axes with a range by input and place, from the card in the graph's metadata."""
    text = graph.metadata.get(CARD_KEY)
    if text is None:
        return {}
    try:
        content = parse_json(text, "The card")
    except BadInput:
        return {}
    card = card_from_dict(content, f"The metadata key {CARD_KEY!r} of {graph.path}")
    inputs = card.graph(graph.metadata.get(ROLE_KEY, "main")).inputs
    axes = dynamic_axes(inputs)
    found: dict[str, dict[int, Axis]] = {}
    for name, tensor in inputs.items():
        for place, axis in enumerate(tensor.shape):
            if isinstance(axis, str) and is_derived(axis):
                axis = label_range(axis, axes)
            if isinstance(axis, Axis):
                found.setdefault(name, {})[place] = axis
    return found


def _fixed(info: TensorInfo) -> bool:
    return all(isinstance(size, int) for size in info.shape)


def _within(
    shape: Sequence[int], limits: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
) -> bool:
    low, _, high = limits
    return len(shape) == len(low) and all(
        a <= size <= b for a, size, b in zip(low, shape, high, strict=True)
    )


def _text(shape: Sequence[int | str]) -> str:
    return "x".join(str(size) for size in shape)
