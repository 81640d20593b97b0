"""Inputs made up from a card: shapes for dynamic axes, seeded values, batches of real inputs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from edgekit.core.card import Axis, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.runtime import Array, Feeds

__all__ = [
    "axis_sizes",
    "batch_axis",
    "dynamic_axes",
    "generate_feeds",
    "parse_shape",
    "resolve_shape",
    "sizes_from_shapes",
    "sizes_in",
    "stack_feeds",
    "trial_feeds",
    "trial_sizes",
]

_AXIS_NAME = re.compile(r"[A-Za-z_]\w*")
_SHAPE_HINT = 'Write it as "batch,3,224,224", a name for an axis that varies; "batch,128:int64".'


def parse_shape(text: str) -> TensorCard:
    """Parse the shape that a user typed: "batch,3,224,224", or "batch,128:int64".

    Args:
        text: Sizes and names of axes between commas; after a colon the dtype, else float32. An
            empty shape (a scalar) is the empty text.

    Raises:
        BadInput: A size that is neither a positive number nor a name, or an unknown dtype.
    """
    sizes, _, dtype = text.partition(":")
    shape: list[int | str] = []
    for part in [part.strip() for part in sizes.split(",")] if sizes.strip() else []:
        if part.isascii() and part.isdigit() and int(part) > 0:
            shape.append(int(part))
        elif part.isascii() and _AXIS_NAME.fullmatch(part):
            shape.append(part)
        else:
            raise BadInput(
                f"{part!r} in the shape {text!r} is neither a positive size nor a name.",
                hint=_SHAPE_HINT,
            )
    name = dtype.strip() or "float32"
    _numpy_dtype(name, f"the shape {text!r}")
    return TensorCard(shape=tuple(shape), dtype=name)


def dynamic_axes(tensors: Mapping[str, TensorCard]) -> dict[str, Axis]:
    """Return the dynamic axes of some tensors by name, in order of appearance.

    A name used in several places is one axis; a place that states no range takes the other's.

    Raises:
        BadInput: One name is given two different ranges.
    """
    found: dict[str, Axis] = {}
    plain: set[str] = set()
    for name, tensor in tensors.items():
        for size in tensor.shape:
            if isinstance(size, int):
                continue
            if isinstance(size, str):
                if size not in found:
                    found[size] = Axis(size)
                    plain.add(size)
                continue
            if size.name in found and size.name not in plain and found[size.name] != size:
                raise BadInput(
                    f"The axis {size.name!r} of {name!r} has another range than the axis of that "
                    "name elsewhere in the card.",
                    hint="Give every axis of one name the same min, typical and max.",
                )
            found[size.name] = size
            plain.discard(size.name)
    return found


def batch_axis(tensors: Mapping[str, TensorCard]) -> str | None:
    """Return the name of the batch axis: "batch" if there is one, else a dynamic first axis."""
    if "batch" in dynamic_axes(tensors):
        return "batch"
    for tensor in tensors.values():
        if tensor.shape and not isinstance(tensor.shape[0], int):
            first = tensor.shape[0]
            return first if isinstance(first, str) else first.name
    return None


def axis_sizes(
    tensors: Mapping[str, TensorCard], sizes: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Choose a size for every dynamic axis: the one asked for, else the typical one.

    Args:
        tensors: Inputs by name.
        sizes: Axis name to size asked for.

    Raises:
        BadInput: An axis asked for does not exist, or the size lies outside its range.
    """
    axes = dynamic_axes(tensors)
    asked = dict(sizes or {})
    for name, size in asked.items():
        if name not in axes:
            hint = closest(name, axes) if axes else "All axes of this model are fixed."
            raise BadInput(f"No input has a dynamic axis {name!r}.", hint=hint)
        axis = axes[name]
        if size < axis.min or (axis.max is not None and size > axis.max):
            top = "any size" if axis.max is None else str(axis.max)
            raise BadInput(f"The axis {name!r} takes {axis.min} to {top}, not {size}.")
    return {name: asked.get(name, axis.typical or axis.min) for name, axis in axes.items()}


def sizes_from_shapes(
    tensors: Mapping[str, TensorCard], shapes: Mapping[str, str]
) -> dict[str, int]:
    """Read the sizes of dynamic axes off shapes that a user typed: "x" to "1,3,384,640".

    Raises:
        BadInput: Unknown input, a shape that does not fit it, or one axis given two sizes.
    """
    sizes: dict[str, int] = {}
    for name, text in shapes.items():
        if name not in tensors:
            raise BadInput(f"The model has no input {name!r}.", hint=closest(name, tensors))
        wanted = parse_shape(text).shape
        own = tensors[name].shape
        if len(wanted) != len(own):
            raise BadInput(f"{name!r} has {len(own)} axes, but the shape {text!r} {len(wanted)}.")
        for axis, size in zip(own, wanted, strict=True):
            if not isinstance(size, int):
                raise BadInput(f"{size!r} in the shape {text!r} of {name!r} must be a number here.")
            label = axis if isinstance(axis, int | str) else axis.name
            if isinstance(label, int):
                if size != label:
                    raise BadInput(
                        f"{name!r} is {label} wide where the shape {text!r} says {size}."
                    )
            elif sizes.setdefault(label, size) != size:
                raise BadInput(f"The axis {label!r} is given both {sizes[label]} and {size}.")
    return axis_sizes(tensors, sizes)


def resolve_shape(tensor: TensorCard, sizes: Mapping[str, int], name: str = "") -> tuple[int, ...]:
    """Return a tensor's shape with the dynamic axes' sizes put in.

    Raises:
        BadInput: `sizes` lacks an axis.
    """
    shape = []
    for size in tensor.shape:
        label = size.name if isinstance(size, Axis) else size
        if isinstance(label, str):
            if label not in sizes:
                raise BadInput(f"The axis {label!r} of the input {name!r} has no size.")
            label = sizes[label]
        shape.append(label)
    return tuple(shape)


