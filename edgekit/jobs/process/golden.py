"""Golden inputs and reference outputs: how a bundle proves itself without a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgekit.core.arrays import read_npz
from edgekit.core.errors import BadInput
from edgekit.core.files import atomic_path
from edgekit.core.runtime import Feeds
from edgekit.jobs.process.sequences import Outputs
from edgekit.tasks.task import Image

__all__ = ["generated_pictures", "read_golden", "write_golden"]

_FRESH = "Take a fresh copy of the bundle."


def generated_pictures(count: int, seed: int) -> list[Image]:
    """Draw pictures with the texture, edges and flat areas that a network expects to see.

    Returns:
        `count` arrays (480, 640, 3) uint8, BGR; the same for the same seed.
    """
    random = np.random.default_rng(seed)
    pictures: list[Image] = []
    for _ in range(count):
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
        for _ in range(8):
            colour = [int(value) for value in random.integers(0, 256, 3)]
            centre = (int(random.integers(0, 640)), int(random.integers(0, 480)))
            axes = (int(random.integers(10, 120)), int(random.integers(10, 120)))
            if random.random() < 0.5:
                angle = float(random.integers(0, 180))
                cv2.ellipse(picture, centre, axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
            else:
                corner = (centre[0] + axes[0], centre[1] + axes[1])
                cv2.rectangle(picture, centre, corner, colour, -1)
        noise = random.normal(0, 6, picture.shape)
        pictures.append(np.clip(picture + noise, 0, 255).astype(np.uint8))
    return pictures


def write_golden(path: Path, feeds: Sequence[Feeds], outputs: Sequence[list[Outputs]]) -> None:
    """Write inputs and reference outputs of one graph as an .npz.

    Keys are "CASE/in/NAME" and "CASE/out/STEP/NAME".
    """
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {}
    for case, (one, steps) in enumerate(zip(feeds, outputs, strict=True)):
        arrays.update({f"{case}/in/{name}": array for name, array in one.items()})
        for step, answer in enumerate(steps):
            arrays.update({f"{case}/out/{step}/{name}": array for name, array in answer.items()})
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_golden(
    path: Path, content: bytes | None = None
) -> tuple[list[dict[str, np.ndarray]], list[list[Outputs]]]:
    """Read what write_golden wrote.

    Args:
        path: The file.
        content: What it held when it was compared with its checksum; None reads it.

    Raises:
        BadInput: The file is damaged.
    """
    feeds: dict[int, dict[str, np.ndarray]] = {}
    outputs: dict[int, dict[int, Outputs]] = {}
    try:
        for key, array in read_npz(path, content=content).items():
            case, kind, rest = key.split("/", 2)
            if kind == "in":
                feeds.setdefault(int(case), {})[rest] = array
            else:
                step, name = rest.split("/", 1)
                outputs.setdefault(int(case), {}).setdefault(int(step), {})[name] = array
        cases = sorted(feeds)
        return (
            [feeds[case] for case in cases],
            [[outputs[case][step] for step in sorted(outputs[case])] for case in cases],
        )
    except BadInput as error:
        raise BadInput(error.message, hint=_FRESH) from error
    except (ValueError, KeyError) as error:
        raise BadInput(f"{path} holds no golden outputs.", hint=_FRESH) from error
