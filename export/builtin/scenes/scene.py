"""One scene: objects of known classes on a background, lit, blurred and noisy as a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.export.builtin.scenes.backgrounds import Float, background, octaves, shading
from edgekit.export.builtin.scenes.figures import CLASSES, FONTS, SHAPES, outline

__all__ = ["LARGEST", "MEAN_OBJECTS", "SIZE", "SMALLEST", "VISIBLE", "Scene", "draw_scene"]

SIZE = (320, 320)
MEAN_OBJECTS = 8
# Of the Poisson distribution that is cut off at both ends, to meet that mean.
_RATE = 8.2
# Longer side of a box, pixels.
SMALLEST, LARGEST = 12, 200
# Smaller digits nobody can tell apart.
_SMALLEST_DIGIT = 18
# At least this share of an object shows.
VISIBLE = 0.4
_MOST_OBJECTS = 20
_TRIES = 60
# Contrast between an object and what it lies on: grey levels of the channel that differs most.
_CONTRAST = 35
_POOL = 2**20


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        boxes: (N, 4) float32, xyxy in pixels, around the part of each object that shows.
        classes: (N,) int64, indices into CLASSES.
        areas: (N,) float32, pixels of each object that show.
        shown: (N,) float32, the share of each object that shows, 0.4 to 1.
    """

    image: npt.NDArray[np.uint8]
    boxes: Float
    classes: npt.NDArray[np.int64]
    areas: Float
    shown: Float


@dataclass(frozen=True)
class _Object:
    """One object as it is placed.

    Attributes:
        index: Of its class.
        top, left: Of its patch in the picture, pixels; may lie outside.
        mask: (h, w) float32, 0 to 1.
        pixels: How many it covers where nothing hides it, the picture's edge included.
    """

    index: int
    top: int
    left: int
    mask: Float
    pixels: int


def draw_scene(seed: int, size: tuple[int, int] = SIZE) -> Scene:
    """Draw the scene of a seed; the same seed gives the same scene.

    Eight objects on average (as densely where the size is another), 12 to 200 pixels long, each at
    least 40 % in sight, on one of six kinds of background; then light, blur and noise.

    Args:
        seed: At least 0.
        size: (H, W), pixels.
    """
    random = np.random.default_rng([seed, *size])
    picture = background(random, size)
    # Which object is on top, by pixel; 0 is the background.
    owner = np.zeros(size, np.uint8)
    objects: list[_Object] = []
    area = size[0] * size[1] / (SIZE[0] * SIZE[1])
    wanted = int(np.clip(random.poisson(_RATE * area), 1, _MOST_OBJECTS * max(1.0, area)))
    for _ in range(wanted):
        placed = _place(random, owner, objects)
        if placed is not None:
            objects.append(placed)
            _paint(random, picture, placed)
    image = _photograph(random, picture)
    return _annotated(image, owner, objects)