def sizes_in(tensors: Mapping[str, TensorCard], feeds: Feeds) -> dict[str, int]:
    """Read the sizes of the dynamic axes off some inputs.

    Args:
        tensors: Inputs by name.
        feeds: Arrays that fit them.
    """
    sizes: dict[str, int] = {}
    for name, tensor in tensors.items():
        for size, length in zip(tensor.shape, feeds[name].shape, strict=True):
            if not isinstance(size, int):
                sizes.setdefault(size.name if isinstance(size, Axis) else size, length)
    return sizes


def generate_feeds(
    tensors: Mapping[str, TensorCard], sizes: Mapping[str, int], seed: int
) -> dict[str, Array]:
    """Make up inputs: the same seed, name and shape give the same values everywhere.

    Floats come from the card's `range` (uniform) or a standard normal distribution, integers from
    `range` (both ends included) or from 0 and 1.

    Args:
        tensors: Inputs by name.
        sizes: Size of every dynamic axis, see `axis_sizes`.
        seed: Of the generator.

    Raises:
        BadInput: An axis without a size, a dtype that numpy does not know, or an empty range.
    """
    return {
        name: _generate(name, tensor, resolve_shape(tensor, sizes, name), seed)
        for name, tensor in tensors.items()
    }


def stack_feeds(tensors: Mapping[str, TensorCard], feeds: Sequence[Feeds], size: int) -> Feeds:
    """Make one batch of `size` out of feeds of batch one, in turn.

    Inputs without the batch axis keep the first feed's value.

    Args:
        tensors: Inputs by name.
        feeds: At least one, each of batch one.
        size: Size of the batch.
    """
    batch = batch_axis(tensors)
    chosen = [feeds[index % len(feeds)] for index in range(size)]
    stacked = {}
    for name, tensor in tensors.items():
        labels = [axis.name if isinstance(axis, Axis) else axis for axis in tensor.shape]
        if batch is not None and batch in labels:
            parts = [feed[name] for feed in chosen]
            stacked[name] = np.concatenate(parts, axis=labels.index(batch))
        else:
            stacked[name] = feeds[0][name]
    return stacked


def trial_sizes(tensors: Mapping[str, TensorCard]) -> tuple[dict[str, int], ...]:
    """Choose up to three sizes for every dynamic axis, to run a graph at.

    The batch axis takes its three smallest sizes, another axis its smallest, its typical and a
    larger one, within its range. Axes take turns, so that two never grow together only.
    """
    axes = dynamic_axes(tensors)
    batch = batch_axis(tensors)
    choices = {}
    for index, (name, axis) in enumerate(axes.items()):
        typical = axis.typical or axis.min
        wanted = (
            (axis.min, axis.min + 1, axis.min + 2)
            if name == batch
            else (axis.min, typical if typical > axis.min else axis.min + 1, 2 * typical + 1)
        )
        top = max(wanted) if axis.max is None else axis.max
        sizes = [min(size, top) for size in wanted]
        turn = 0 if name == batch else index % 3
        choices[name] = sizes[turn:] + sizes[:turn]
    trials: list[dict[str, int]] = []
    for index in range(3):
        trial = {name: sizes[index] for name, sizes in choices.items()}
        if trial not in trials:
            trials.append(trial)
    return tuple(trials)


def trial_feeds(
    tensors: Mapping[str, TensorCard], real: Sequence[Feeds], seed: int
) -> list[dict[str, Array]]:
    """Make the inputs that a graph is checked on: every size of `trial_sizes`.

    Args:
        tensors: Inputs by name.
        real: Real inputs of batch one; may be empty. Where only the batch varies they fill every
            trial; where other axes vary too they are run as they are, before generated ones.
        seed: Of what is generated.
    """
    trials = trial_sizes(tensors)
    batch = batch_axis(tensors)
    if not real:
        return [generate_feeds(tensors, sizes, seed + index) for index, sizes in enumerate(trials)]
    if set(dynamic_axes(tensors)) <= {batch}:
        stacked = []
        for index, sizes in enumerate(trials):
            # Each trial starts at another real input, so that a batch of one is not the only
            # picture that all of them show.
            turned = [*real[index % len(real) :], *real[: index % len(real)]]
            stacked.append(dict(stack_feeds(tensors, turned, sizes[batch] if batch else 1)))
        return stacked
    generated = [generate_feeds(tensors, sizes, seed + index) for index, sizes in enumerate(trials)]
    return [dict(real[0]), *generated]


def _generate(name: str, tensor: TensorCard, shape: tuple[int, ...], seed: int) -> Array:
    dtype = _numpy_dtype(tensor.dtype, f"the input {name!r}")
    # The name, not the position, selects the stream: reordering a card changes no values.
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if tensor.range is not None and not tensor.range[0] <= tensor.range[1]:
        raise BadInput(f"The range {list(tensor.range)} of the input {name!r} is empty.")
    if dtype.kind == "f":
        if tensor.range is None:
            return random.standard_normal(shape).astype(dtype)
        return random.uniform(*tensor.range, size=shape).astype(dtype)
    low, high = (0, 1) if tensor.range is None else (int(tensor.range[0]), int(tensor.range[1]))
    return random.integers(low, high, size=shape, endpoint=True).astype(dtype)


def _numpy_dtype(name: str, where: str) -> np.dtype[np.generic]:
    try:
        dtype = np.dtype(name)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise BadInput(
            f"{name!r} is no dtype that {where} can have.",
            hint="For instance float32, float16, int64, int32, uint8 or bool.",
        )
    return dtype
