"""Moving generated scenes: frames with known truth and a time stamp, where no camera is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.core.errors import BadInput
from edgekit.demo.stamp import draw_stamp, stamp_height
from edgekit.export.builtin.scenes.backgrounds import background, shading
from edgekit.export.builtin.scenes.figures import CLASSES, FONTS, outline
from edgekit.pipeline.frame import Frame, FrameRequest, Granted
from edgekit.pipeline.source import SourceEnded
from edgekit.tasks.results import Detections
from edgekit.tasks.task import Image

__all__ = ["SyntheticSource"]

_SIZE, _RATE = (1280, 720), 30.0
_SMALLEST = (160, 120)
_OBJECTS = 7
# Longer side of an object as a share of the picture's short side.
_LENGTHS = (0.12, 0.4)
# Pixels a second as a share of the picture's short side.
_SPEEDS = (0.1, 0.5)
# Truth is told of objects that show at least this share, as in the still scenes.
_VISIBLE = 0.4
# What hides what is worked out on a grid of every fourth pixel.
_COARSE = 4
# Contrast between an object and the background: grey levels of the channel that differs most.
_CONTRAST = 60

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Sprite:
    """One object: its class, its look, and how it moves.

    Attributes:
        colours: (h, w, 3) uint8.
        mask: (h, w) float32, 0 to 1.
        rest: (h, w) float32, 1 less the mask.
        coarse: (h/4, w/4) bool.
        start: x, y of its upper left corner at the start, pixels.
        speed: x, y, pixels a second.
    """

    index: int
    colours: Image
    mask: Float
    rest: Float
    coarse: npt.NDArray[np.bool_]
    start: tuple[float, float]
    speed: tuple[float, float]

    def place(self, seconds: float, size: tuple[int, int]) -> tuple[int, int]:
        """Left and top at a time: it bounces between the edges, never leaving the picture."""
        height, width = self.mask.shape
        left = _bounce(self.start[0] + self.speed[0] * seconds, size[0] - width)
        top = _bounce(self.start[1] + self.speed[1] * seconds, size[1] - height)
        return left, top


class SyntheticSource:
    """A camera that films generated scenes: it is always there.

    The scene is the same for the same seed; the time stamp in its lower left corner is the moment
    at which the frame was drawn (`edgekit.demo.stamp`), so that whoever looks at a screen can tell
    how old a picture is.

    Args:
        wanted: Size and rate; what is left open is 1280x720 at 30 frames a second.
        seed: At least 0.
        frames: How many there are; None means no end.
        live: Frames come at their rate, and are lost where nobody takes them; False gives every
            frame as fast as it is taken.

    Raises:
        BadInput: A size under 160x120, or no rate above 0.
    """

    def __init__(
        self, wanted: FrameRequest, *, seed: int = 0, frames: int | None = None, live: bool = True
    ) -> None:
        self._size = wanted.size or _SIZE
        self._rate = wanted.rate or _RATE
        if self._size[0] < _SMALLEST[0] or self._size[1] < _SMALLEST[1]:
            raise BadInput(
                f"Generated scenes are at least {_SMALLEST[0]}x{_SMALLEST[1]}, not "
                f"{self._size[0]}x{self._size[1]}."
            )
        if not self._rate > 0:
            raise BadInput(f"A rate is above 0 frames a second, not {self._rate}.")
        self._frames = frames
        self._live = live
        self._seed = seed
        self._stop = Event()
        self._number = 0
        self._start_ns = 0
        self._background: Image | None = None
        self._sprites: list[_Sprite] = []

    @property
    def name(self) -> str:
        """See FrameSource."""
        return "synthetic"

    @property
    def live(self) -> bool:
        """See FrameSource."""
        return self._live

    def open(self) -> Granted:
        """Draw the background and the objects."""
        width, height = self._size
        random = np.random.default_rng([self._seed, width, height])
        if self._background is None:
            ground = background(random, (height, width))
            self._background = np.asarray(np.clip(ground, 0, 255), np.uint8)
            floor = height - stamp_height(width)
            self._sprites = [
                _sprite(random, int(index), self._background, (width, floor))
                for index in random.choice(len(CLASSES), _OBJECTS, replace=False)
            ]
        self._start_ns = time.perf_counter_ns()
        return Granted(
            width=width,
            height=height,
            rate=self._rate,
            pixel_format="BGR",
            backend="generated",
            frames=self._frames,
        )

    def read(self) -> Frame:
        """Draw the frame that is due; frames that came due while nobody read are lost."""
        if self._live:
            due_ns = self._start_ns + round(self._number * 1e9 / self._rate)
            now = time.perf_counter_ns()
            late = int((now - due_ns) * self._rate / 1e9)
            if late > 0:
                self._number += late
            elif due_ns > now:
                self._stop.wait((due_ns - now) / 1e9)
        if self._stop.is_set() or (self._frames is not None and self._number >= self._frames):
            raise SourceEnded
        number, self._number = self._number, self._number + 1
        captured_ns, stamp = time.perf_counter_ns(), time.time_ns() // 1_000_000
        pixels, truth = self.draw(number)
        draw_stamp(pixels, stamp, number)
        return Frame(
            pixels=pixels,
            number=number,
            captured_ns=captured_ns,
            read_ns=time.perf_counter_ns() - captured_ns,
            truth=truth,
        )

    def draw(self, number: int) -> tuple[Image, Detections]:
        """Draw a frame without its stamp, and say what is in it.

        Returns:
            (H, W, 3) uint8 BGR, a new array, and the objects of which at least 40 % show, with a
            score of 1.
        """
        assert self._background is not None, "open comes first"
        picture: Image = self._background.copy()
        width, height = self._size
        floor = height - stamp_height(width)
        owner = np.zeros((-(-height // _COARSE), -(-width // _COARSE)), np.uint8)
        places = [sprite.place(number / self._rate, (width, floor)) for sprite in self._sprites]
        for place, (sprite, (left, top)) in enumerate(zip(self._sprites, places, strict=True), 1):
            rows, columns = sprite.mask.shape
            under = picture[top : top + rows, left : left + columns]
            under[:] = cv2.blendLinear(sprite.colours, under, sprite.mask, sprite.rest)
            patch = owner[top // _COARSE :, left // _COARSE :]
            patch = patch[: sprite.coarse.shape[0], : sprite.coarse.shape[1]]
            patch[sprite.coarse[: patch.shape[0], : patch.shape[1]]] = place
        return picture, self._truth(owner, places)

    def interrupt(self) -> None:
        """See FrameSource."""
        self._stop.set()

    def close(self) -> None:
        """See FrameSource."""

    def _truth(self, owner: npt.NDArray[np.uint8], places: list[tuple[int, int]]) -> Detections:
        boxes, classes = [], []
        counts = np.bincount(owner.reshape(-1), minlength=len(places) + 1)
        for number, (sprite, (left, top)) in enumerate(zip(self._sprites, places, strict=True), 1):
            whole = int(sprite.coarse.sum())
            if counts[number] < _VISIBLE * whole:
                continue
            rows, columns = sprite.mask.shape
            box = (left, top, left + columns, top + rows)
            if counts[number] < 0.98 * whole:
                x, y, w, h = cv2.boundingRect((owner == number).view(np.uint8))
                seen = (x * _COARSE, y * _COARSE, (x + w) * _COARSE, (y + h) * _COARSE)
                box = (
                    max(box[0], seen[0]),
                    max(box[1], seen[1]),
                    min(box[2], seen[2]),
                    min(box[3], seen[3]),
                )
            boxes.append(box)
            classes.append(sprite.index)
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.ones(len(boxes), np.float32),
            np.array(classes, np.int64),
        )


def _sprite(
    random: np.random.Generator, index: int, ground: Image, size: tuple[int, int]
) -> _Sprite:
    """Make an object that stands out from the background, cut to its outline."""
    width, height = size
    short = min(width, height)
    length = float(np.exp(random.uniform(*np.log(_LENGTHS)))) * short
    source = outline(index, int(random.integers(len(FONTS))), length)
    side = max(8, round(length))
    scaled = cv2.resize(source, (side, side), interpolation=cv2.INTER_AREA)
    x, y, w, h = cv2.boundingRect((scaled > 127).view(np.uint8))
    mask = scaled[y : y + h, x : x + w].astype(np.float32) / np.float32(255)
    start = float(random.uniform(0, width - w)), float(random.uniform(0, height - h))
    mean = ground.reshape(-1, 3).mean(0)
    colour = mean
    for _ in range(50):
        colour = random.uniform(0, 255, 3)
        if np.abs(colour - mean).max() >= _CONTRAST:
            break
    light = shading(random, mask.shape, float(random.uniform(0.05, 0.3)))
    colours = np.asarray(np.clip(colour * light[..., None], 0, 255), np.uint8)
    angle, speed = random.uniform(0, 2 * np.pi), random.uniform(*_SPEEDS) * short
    coarse = cv2.resize(mask, (-(-w // _COARSE), -(-h // _COARSE)), interpolation=cv2.INTER_AREA)
    return _Sprite(
        index=index,
        colours=colours,
        mask=mask,
        rest=1 - mask,
        coarse=coarse > 0.5,
        start=start,
        speed=(float(speed * np.cos(angle)), float(speed * np.sin(angle))),
    )


def _bounce(place: float, room: int) -> int:
    """Fold a straight way into a room of so many pixels."""
    if room <= 0:
        return 0
    folded = place % (2 * room)
    return round(2 * room - folded if folded > room else folded)
