"""Inputs made up from a card: shapes for dynamic axes, seeded values, sizes read off inputs."""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from edgekit.core.axes import (
    UNBOUNDED,
    axis_label,
    axis_names,
    axis_size,
    is_derived,
    normal_label,
    solve_axis,
)
from edgekit.core.card import Axis, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.memory import free_memory
from edgekit.core.names import closest
from edgekit.core.runtime import Array
from edgekit.core.texts import shown

__all__ = [
    "axis_sizes",
    "batch_axis",
    "dynamic_axes",
    "generate_feeds",
    "parse_shape",
    "resolve_shape",
    "sizes_from_shapes",
    "sizes_in",
    "trial_sizes",
    "with_typical",
]

# Bytes that are taken without asking whether they are free.
_LARGE = 1 << 28

_NUMBER = re.compile(r"[0-9]{1,10}")
_AXIS_NAME = re.compile(r"[A-Za-z_]\w*")
_SHAPE_HINT = (
    'Write it as "batch,3,224,224", a name for an axis that varies, "past + 1" for one that '
    'follows from another; "batch,128:int64".'
)
# Sizes of one axis that are tried where those of several must fit each other.
_MOST_SIZES, _MOST_TRIED = 16, 10_000
# Of numpy.
_MOST_AXES = 64


def parse_shape(text: str) -> TensorCard:
    """Parse the shape that a user typed: "batch,3,224,224", or "batch,128:int64".

    Args:
        text: Sizes, names of axes and arithmetic over them between commas; after a colon the
            dtype, else float32. An empty shape (a scalar) is the empty text.

    Raises:
        BadInput: A size that is neither a positive number nor a name nor an expression, or an
            unknown dtype.
    """
    sizes, _, dtype = text.partition(":")
    shape: list[int | str] = []
    for part in [part.strip() for part in sizes.split(",")] if sizes.strip() else []:
        if _NUMBER.fullmatch(part) and 0 < int(part) <= UNBOUNDED:
            shape.append(int(part))
        elif part.isascii() and (_AXIS_NAME.fullmatch(part) or is_derived(part)):
            shape.append(normal_label(part))
        else:
            raise BadInput(
                f"{shown(part)} in the shape {shown(text)} is neither a size (1 to {UNBOUNDED}) "
                "nor a name.",
                hint=_SHAPE_HINT,
            )
    name = dtype.strip() or "float32"
    _numpy_dtype(name, f"the shape {text!r}")
    return TensorCard(shape=tuple(shape), dtype=name)


def dynamic_axes(tensors: Mapping[str, TensorCard]) -> dict[str, Axis]:
    """Return the dynamic axes of some tensors by name, in order of appearance.

    A name used in several places is one axis; a place that states no range takes the other's. An
    axis that follows from others ("past + 1") is none of its own: its range narrows theirs.

    Raises:
        BadInput: One name is given two different ranges, or an axis has no size that fits.
    """
    found: dict[str, Axis] = {}
    for name, axis in _places(tensors):
        if is_derived(axis.name):
            for part in axis_names(axis.name):
                found.setdefault(part, Axis(part))
            continue
        bare = Axis(axis.name)
        known = found.setdefault(axis.name, bare)
        if bare not in (known, axis) and known != axis:
            raise BadInput(
                f"The axis {axis.name!r} of {name!r} has another range than the axis of that "
                "name elsewhere in the card.",
                hint="Give every axis of one name the same min, typical and max.",
            )
        if axis != bare:
            found[axis.name] = axis
    for name, axis in _places(tensors):
        if is_derived(axis.name) and len(axis_names(axis.name)) == 1:
            (base,) = axis_names(axis.name)
            found[base] = _narrowed(found[base], axis, name)
    return found


def _places(tensors: Mapping[str, TensorCard]) -> Iterator[tuple[str, Axis]]:
    """Every dynamic place of every shape: the tensor's name, and what stands there."""
    for name, tensor in tensors.items():
        for size in tensor.shape:
            if not isinstance(size, int):
                yield name, Axis(size) if isinstance(size, str) else size


