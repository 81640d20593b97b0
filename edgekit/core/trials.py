"""The inputs that a graph and its source are both run on: real ones at several sizes, or generated.

Real inputs are cut, or repeated from their start, to the sizes that are tried; nothing is invented
beside them. Where an answer is of no use (the source refuses the inputs, or returns NaN), the next
inputs of that size are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.core.axes import axis_label, axis_names
from edgekit.core.card import TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import (
    axis_sizes,
    batch_axis,
    dynamic_axes,
    generate_feeds,
    resolve_shape,
    sizes_in,
    trial_sizes,
    with_typical,
)
from edgekit.core.runtime import Array, Feeds

__all__ = [
    "Trial",
    "TrialAnswer",
    "UnjudgedTrial",
    "answer_trials",
    "example_feeds",
    "fit_feeds",
    "named_as",
    "trials",
    "with_real_sizes",
]

# Generated inputs may hit what a network cannot answer, as a mask that hides everything.
_DRAWS = 4

Outputs = dict[str, Array]


@dataclass(frozen=True)
class Trial:
    """One size to run at.

    Attributes:
        sizes: Of every dynamic axis.
        draws: Inputs of that size, the best first; each is made when it is asked for.
    """

    sizes: dict[str, int]
    draws: Sequence[Callable[[], Feeds]]


@dataclass(frozen=True)
class TrialAnswer:
    """What the source returned at one size.

    Attributes:
        finite: Whether it holds no NaN and no infinity; only then it is compared with.
    """

    sizes: dict[str, int]
    feeds: Feeds
    outputs: Outputs
    finite: bool


@dataclass(frozen=True)
class UnjudgedTrial:
    """A size at which the source answered nothing that another answer can be compared with."""

    sizes: dict[str, int]
    error: BadInput

    def __str__(self) -> str:
        sizes = ", ".join(f"{axis}={size}" for axis, size in self.sizes.items())
        return f"Not judged at {sizes or 'the fixed shape'}: {self.error.message}"


def fit_feeds(
    tensors: Mapping[str, TensorCard], real: Sequence[Feeds], sizes: Mapping[str, int]
) -> dict[str, Array]:
    """Make inputs of given sizes out of real ones.

    The batch is made of the real inputs in turn; every other axis is cut, or its values are
    repeated from the start. Inputs without the batch axis keep the first one's values.

    Args:
        tensors: Inputs by name.
        real: At least one, each of batch one.
        sizes: Of every dynamic axis.

    """
    batch = batch_axis(tensors)
    chosen = [real[index % len(real)] for index in range(sizes.get(batch or "", 1))]
    fitted = {}
    for name, tensor in tensors.items():
        labels = [axis_label(axis) for axis in tensor.shape]
        along = next(
            (
                place
                for place, label in enumerate(labels)
                if isinstance(label, str) and batch in axis_names(label)
            ),
            None,
        )
        parts = [feed[name] for feed in (chosen if along is not None else real[:1])]
        shape = resolve_shape(tensor, sizes, name)
        if along is None:
            fitted[name] = _cut(parts[0], shape)
            continue
        # Parts of several lengths become of one before they are put together.
        open_ = [
            _cut(part, (*shape[:along], part.shape[along], *shape[along + 1 :])) for part in parts
        ]
        fitted[name] = _cut(np.concatenate(open_, axis=along), shape)
    return fitted


def example_feeds(
    tensors: Mapping[str, TensorCard],
    real: Sequence[Feeds],
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
) -> dict[str, Array]:
    """Make inputs for one run: of real ones where there are some, else generated.

    Args:
        tensors: Inputs by name.
        real: Of batch one; may be empty.
        sizes: Axis name to size; the others take the real inputs' sizes, else typical ones.
        seed: Of what is generated.
    """
    if not real:
        return generate_feeds(tensors, axis_sizes(tensors, sizes), seed)
    return fit_feeds(
        tensors, real, axis_sizes(tensors, {**_own_sizes(tensors, real[0]), **(sizes or {})})
    )


def with_real_sizes(
    tensors: Mapping[str, TensorCard], real: Sequence[Feeds]
) -> dict[str, TensorCard]:
    """State the typical sizes of axes that have none: those of the first real inputs.

    Args:
        tensors: Inputs by name.
        real: Of batch one; may be empty.
    """
    return with_typical(tensors, _own_sizes(tensors, real[0])) if real else dict(tensors)


def named_as(
    inputs: Mapping[str, object], feed: Feeds, where: str, source: str = "The data"
) -> Feeds:
    """Give real inputs the network's names: they were made before those were known.

    Args:
        inputs: By the network's names.
        feed: Under other names where there is only one.
        where: The model, for the message.
        source: What the inputs come from, likewise.

    Raises:
        BadInput: The names differ.
    """
    if set(feed) == set(inputs):
        return feed
    if len(feed) == len(inputs) == 1:
        return dict(zip(inputs, feed.values(), strict=True))
    raise BadInput(
        f"{source} gives {', '.join(feed)}, but {where} takes {', '.join(inputs)}.",
        hint="Name the arrays in the data set as the model's inputs.",
    )


def trials(tensors: Mapping[str, TensorCard], real: Sequence[Feeds], seed: int) -> list[Trial]:
    """Choose what a graph is checked on: every size of `trial_sizes`.

    Args:
        tensors: Inputs by name.
        real: Real inputs of batch one; where there are some, nothing is generated, and the first
            is run as it is too.
        seed: Of what is generated.
    """
    if not real:
        return [
            Trial(
                sizes,
                [_generating(tensors, sizes, seed + index + draw * 1000) for draw in range(_DRAWS)],
            )
            for index, sizes in enumerate(trial_sizes(tensors))
        ]
    own = _own_sizes(tensors, real[0])
    wanted = list(trial_sizes(tensors, own))
    whole = axis_sizes(tensors, own)
    if whole not in wanted:
        wanted.insert(0, whole)
    found = []
    for index, sizes in enumerate(wanted):
        # Each trial starts at another real input, so that one of them is not all that is shown.
        turned = [*real[index % len(real) :], *real[: index % len(real)]]
        found.append(
            Trial(
                sizes,
                [_fitting(tensors, turned, sizes), _bounding(tensors, turned, sizes, own)],
            )
        )
    return found


def answer_trials(
    run: Callable[[Feeds], Outputs], wanted: Sequence[Trial]
) -> tuple[list[TrialAnswer], list[UnjudgedTrial]]:
    """Run a source at every size, on the first inputs that it answers.

    Args:
        run: The source.
        wanted: Sizes and inputs.

    Returns:
        The answers, and why there is none, or none that is finite, at a size.
    """
    answers: list[TrialAnswer] = []
    failures: list[UnjudgedTrial] = []
    for trial in wanted:
        failure, answer = None, None
        for draw in trial.draws:
            try:
                feeds = draw()
                outputs = run(feeds)
            except BadInput as error:
                failure = failure or UnjudgedTrial(trial.sizes, error)
                continue
            broken = _not_finite(outputs)
            answer = TrialAnswer(trial.sizes, feeds, outputs, broken is None)
            if broken is None:
                failure = None
                break
            failure = UnjudgedTrial(
                trial.sizes,
                BadInput(
                    f"The source itself returns NaN or Inf in {broken!r}.",
                    hint="Check the weights and the range of its inputs in the card, or give real "
                    "inputs with --data.",
                ),
            )
        if answer is not None:
            answers.append(answer)
        if failure is not None:
            failures.append(failure)
    return answers, failures


def _own_sizes(tensors: Mapping[str, TensorCard], feeds: Feeds) -> dict[str, int]:
    """The sizes that real inputs have, as far as the axes take them.

    Raises:
        BadInput: They contradict each other, or an array has another number of axes.
    """
    axes = dynamic_axes(tensors)
    sizes = sizes_in(tensors, {name: feeds[name].shape for name in tensors})
    return {
        name: size
        for name, size in sizes.items()
        if axes[name].min <= size <= (axes[name].max or size)
    }


def _generating(
    tensors: Mapping[str, TensorCard], sizes: dict[str, int], seed: int
) -> Callable[[], Feeds]:
    return lambda: generate_feeds(tensors, sizes, seed)


def _fitting(
    tensors: Mapping[str, TensorCard], real: Sequence[Feeds], sizes: dict[str, int]
) -> Callable[[], Feeds]:
    return lambda: fit_feeds(tensors, real, sizes)


def _bounding(
    tensors: Mapping[str, TensorCard],
    real: Sequence[Feeds],
    sizes: dict[str, int],
    own: Mapping[str, int],
) -> Callable[[], Feeds]:
    """Real inputs whose integers do not point beyond an axis that was cut, as a length does."""

    def make() -> Feeds:
        fitted = fit_feeds(tensors, real, sizes)
        for name, array in fitted.items():
            if array.dtype.kind not in "iu" or array.size == 0:
                continue
            has = {
                part
                for axis in tensors[name].shape
                if isinstance(label := axis_label(axis), str)
                for part in axis_names(label)
            }
            for axis, size in own.items():
                # A length may be as large as its axis, an index may not.
                beyond = int(array.max()) - size
                if axis not in has and sizes[axis] < size and beyond <= 0:
                    last = sizes[axis] - (1 if beyond < 0 else 0)
                    fitted[name] = np.minimum(fitted[name], last).astype(array.dtype)
        return fitted

    return make


def _cut(array: Array, shape: Sequence[int]) -> Array:
    for place, size in enumerate(shape):
        if array.shape[place] == 0 and size:
            # A state that holds nothing yet has nothing to repeat.
            array = np.zeros((*array.shape[:place], size, *array.shape[place + 1 :]), array.dtype)
        elif array.shape[place] != size:
            array = np.take(array, range(size), axis=place, mode="wrap")
    return array


def _not_finite(outputs: Outputs) -> str | None:
    for name, value in outputs.items():
        if value.dtype.kind == "f" and not bool(np.isfinite(value).all()):
            return name
    return None
