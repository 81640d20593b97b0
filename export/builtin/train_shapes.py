"""Train `edgekit:shapes` on scenes drawn as it goes, and write its weights.

Run it with `python -m edgekit.export.builtin.train_shapes`. No scene is seen twice; those that it
is scored on are drawn from other seeds.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgekit.core.files import write_bytes
from edgekit.core.requires import requires
from edgekit.export.builtin.catalogue import builtin
from edgekit.export.builtin.scenes.dataset import SEEDS
from edgekit.export.builtin.scenes.scene import SIZE, draw_scene
from edgekit.export.builtin.shapes_loss import detection_loss
from edgekit.export.builtin.shapes_network import shapes_network

__all__ = ["FIRST_SEED", "averaged", "main", "train"]

# `edgekit data shapes` draws from the seeds below this one.
FIRST_SEED = SEEDS
_PROCESSES = 2
# Scenes of a step, in each process.
_BATCH = 8
_STEPS = 7000
# The first part of the steps sees small scenes, which cost half as much.
_SMALL, _SMALL_SHARE = (224, 224), 0.35
_WARM_UP = 300
_RATE = 2e-3
_DECAY = 0.02
_AVERAGE = 0.9993
_NOTE_EVERY = 100


def train(rank: int, processes: int, steps: int, checkpoint: Path) -> None:
    """Train from scratch, or go on from a checkpoint; one of several equal processes.

    Each runs on one thread with its own scenes, and the gradients are averaged: on a few cores
    that is faster than many threads in one process.

    Args:
        rank: Which of the processes this is.
        processes: How many there are.
        steps: To be done in all.
        checkpoint: Read where it exists; the first process writes it.
    """
    import torch
    from torch import distributed
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    # The processes meet at a file beside the checkpoint.
    meeting = f"file://{checkpoint.resolve()}.meeting"
    distributed.init_process_group("gloo", meeting, rank=rank, world_size=processes)
    torch.manual_seed(0)
    network = shapes_network().to(memory_format=torch.channels_last)
    _begin(network)
    decayed = [one for one in network.parameters() if one.ndim > 1]
    others = [one for one in network.parameters() if one.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": _DECAY}, {"params": others, "weight_decay": 0.0}],
        lr=_RATE,
    )
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(_AVERAGE), use_buffers=True)
    parts = {"network": network, "average": average, "optimizer": optimizer}
    start = _resume(checkpoint, parts)
    network.train()
    began, total = time.monotonic(), 0.0
    for step in range(start + 1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * _rate(step, steps)
        size = _SMALL if step < _SMALL_SHARE * steps else SIZE
        first = FIRST_SEED + (step * processes + rank) * _BATCH
        images, boxes, classes = _batch(range(first, first + _BATCH), size)
        loss = detection_loss(network(images), boxes, classes)
        optimizer.zero_grad()
        loss.backward()
        _share_gradients(network, processes)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        if step >= _WARM_UP:
            average.update_parameters(network)
        total += loss.item()
        if rank == 0 and step % _NOTE_EVERY == 0:
            pace = (time.monotonic() - began) / (step - start)
            sys.stdout.write(f"{step}/{steps} loss {total / _NOTE_EVERY:.3f} {pace:.2f} s a step\n")
            sys.stdout.flush()
            total = 0.0
        if rank == 0 and (step % 250 == 0 or step == steps):
            content = {name: part.state_dict() for name, part in parts.items()}
            torch.save({"step": step, **content}, f"{checkpoint}.new")
            Path(f"{checkpoint}.new").replace(checkpoint)
    distributed.barrier()
    distributed.destroy_process_group()


def _resume(checkpoint: Path, parts: dict[str, Any]) -> int:
    """Load a checkpoint, if there is one, and return its step."""
    import torch

    if not checkpoint.is_file():
        return 0
    kept = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return int(kept["step"])


def _batch(seeds: range, size: tuple[int, int]) -> tuple[Any, Any, Any]:
    """Draw scenes: images (N, 3, H, W) float32 RGB 0 to 1; boxes and classes as the loss wants."""
    import torch

    scenes = [draw_scene(seed, size) for seed in seeds]
    most = max(1, *(len(scene.boxes) for scene in scenes))
    boxes = np.zeros((len(scenes), most, 4), np.float32)
    classes = np.full((len(scenes), most), -1, np.int64)
    for row, scene in enumerate(scenes):
        boxes[row, : len(scene.boxes)] = scene.boxes
        classes[row, : len(scene.classes)] = scene.classes
    pixels = np.stack([scene.image[..., ::-1] for scene in scenes])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
    return (
        images.contiguous(memory_format=torch.channels_last),
        torch.from_numpy(boxes),
        torch.from_numpy(classes),
    )


def _share_gradients(network: Any, processes: int) -> None:
    """Put the mean over all processes in the place of each gradient."""
    import torch
    from torch import distributed

    gradients = [one.grad for one in network.parameters()]
    flat = torch.cat([one.flatten() for one in gradients])
    distributed.all_reduce(flat)
    flat /= processes
    for gradient, part in zip(
        gradients, flat.split([one.numel() for one in gradients]), strict=True
    ):
        gradient.copy_(part.view_as(gradient))


def _begin(network: Any) -> None:
    """Start with boxes of two strides around the anchor and scores of about 1 %."""
    import torch

    with torch.no_grad():
        for head in network.heads:
            head.scores[-1].bias.fill_(-math.log(99))
            head.edges[-1].bias.fill_(2.0)


def _rate(step: int, steps: int) -> float:
    """Learning rate relative to its top: a linear start, then half a cosine down to 1 %."""
    if step < _WARM_UP:
        return (step + 1) / _WARM_UP
    done = (step - _WARM_UP) / max(1, steps - _WARM_UP)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(done, 1.0))) / 2


def main() -> int:
    """Train and write shapes.safetensors."""
    with requires("safetensors", extra="export", why="to write the weights"):
        from safetensors.torch import save
    from torch.multiprocessing.spawn import spawn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=_STEPS)
    parser.add_argument("--processes", type=int, default=_PROCESSES)
    parser.add_argument("--checkpoint", type=Path, default=Path("shapes.checkpoint"))
    options = parser.parse_args()
    Path(f"{options.checkpoint}.meeting").unlink(missing_ok=True)
    spawn(
        train,
        (options.processes, options.steps, options.checkpoint),
        nprocs=options.processes,
    )
    write_bytes(builtin("shapes").weights, save(averaged(options.checkpoint)))
    return 0


def averaged(checkpoint: Path) -> dict[str, Any]:
    """Return the averaged network's weights, name to tensor, of a checkpoint."""
    import torch

    kept = torch.load(checkpoint, weights_only=True)["average"]
    return {
        name.removeprefix("module."): value.contiguous()
        for name, value in kept.items()
        if name.startswith("module.")
    }


if __name__ == "__main__":
    raise SystemExit(main())