def _narrowed(base: Axis, derived: Axis, where: str) -> Axis:
    """Return an axis without the sizes that lead an axis which follows from it out of its range."""
    high = math.inf if derived.max is None else derived.max
    fitting = solve_axis(derived.name, base.name, {}, base, derived.min, high)
    if not fitting:
        raise BadInput(
            f"No size of the axis {base.name!r} ({base.min} to {base.max or 'any size'}) makes "
            f"{derived.name!r} of {where!r} {derived.min} to {derived.max or 'any size'}.",
            hint="Correct the ranges in the card.",
        )
    typical = base.typical
    if typical is None and derived.typical is not None:
        wanted = derived.typical
        typical = next(iter(solve_axis(derived.name, base.name, {}, base, wanted, wanted)), typical)
    return Axis(
        base.name,
        min=fitting[0],
        typical=typical if typical is not None and typical in fitting else None,
        max=None if base.max is None and fitting[-1] == UNBOUNDED else fitting[-1],
    )


def batch_axis(tensors: Mapping[str, TensorCard]) -> str | None:
    """Return the name of the batch axis: "batch" if there is one, else a dynamic first axis."""
    if "batch" in dynamic_axes(tensors):
        return "batch"
    for tensor in tensors.values():
        first = axis_label(tensor.shape[0]) if tensor.shape else 1
        if isinstance(first, str):
            return axis_names(first)[0]
    return None