def _place(
    random: np.random.Generator, owner: npt.NDArray[np.uint8], objects: list[_Object]
) -> _Object | None:
    """Find a place where the new object hides no other one too much, and note it in `owner`."""
    height, width = owner.shape
    for attempt in range(_TRIES):
        index = int(random.integers(len(CLASSES)))
        smallest = SMALLEST if index < len(SHAPES) else _SMALLEST_DIGIT
        # A crowded scene takes smaller and smaller ones.
        largest = LARGEST * 0.97**attempt
        length = float(np.exp(random.uniform(np.log(smallest), np.log(max(largest, smallest + 4)))))
        mask = _turned(random, index, length)
        h, w = mask.shape
        top = int(random.integers(-h // 4, max(height - (3 * h) // 4, 1)))
        left = int(random.integers(-w // 4, max(width - (3 * w) // 4, 1)))
        new = _Object(index, top, left, mask, int((mask > 0.5).sum()))
        rows, columns, inside = _within(new, owner.shape)
        solid = inside > 0.5
        seen = int(solid.sum())
        if (
            seen < VISIBLE * new.pixels
            or _longer(solid) < smallest
            or _longer(mask > 0.5) > LARGEST
        ):
            continue
        part = owner[rows, columns]
        hidden = np.bincount(part[solid], minlength=len(objects) + 1)
        touched = np.flatnonzero(hidden[1:])
        if all(_still_seen(owner, objects, int(one), rows, columns, solid) for one in touched):
            part[solid] = len(objects) + 1
            return new
    return None


def _still_seen(
    owner: npt.NDArray[np.uint8],
    objects: list[_Object],
    number: int,
    rows: slice,
    columns: slice,
    solid: npt.NDArray[np.bool_],
) -> bool:
    """Say whether enough of an object still shows with a new one on top."""
    old = objects[number]
    shows = owner == number + 1
    shows[rows, columns] &= ~solid
    smallest = SMALLEST if old.index < len(SHAPES) else _SMALLEST_DIGIT
    return int(shows.sum()) >= VISIBLE * old.pixels and _longer(shows) >= smallest


def _longer(solid: npt.NDArray[np.bool_]) -> int:
    """Longer side of what is set, pixels."""
    _, _, width, height = cv2.boundingRect(solid.view(np.uint8))
    return max(width, height)


def _turned(random: np.random.Generator, index: int, length: float) -> Float:
    """Return a figure's mask turned, squeezed and sheared; its longer side is about `length`."""
    source = outline(index, int(random.integers(len(FONTS))), length)
    side = source.shape[0]
    limit = 180 if CLASSES[index] == "arrow" else 30 if index < len(SHAPES) else 15
    angle = np.deg2rad(random.uniform(-limit, limit))
    squeeze = float(np.exp(random.uniform(-0.25, 0.25)))
    shear = random.uniform(-0.15, 0.15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[squeeze, shear], [0, 1 / squeeze]])
    corners = matrix @ (np.array([[0, 1, 1, 0], [0, 0, 1, 1]]) - 0.5)
    # The figure fills its square, so the turned square holds it; the cut comes after.
    reach = float(np.ptp(corners, axis=1).max())
    scale = length / side
    pixels = max(3, int(np.ceil(length * reach)) + 2)
    affine = np.empty((2, 3))
    affine[:, :2] = matrix * scale
    affine[:, 2] = (pixels - 1) / 2 - affine[:, :2] @ np.full(2, (side - 1) / 2)
    drawn = cv2.warpAffine(source, affine, (pixels, pixels), flags=cv2.INTER_AREA)
    x, y, width, height = cv2.boundingRect((drawn > 127).view(np.uint8))
    cut = drawn[max(y - 1, 0) : y + height + 1, max(x - 1, 0) : x + width + 1]
    return cut.astype(np.float32) / np.float32(255)


def _within(one: _Object, size: tuple[int, ...]) -> tuple[slice, slice, Float]:
    """Return where an object's patch lies in the picture, and what of its mask is inside."""
    h, w = one.mask.shape
    top, left = max(one.top, 0), max(one.left, 0)
    bottom, right = min(one.top + h, size[0]), min(one.left + w, size[1])
    inside = one.mask[top - one.top : bottom - one.top, left - one.left : right - one.left]
    return slice(top, bottom), slice(left, right), inside


def _paint(random: np.random.Generator, picture: Float, one: _Object) -> None:
    """Paint an object over the picture, its shadow before it."""
    rows, columns, mask = _within(one, picture.shape)
    if random.random() < 0.4:
        _shadow(random, picture, one)
    under = picture[rows, columns]
    shape = mask.shape
    ground = under.reshape(-1, 3).mean(0)
    colour = ground
    for _ in range(50):
        colour = random.uniform(0, 255, 3).astype(np.float32)
        if np.abs(colour - ground).max() >= _CONTRAST:
            break
    fill = np.empty((*shape, 3), np.float32)
    fill[:] = colour
    if random.random() < 0.5:
        fill *= shading(random, shape, float(random.uniform(0.05, 0.3)))[..., None]
    if random.random() < 0.3 and min(shape) > 8:
        grain = octaves(random, shape, cell=float(random.uniform(4, 30)), count=3)
        fill += np.float32(random.uniform(10, 50)) * (grain[..., None] - 0.5)
    if random.random() < 0.25 and min(shape) > 20:
        width = max(3, 2 * int(min(shape) * random.uniform(0.02, 0.06)) + 1)
        inner = cv2.erode(mask, np.ones((width, width), np.uint8))[..., None]
        fill = fill * inner + random.uniform(0, 255, 3).astype(np.float32) * (1 - inner)
    under += mask[..., None] * (fill - under)


def _shadow(random: np.random.Generator, picture: Float, one: _Object) -> None:
    """Darken what lies beside and under an object, softly."""
    reach = max(2, int(max(one.mask.shape) * random.uniform(0.04, 0.12)))
    soft = 2 * reach + 1
    wide = cv2.copyMakeBorder(one.mask, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    mask = np.asarray(cv2.blur(wide, (soft, soft)), np.float32)
    shift = random.integers(-reach, reach + 1, 2)
    cast = _Object(
        one.index, one.top - reach + int(shift[0]), one.left - reach + int(shift[1]), mask, 0
    )
    rows, columns, inside = _within(cast, picture.shape)
    picture[rows, columns] *= 1 - np.float32(random.uniform(0.2, 0.6)) * inside[..., None]


def _photograph(random: np.random.Generator, picture: Float) -> npt.NDArray[np.uint8]:
    """Light, blur and noise of a camera."""
    size = picture.shape[:2]
    light = np.exp(random.normal(0, 0.2)) * np.exp(random.normal(0, 0.06, 3))
    picture = picture * np.asarray(light, np.float32)
    if random.random() < 0.5:
        picture *= shading(random, size, float(random.uniform(0, 0.35)))[..., None]
    kind = random.random()
    if kind < 0.45:
        sigma = float(random.uniform(0.3, 1.3))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
    elif kind < 0.55:
        length = int(random.integers(3, 6))
        kernel = np.zeros((length, length), np.float32)
        ends = random.integers(0, length, 2)
        cv2.line(kernel, (0, int(ends[0])), (length - 1, int(ends[1])), (1.0,))
        picture = np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.float32)
    if random.random() < 0.8:
        noise = np.float32(random.uniform(0, 12)) * _noise(random, picture.shape)
        picture = np.asarray(picture + noise, np.float32)
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def _noise(random: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Cut normal noise from a pool: drawing it anew would take a fifth of a scene's time."""
    count, start = int(np.prod(shape)), int(random.integers(_POOL))
    pool = _noise_pool()[start:]
    return (pool[:count] if count <= _POOL else np.resize(pool, count)).reshape(shape)


@lru_cache(maxsize=1)
def _noise_pool() -> Float:
    """The pool, twice over, so that a cut may begin anywhere."""
    return np.tile(np.random.default_rng(0).standard_normal(_POOL, np.float32), 2)


def _annotated(
    image: npt.NDArray[np.uint8], owner: npt.NDArray[np.uint8], objects: list[_Object]
) -> Scene:
    boxes = np.zeros((len(objects), 4), np.float32)
    areas = np.zeros(len(objects), np.float32)
    for number in range(len(objects)):
        shows = owner == number + 1
        x, y, width, height = cv2.boundingRect(shows.view(np.uint8))
        boxes[number] = x, y, x + width, y + height
        areas[number] = shows.sum()
    classes = np.array([one.index for one in objects], np.int64)
    whole = np.array([one.pixels for one in objects], np.float32)
    return Scene(image, boxes, classes, areas, areas / whole)
