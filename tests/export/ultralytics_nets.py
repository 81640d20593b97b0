"""Networks of Ultralytics' with random weights that detect something, as checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import MissingLibrary
from edgekit.export.quiet import quiet
from edgekit.export.ultralytics_package import ultralytics_tasks

# (height, width) of the inputs: the strides divide it, and it is no square.
SIZE = (96, 160)
# Mean and deviation of the classes' logits.
_SCORES = (-5.0, 1.5)


def tasks():
    """Return the library's module, or skip the test."""
    try:
        return ultralytics_tasks("to test")
    except MissingLibrary as error:
        pytest.skip(str(error))


def pictures():
    """Return (4, 3, H, W) float32 in [0, 1]: noise, coarse and fine."""
    import torch

    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(4, 3, SIZE[0] // 8, SIZE[1] // 8, generator=generator)
    fine = torch.rand(4, 3, *SIZE, generator=generator)
    return (torch.nn.functional.interpolate(coarse, size=SIZE, mode="bilinear") + fine) / 2


def checkpoint(path: Path, name: str, *, seen=None, **more) -> Path:
    """Write what training would leave: a network whose scores differ from place to place.

    As it is initialised, features fade from layer to layer and all scores are 1e-5. Its batch norms
    learn their statistics from `pictures` (or from what is to be `seen`), and its classes' last
    layers are scaled; on any other picture it sees things everywhere.
    """
    import torch

    module = tasks()
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(1)
        content = module.yaml_model_load(name)
        if seen is not None:
            # It suppresses within a class by moving boxes by 7680 pixels a class, in float32: with
            # few classes overlaps stay exact.
            content["nc"] = 4
        kinds = {
            "detect": module.DetectionModel,
            "segment": module.SegmentationModel,
            "pose": module.PoseModel,
            "obb": module.OBBModel,
        }
        model = kinds[module.guess_model_task(content)](content, verbose=False)
    model.task, model.args = module.guess_model_task(content), {}
    head, outputs = model.model[-1], {}
    layers = [one[-1] for key in ("cv3", "one2one_cv3") for one in getattr(head, key, None) or ()]
    hooks = [
        layer.register_forward_hook(lambda module, _, output: outputs.update({module: output}))
        for layer in layers
    ]
    some = pictures() if seen is None else seen
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 1.0  # the last batch alone
        model.train()(some)
        model.eval()(some)
        for hook in hooks:
            hook.remove()
        for layer, logits in outputs.items():
            plain = logits - layer.bias[:, None, None]
            gain = _SCORES[1] / plain.std(dim=(0, 2, 3)).mean()
            if seen is not None:
                # Each class by itself, so that its best score is 0.95 and none is 1 all over.
                gain = 8 / (plain.amax(dim=(0, 2, 3)) - plain.mean(dim=(0, 2, 3)))
            layer.weight *= gain.reshape(-1, 1, 1, 1)
            layer.bias.copy_(_SCORES[0] - gain * plain.mean(dim=(0, 2, 3)))
    for branches in (getattr(head, key, None) for key in ("cv2", "one2one_cv2")):
        # Without a distribution over distances (26) one may be negative, and so a box's size.
        for branch in (branches or ()) if head.reg_max == 1 else ():
            branch[-1].weight.data *= 0.05
            branch[-1].bias.data[:] = 2.0
    model.names = {index: f"thing {index}" for index in range(head.nc)}
    # As the library saves them: half precision, and what it was trained with.
    arguments = {"imgsz": list(SIZE), "task": model.task}
    torch.save({"model": model.half(), "ema": None, "train_args": arguments, **more}, path)
    return path