def axis_sizes(
    tensors: Mapping[str, TensorCard], sizes: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Choose a size for every dynamic axis: the one asked for, else the typical one.

    Where an axis that follows from several would leave its range, those not asked for move.

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
        _refuse_outside(axes[name], {name: size})
    chosen = {name: asked.get(name, axis.typical or axis.min) for name, axis in axes.items()}
    return _fitted(
        tensors, chosen, {name: axis for name, axis in axes.items() if name not in asked}
    )


def with_typical(
    tensors: Mapping[str, TensorCard], sizes: Mapping[str, int]
) -> dict[str, TensorCard]:
    """State the typical size of axes that have none: an axis of no stated size is run at 1.

    The batch axis stays as it is, and so does an axis whose range leaves the size out.

    Args:
        tensors: Inputs by name.
        sizes: Axis name to its typical size.
    """
    batch = batch_axis(tensors)
    known = {
        name: msgspec.structs.replace(axis, typical=sizes[name])
        for name, axis in dynamic_axes(tensors).items()
        if name in sizes
        and name != batch
        and axis.typical is None
        and axis.min <= sizes[name] <= (axis.max or UNBOUNDED)
    }

    def stated(axis: int | str | Axis) -> int | str | Axis:
        label = axis_label(axis)
        if isinstance(label, int) or not is_derived(label):
            return known.get(str(label), axis)
        # What follows from one axis tells that one's size.
        own = axis if isinstance(axis, Axis) else Axis(label)
        size = axis_size(label, sizes) if set(axis_names(label)) <= set(known) else 0
        fits = own.typical is None and own.min <= size <= (own.max or UNBOUNDED)
        return msgspec.structs.replace(own, typical=size) if fits else axis

    return {
        name: msgspec.structs.replace(tensor, shape=tuple(map(stated, tensor.shape)))
        for name, tensor in tensors.items()
    }


def _fitted(
    tensors: Mapping[str, TensorCard], sizes: dict[str, int], free: Mapping[str, Axis]
) -> dict[str, int]:
    """Return these sizes, or near ones of the free axes, at which every axis is in its range.

    Raises:
        BadInput: There are none.
    """
    derived = [axis for _, axis in _places(tensors) if is_derived(axis.name)]
    parts = {name for axis in derived for name in axis_names(axis.name)} & set(free)
    names = [name for name in free if name in parts]
    ranges = [[sizes[name], *_smallest(free[name])] for name in names]
    for combination in itertools.islice(itertools.product(*ranges), _MOST_TRIED):
        trial = {**sizes, **dict(zip(names, combination, strict=True))}
        if all(_inside(axis, trial) for axis in derived):
            return trial
    for axis in derived:
        _refuse_outside(axis, sizes)
    return sizes


def _smallest(axis: Axis) -> range:
    return range(axis.min, min(axis.max or UNBOUNDED, axis.min + _MOST_SIZES) + 1)


def _inside(axis: Axis, sizes: Mapping[str, int]) -> bool:
    return axis.min <= axis_size(axis.name, sizes) <= (axis.max or UNBOUNDED)


def _refuse_outside(axis: Axis, sizes: Mapping[str, int]) -> None:
    if _inside(axis, sizes):
        return
    top = "any size" if axis.max is None else str(axis.max)
    chosen = ""
    if is_derived(axis.name):
        parts = ", ".join(f"{name} = {sizes[name]}" for name in axis_names(axis.name))
        chosen = f" ({parts})"
    raise BadInput(
        f"The axis {axis.name!r} takes {axis.min} to {top}, "
        f"not {axis_size(axis.name, sizes)}{chosen}."
    )


def sizes_from_shapes(
    tensors: Mapping[str, TensorCard], shapes: Mapping[str, str]
) -> dict[str, int]:
    """Read the sizes of dynamic axes off shapes that a user typed: "x" to "1,3,384,640".

    Raises:
        BadInput: Unknown input, a shape that does not fit it, or one axis given two sizes.
    """
    typed: dict[str, tuple[int, ...]] = {}
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
            if isinstance(axis, int) and size != axis:
                raise BadInput(f"{name!r} is {axis} wide where the shape {text!r} says {size}.")
        typed[name] = tuple(size for size in wanted if isinstance(size, int))
    return axis_sizes(tensors, sizes_in(tensors, typed))


def sizes_in(
    tensors: Mapping[str, TensorCard], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, int]:
    """Read the sizes of dynamic axes off the shapes of some inputs.

    Args:
        tensors: Inputs by name.
        shapes: Of some of them.

    Returns:
        Without the axes that these shapes do not settle.

    Raises:
        BadInput: One axis has two sizes, or a shape another number of axes than its input.
    """
    for name, shape in shapes.items():
        if len(shape) != len(tensors[name].shape):
            raise BadInput(
                f"The input {name!r} has {len(tensors[name].shape)} axes, and what is given for it "
                f"has {len(shape)}: {list(shape)}.",
                hint="In a file of arrays the first axis counts the samples, and in a model the "
                "batch.",
            )
    places = [
        (axis_label(axis), size)
        for name, shape in shapes.items()
        for axis, size in zip(tensors[name].shape, shape, strict=True)
    ]
    open_ = [(label, size) for label, size in places if isinstance(label, str)]
    # What is a name settles what is made of names.
    open_.sort(key=lambda place: is_derived(place[0]))
    sizes: dict[str, int] = {}
    for label, size in open_:
        unknown = [name for name in axis_names(label) if name not in sizes]
        if len(unknown) == 1:
            fitting = solve_axis(label, unknown[0], sizes, Axis(unknown[0]), size, size)
            if is_derived(label) and not fitting:
                raise BadInput(f"The axis {label!r} is never {size} wide.")
            sizes[unknown[0]] = fitting[0] if fitting else size
        elif not unknown and axis_size(label, sizes) != size:
            made = axis_size(label, sizes)
            raise BadInput(f"The axis {label!r} is given both {made} and {size}.")
    return sizes


def resolve_shape(tensor: TensorCard, sizes: Mapping[str, int], name: str = "") -> tuple[int, ...]:
    """Return a tensor's shape with the dynamic axes' sizes put in.

    Raises:
        BadInput: `sizes` lacks an axis, an axis that follows from others would have no size, or no
            array has as many axes.
    """
    if len(tensor.shape) > _MOST_AXES:
        raise BadInput(
            f"The input {name!r} has {len(tensor.shape)} axes; an array has {_MOST_AXES} at most."
        )
    shape = []
    for axis in tensor.shape:
        label = axis_label(axis)
        if isinstance(label, str):
            for part in axis_names(label):
                if part not in sizes:
                    raise BadInput(f"The axis {part!r} of the input {name!r} has no size.")
            if is_derived(label):
                _refuse_outside(Axis(label), sizes)
            label = axis_size(label, sizes)
        shape.append(label)
    return tuple(shape)


def generate_feeds(
    tensors: Mapping[str, TensorCard], sizes: Mapping[str, int], seed: int
) -> dict[str, Array]:
    """Make up inputs: the same seed, name and shape give the same values everywhere.

    Floats come from the card's `range` (uniform) or a standard normal distribution, integers from
    `range` (both ends included) or from 0 and 1, each in every row.

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


def trial_sizes(
    tensors: Mapping[str, TensorCard], typical: Mapping[str, int] | None = None
) -> tuple[dict[str, int], ...]:
    """Choose up to three sizes for every dynamic axis, to run a graph at.

    The batch axis takes its three smallest sizes, another axis its smallest, its typical and a
    larger one, within its range. Axes take turns, so that two never grow together only.

    Args:
        tensors: Inputs by name.
        typical: Axis name to the size that stands in for the card's typical one.
    """
    axes = {
        name: _around(axis, (typical or {}).get(name))
        for name, axis in dynamic_axes(tensors).items()
    }
    batch = batch_axis(tensors)
    choices = {}
    for index, (name, axis) in enumerate(axes.items()):
        usual = axis.typical or axis.min
        wanted = (
            (axis.min, axis.min + 1, axis.min + 2)
            if name == batch
            else (axis.min, usual if usual > axis.min else axis.min + 1, 2 * usual + 1)
        )
        top = max(wanted) if axis.max is None else axis.max
        sizes = [min(size, top) for size in wanted]
        turn = 0 if name == batch else index % 3
        choices[name] = sizes[turn:] + sizes[:turn]
    trials: list[dict[str, int]] = []
    for index in range(3):
        trial = _fitted(tensors, {name: sizes[index] for name, sizes in choices.items()}, axes)
        if trial not in trials:
            trials.append(trial)
    return tuple(trials)


def _around(axis: Axis, typical: int | None) -> Axis:
    """An axis with another typical size, where it takes that."""
    if typical is None or not axis.min <= typical <= (axis.max or typical):
        return axis
    return msgspec.structs.replace(axis, typical=typical)


def _generate(name: str, tensor: TensorCard, shape: tuple[int, ...], seed: int) -> Array:
    dtype = _numpy_dtype(tensor.dtype, f"the input {name!r}")
    # The name, not the position, selects the stream: reordering a card changes no values.
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    needed = 8 * math.prod(shape)
    if needed > _LARGE and needed > free_memory():
        raise BadInput(
            f"The input {name!r} of {' x '.join(map(str, shape))} values takes {needed >> 20} MiB, "
            "more than is free.",
            hint="Give smaller sizes with --input.",
        )
    if dtype.kind == "f":
        if tensor.range is None:
            return random.standard_normal(shape).astype(dtype)
        return random.uniform(*tensor.range, size=shape).astype(dtype)
    low, high = (0, 1) if tensor.range is None else (int(tensor.range[0]), int(tensor.range[1]))
    values = random.integers(low, high, size=shape, endpoint=True)
    if tensor.range is None and shape and shape[-1] > 1:
        # It may be a mask, and one that hides everything, or nothing, asks for nothing.
        values[..., 0] = 1 - values[..., 1]
    return values.astype(dtype)


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
