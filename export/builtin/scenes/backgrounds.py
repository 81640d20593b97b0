"""Backgrounds that look like surfaces and places: noise of several octaves, shaped and coloured."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Float", "background", "octaves", "shading"]

Float = npt.NDArray[np.float32]
_Size = tuple[int, int]


def background(random: np.random.Generator, size: _Size) -> Float:
    """Draw a background without objects.

    Args:
        random: Where the numbers come from.
        size: (H, W), pixels.

    Returns:
        (H, W, 3) float32, BGR, 0 to 255.
    """
    kind = _KINDS[int(random.integers(len(_KINDS)))]
    picture = kind(random, size)
    clutter = int(random.integers(0, 7))
    for _ in range(clutter):
        _scrap(random, picture)
    return np.clip(picture, 0, 255, out=picture)


def octaves(
    random: np.random.Generator,
    size: _Size,
    *,
    cell: float = 80,
    count: int = 5,
    gain: float = 0.55,
    stretch: float = 1.0,
) -> Float:
    """Sum smooth noise of halving wavelengths, as K. Perlin's turbulence does (SIGGRAPH 1985).

    Args:
        random: Where the numbers come from.
        size: (H, W), pixels.
        cell: Longest wavelength, pixels.
        count: Number of octaves.
        gain: Amplitude of each octave relative to the one before.
        stretch: Wavelength along x over that along y.

    Returns:
        (H, W) float32, 0 to 1.
    """
    height, width = size
    total = np.zeros(size, np.float32)
    amplitude = 1.0
    for _ in range(count):
        rows = max(2, round(height / cell) + 1)
        columns = max(2, round(width / (cell * stretch)) + 1)
        noise = random.random((rows, columns), np.float32)
        total += amplitude * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        amplitude *= gain
        cell = max(1.0, cell / 2)
    cv2.normalize(total, total, 0, 1, cv2.NORM_MINMAX)
    return total


def shading(random: np.random.Generator, size: _Size, strength: float) -> Float:
    """Return light that falls from one side: (H, W) float32 around 1, +-strength."""
    angle = random.uniform(0, 2 * np.pi)
    y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    x = np.linspace(-1, 1, size[1], dtype=np.float32)[None] * np.float32(np.cos(angle))
    return (1 + np.float32(strength) * (x + y) / np.float32(1.5)).astype(np.float32)


def _colour(random: np.random.Generator) -> Float:
    """One BGR colour, 0 to 255, as often dull as bright."""
    hsv = np.array(
        [[[random.uniform(0, 360), random.beta(1.2, 2.2), random.uniform(0.1, 1)]]], np.float32
    )
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0] * 255, np.float32)


def _ramp(random: np.random.Generator, values: Float, near: float = 1.0) -> Float:
    """Colour (H, W) values from 0 to 1 by a ramp of three colours, at most `near` apart."""
    first = _colour(random)
    stops = np.stack([first, *(first + near * (_colour(random) - first) for _ in range(2))])
    table = np.empty((256, 3), np.float32)
    steps = np.linspace(0, 1, 256)
    for channel in range(3):
        table[:, channel] = np.interp(steps, (0, 0.5, 1), stops[:, channel])
    index = cv2.cvtColor((values * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.LUT(index, table[:, None]), np.float32)


def _stone(random: np.random.Generator, size: _Size) -> Float:
    cell = float(random.uniform(20, 160))
    return _ramp(random, octaves(random, size, cell=cell, gain=random.uniform(0.4, 0.75)), 0.7)


def _wood(random: np.random.Generator, size: _Size) -> Float:
    along = octaves(random, size, cell=60, count=3, stretch=float(random.uniform(3, 8)))
    rings = random.uniform(4, 18)
    y = np.linspace(0, 1, size[0], dtype=np.float32)[:, None]
    waves = np.sin((y * rings + along * random.uniform(1, 5)) * (2 * np.pi))
    fine = octaves(random, size, cell=6, count=2, stretch=6)
    grain = np.asarray(0.35 * (waves + 1) + 0.3 * fine, np.float32)
    picture = _ramp(random, grain, 0.5)
    if size[0] == size[1] and random.random() < 0.5:
        picture = np.ascontiguousarray(picture.transpose(1, 0, 2))
    return picture


def _fabric(random: np.random.Generator, size: _Size) -> Float:
    pitch = float(random.uniform(4, 16))
    warp = octaves(random, size, cell=120, count=2)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    bend = warp * random.uniform(0, 40)
    weave = np.sin((x + bend) * np.float32(2 * np.pi / pitch))
    weave *= np.sin((y + bend) * np.float32(2 * np.pi / pitch / random.uniform(0.6, 1.6)))
    grain = octaves(random, size, cell=3, count=1)
    return _ramp(random, np.clip(0.25 * (weave + 1) + 0.3 * warp + 0.2 * grain, 0, 1), 0.5)


def _tiles(random: np.random.Generator, size: _Size) -> Float:
    height, width = int(random.integers(16, 70)), int(random.integers(24, 110))
    joint = int(random.integers(1, 5))
    rows, columns = size[0] // height + 2, size[1] // width + 3
    tone = random.normal(0, random.uniform(4, 22), (rows, columns, 1)).astype(np.float32)
    face = np.repeat(np.repeat(_colour(random) + tone, height, 0), width, 1)
    face[np.arange(len(face)) % height < joint] = _colour(random)
    for row in range(rows):
        part = face[row * height : (row + 1) * height]
        part[joint:, np.arange(face.shape[1]) % width < joint] = face[0, 0]
        if row % 2:
            part[:] = np.roll(part, width // 2, axis=1)
    light = 0.75 + 0.5 * octaves(random, size, cell=30)
    return np.asarray(face[: size[0], : size[1]] * light[..., None], np.float32)


def _land(random: np.random.Generator, size: _Size) -> Float:
    height, width = size
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    sky = _colour(random) * (1 - y[..., None]) + _colour(random) * y[..., None]
    clouds = octaves(random, size, cell=90, stretch=2.5)[..., None]
    picture = sky + np.float32(random.uniform(0, 90)) * (clouds - 0.3)
    line = random.uniform(0.25, 0.7)
    for _ in range(int(random.integers(1, 4))):
        points = np.linspace(0, 1, 8)
        hill = line + random.normal(0, 0.05, 8)
        edge = np.interp(np.linspace(0, 1, width), points, hill).astype(np.float32)
        ground = _ramp(random, octaves(random, size, cell=18, count=4, stretch=2), 0.4)
        blend = np.clip((y - edge[None]) * height, 0, 1)[..., None]
        picture = picture * (1 - blend) + ground * blend
        line += random.uniform(0.1, 0.25)
    return np.asarray(picture, np.float32)


def _studio(random: np.random.Generator, size: _Size) -> Float:
    base = _colour(random) * shading(random, size, float(random.uniform(0.1, 0.6)))[..., None]
    grain = np.float32(random.uniform(0, 30)) * (octaves(random, size)[..., None] - 0.5)
    return np.asarray(base + grain, np.float32)


_KINDS: tuple[Callable[[np.random.Generator, _Size], Float], ...] = (
    _stone,
    _wood,
    _fabric,
    _tiles,
    _land,
    _studio,
)


def _scrap(random: np.random.Generator, picture: Float) -> None:
    """Blend in something that is no object: an irregular patch or a stroke."""
    height, width = picture.shape[:2]
    reach = float(np.exp(random.uniform(np.log(6), np.log(90))))
    thick = int(random.integers(1, 6))
    if random.random() < 0.5:
        count = int(random.integers(5, 10))
        angles = np.sort(random.uniform(0, 2 * np.pi, count))
        radii = reach * random.uniform(0.3, 1, count)
        points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
        thick = 0
    else:
        points = np.cumsum(random.normal(0, reach / 2, (4, 2)), axis=0)
    points += (random.uniform(0, width), random.uniform(0, height))
    corners = np.rint(points).astype(np.int32)
    left, top = np.clip(corners.min(0) - thick, 0, (width, height))
    right, bottom = np.clip(corners.max(0) + thick + 1, 0, (width, height))
    weight, colour = np.float32(random.uniform(0.3, 0.9) / 255), _colour(random)
    if left >= right or top >= bottom:
        return
    layer = np.zeros((bottom - top, right - left), np.uint8)
    corners -= (left, top)
    if thick:
        cv2.polylines(layer, [corners], False, (255,), thick, cv2.LINE_AA)
    else:
        cv2.fillPoly(layer, [corners], (255,), cv2.LINE_AA)
    part = picture[top:bottom, left:right]
    part += (weight * layer)[..., None] * (colour - part)
