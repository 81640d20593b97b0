"""Train LeNet-5 on scikit-learn's digits and write what ships: weights and unseen digits.

Run it with `python -m edgekit.export.builtin.train_digits`. The same versions of torch and
scikit-learn on the same kind of CPU write the same files.
"""

from __future__ import annotations

import io
import sys
import zipfile
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.core.files import write_bytes
from edgekit.core.requires import requires
from edgekit.export.builtin.catalogue import builtin, builtin_card
from edgekit.export.builtin.digits import ARCHIVE
from edgekit.export.builtin.lenet5 import lenet5

__all__ = ["SPLIT", "load_digits", "main", "network_input", "train"]

# Digits by role, of 1,797 in all; the rest trains. Each role draws its digits by one seeded order.
SPLIT = {"calib": 100, "eval": 500}
_SEED = 1998
_EPOCHS = 30
_BATCH = 64

Bytes = npt.NDArray[np.uint8]


def load_digits() -> dict[str, tuple[Bytes, Bytes]]:
    """Return images (N, 8, 8) and labels (N,), uint8, by role: train, calib, eval; disjoint."""
    with requires("scikit-learn", extra="dev", why="to train on its digits"):
        from sklearn.datasets import load_digits as original
    pixels, targets = original(return_X_y=True)
    # 17 grey levels, 0 to 16.
    images = np.rint(np.asarray(pixels).reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = np.asarray(targets).astype(np.uint8)
    order = np.random.default_rng(_SEED).permutation(len(images))
    parts, start = {}, 0
    for role, count in SPLIT.items():
        parts[role] = order[start : start + count]
        start += count
    parts["train"] = order[start:]
    return {role: (images[index], labels[index]) for role, index in parts.items()}


def network_input(images: Bytes) -> npt.NDArray[np.float32]:
    """Lay (N, 8, 8) uint8 digits into (N, 1, 32, 32) float32, as the card's preprocessing does."""
    card = builtin_card("digits").preprocess
    assert card is not None
    height, width = card.size
    large = [cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR) for image in images]
    scaled = np.stack(large)[:, None].astype(np.float32) * np.float32(card.scale)
    result: npt.NDArray[np.float32] = (scaled - np.float32(card.mean[0])) / np.float32(card.std[0])
    return result


def train(images: Bytes, labels: Bytes) -> Any:
    """Train LeNet-5 for some seconds on one thread; the same input gives the same weights.

    Each epoch sees every digit turned, scaled and moved a little.

    Args:
        images: (N, 8, 8) uint8.
        labels: (N,) uint8.

    Returns:
        The trained torch.nn.Module, in eval mode.
    """
    import torch
    from torch import nn

    torch.manual_seed(_SEED)
    torch.set_num_threads(1)
    random = np.random.default_rng(_SEED)
    network = lenet5()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = _EPOCHS * (len(images) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.02)
    clean = network_input(images)
    targets = torch.from_numpy(labels.astype(np.int64))
    for _ in range(_EPOCHS):
        moved = torch.from_numpy(_moved(clean, random))
        order = random.permutation(len(images))
        for start in range(0, len(order) - _BATCH + 1, _BATCH):
            index = torch.from_numpy(order[start : start + _BATCH])
            loss = loss_of(network(moved[index]), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _moved(images: npt.NDArray[np.float32], random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Turn, scale and shift every image at random; what comes in from outside is background."""
    result = np.empty_like(images)
    size = images.shape[-1]
    for index, image in enumerate(images):
        angle, scale = random.uniform(-12, 12), random.uniform(0.9, 1.1)
        matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, scale)
        matrix[0, 2] += random.uniform(-2, 2)
        matrix[1, 2] += random.uniform(-2, 2)
        result[index, 0] = cv2.warpAffine(
            image[0], matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=-1.0
        )
    return result


def main() -> int:
    """Train, write digits.safetensors and digits.npz, and print the score on the unseen part."""
    with requires("safetensors", extra="export", why="to write the weights"):
        from safetensors.torch import save
    import torch

    parts = load_digits()
    network = train(*parts["train"])
    images, labels = parts["eval"]
    with torch.inference_mode():
        answers = network(torch.from_numpy(network_input(images))).argmax(1).numpy()
    entry = builtin("digits")
    write_bytes(entry.weights, save(network.state_dict()))
    write_bytes(ARCHIVE, _archive(parts))
    sys.stdout.write(f"top-1 on {len(labels)} unseen digits: {(answers == labels).mean():.4f}\n")
    return 0


def _archive(parts: dict[str, tuple[Bytes, Bytes]]) -> bytes:
    """Pack the digits that ship as .npz, with a fixed date so that equal content is equal bytes."""
    arrays = {
        "images": np.concatenate([parts[role][0] for role in SPLIT]),
        "labels": np.concatenate([parts[role][1] for role in SPLIT]),
        "roles": np.repeat(list(SPLIT), [len(parts[role][1]) for role in SPLIT]),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED
            )
    return packed.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
