"""The reference of a baked model: the plain one, with what was baked done in numpy around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.runtime import Array, Feeds, Placement, Session, TensorInfo
from edgekit.tasks.baked import DETECTIONS, baked_card, parse_bake, score_floor
from edgekit.tasks.detection import Detector
from edgekit.tasks.preprocess import image_input, levels
from edgekit.tasks.results import Float
from edgekit.tasks.task import Fit

__all__ = ["BakedReference", "open_baked"]


def open_baked(
    opener: Callable[[], dict[str, Session]], card: ModelCard, what: Iterable[str]
) -> dict[str, Session]:
    """Open plain sessions so that they take and give what the baked graph does.

    Args:
        opener: Opens the plain sessions by role.
        card: The plain model's.
        what: Of edgekit.tasks.baked.BAKES.

    Returns:
        The sessions by role, "main" wrapped.

    Raises:
        BadInput: See edgekit.tasks.baked.baked_card.
    """
    words = parse_bake(what)
    sessions = opener()
    return (
        {**sessions, "main": BakedReference(sessions["main"], card, words)} if words else sessions
    )


class BakedReference:
    """A session of the plain model, seen from outside as one of the baked model.

    Pixels are normalised as `edgekit.tasks.preprocess` does it, outputs are decoded and suppressed
    as `edgekit.tasks.detection` does it.

    Args:
        session: Of the plain model; closed with this one.
        card: The plain model's.
        what: Of edgekit.tasks.baked.BAKES.
    """

    def __init__(self, session: Session, card: ModelCard, what: frozenset[str]) -> None:
        baked = baked_card(card, what)
        self._session = session
        self._inputs = session.inputs
        self._outputs = session.outputs
        self._pixels = ""
        self._detector: Detector | None = None
        assert card.preprocess is not None, "baked_card has refused what takes no images"
        self._size = card.preprocess.size
        if "preprocess" in what:
            found = image_input(card)
            assert found is not None, "baked_card has refused it"
            self._pixels, tensor = found
            self._nchw = (tensor.layout or "NCHW") == "NCHW"
            self._levels = levels(card.preprocess)
            self._inputs = tuple(
                _info(self._pixels, baked.inputs[self._pixels]) if one.name == self._pixels else one
                for one in session.inputs
            )
        if "nms" in what:
            self._detector = Detector(card)
            self._floor = score_floor(card)
            self._outputs = (_info(DETECTIONS, baked.outputs[DETECTIONS]),)
            self._rows = int(self._outputs[0].shape[1])

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs, as the baked graph has them."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs, as the baked graph has them."""
        return self._outputs

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once on arrays by input name.

        Raises:
            BadInput: A name, dtype or shape is wrong.
        """
        fed = dict(feeds)
        if self._pixels:
            fed[self._pixels] = self._normalised(feeds)
        outputs = self._session.run(fed)
        return outputs if self._detector is None else {DETECTIONS: self._detections(outputs)}

    def bind(self, feeds: Feeds) -> _Binding:
        """Return a binding that runs as `run` does; no fast path."""
        return _Binding(self, feeds)

    def placement(self) -> Placement:
        """What ran where in the plain graph."""
        return self._session.placement()

    def close(self) -> None:
        """Close the plain session."""
        self._session.close()

    def __enter__(self) -> BakedReference:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _normalised(self, feeds: Feeds) -> Float:
        """Turn (B, H, W, C) uint8 into the plain input."""
        info = next(one for one in self._inputs if one.name == self._pixels)
        pixels = feeds.get(self._pixels)
        if pixels is None or not info.accepts(pixels):
            given = "nothing" if pixels is None else f"{pixels.dtype} {pixels.shape}"
            raise BadInput(
                f"The input {info.name!r} takes {info.dtype} {info.shape}, and was given {given}."
            )
        planes = [
            self._levels[:, channel][pixels[..., channel]] for channel in range(pixels.shape[3])
        ]
        return np.stack(planes, axis=1 if self._nchw else 3)

    def _detections(self, outputs: Mapping[str, Array]) -> Float:
        """Decode and suppress a batch: (B, K, 6) float32."""
        assert self._detector is not None
        # The network's input seen as an image of its own: boxes stay in its pixels.
        fit = Fit(self._size, self._size, scale_x=1.0, scale_y=1.0, left=0.0, top=0.0)
        count = len(next(iter(outputs.values())))
        rows = np.zeros((count, self._rows, 6), np.float32)
        for index, row in enumerate(rows):
            one = {name: array[index : index + 1] for name, array in outputs.items()}
            found = self._detector.detections(one, fit, self._floor, multi_label=True)
            many = len(found.scores)
            row[:many, :4] = found.boxes
            row[:many, 4] = found.scores
            row[:many, 5] = found.classes
        return rows


class _Binding:
    """Buffers and a call; the reference is never measured."""

    def __init__(self, session: BakedReference, feeds: Feeds) -> None:
        self._session = session
        self.inputs: dict[str, Array] = {name: array.copy() for name, array in feeds.items()}
        self.outputs: dict[str, Array] = session.run(self.inputs)

    def run(self) -> None:
        """Run once on the bound inputs."""
        for name, array in self._session.run(self.inputs).items():
            self.outputs[name][...] = array


def _info(name: str, tensor: TensorCard) -> TensorInfo:
    shape = tuple(size.name if isinstance(size, Axis) else size for size in tensor.shape)
    return TensorInfo(name, tensor.dtype, shape)
