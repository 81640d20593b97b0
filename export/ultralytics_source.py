"""`ultralytics:FILE.pt` and `ultralytics:NAME.yaml`: the network, ready to export, and its card."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.export.quiet import quiet
from edgekit.export.ultralytics_card import ultralytics_card
from edgekit.export.ultralytics_package import ultralytics_tasks

__all__ = ["at_size", "load_ultralytics", "ultralytics_source_card"]

# As in the ONNX files of its own exporter.
_INPUT = "images"
_BATCH = Axis("batch", min=1, typical=1, max=64)
# What a yaml is meant for; a checkpoint says what it was trained on.
_SIZE = 640
# Heads whose outputs edgekit decodes, by class; those that are derived from them differ.
_HEADS = {
    "Detect": "detect",
    "v10Detect": "detect",
    "Segment": "segment",
    "Segment26": "segment",
    "Pose": "pose",
    "Pose26": "pose",
    "Classify": "classify",
}
# The size of a model stands in its name: yolo11n.yaml is yolo11.yaml at the scale "n".
_SCALED = re.compile(r"(\d+)[nslmx](?=[-.]|$)")
# A call of one class of torch.nn's, with numbers and names in it.
_ACTIVATION = re.compile(r"(?:torch\.)?nn\.[A-Z]\w*\([\w.=, ]*\)", re.ASCII)
_PICKLE_HINT = (
    "Loading it runs whatever code the file holds. If you trust where it comes from, allow it with "
    "--trust-pickle."
)


def load_ultralytics(
    location: str,
    card: ModelCard | None = None,
    *,
    trust_code: bool = False,
    trust_pickle: bool = False,
) -> tuple[Any, ModelCard]:
    """Load a network of Ultralytics' with its head as its own exporter has it.

    Convolutions and batch norms are fused. A network with two heads (v10, 26) keeps the one that
    `card` decodes, else the one that the installed version exports by itself. The weights of a yaml
    are random, and the same every time.

    Args:
        location: FILE.pt, FILE.yaml, or the name of a yaml of the package, "yolo11n.yaml".
        card: Chooses the head by its `postprocess.decode`; None leaves it to the library.
        trust_code: Allow a yaml that holds Python (its key `activation`).
        trust_pickle: Allow a .pt, which only a full pickle can load.

    Returns:
        torch.nn.Module in eval mode, and its own card with the input `images`.

    Raises:
        BadInput: No such file or name, not trusted, or damaged.
        MissingLibrary: ultralytics is not installed.
    """
    path = Path(location)
    suffix = path.suffix.lower()
    if suffix not in (".pt", ".yaml", ".yml") or "://" in location:
        raise BadInput(
            f"ultralytics:{location} is neither a .pt nor a .yaml of Ultralytics'.",
            hint="For instance ultralytics:best.pt or ultralytics:yolo11n.yaml; its ONNX files are "
            "read as they are.",
        )
    if suffix == ".pt":
        _refuse_pickle(path, trust_pickle=trust_pickle)
        tasks = ultralytics_tasks(f"to read {location}")
        model = _from_checkpoint(tasks, path)
    else:
        tasks = ultralytics_tasks(f"to build {location}")
        model = _from_yaml(tasks, location, trust_code=trust_code)
    return _prepared(model, card, f"ultralytics:{location}")


def ultralytics_source_card(
    location: str, *, trust_code: bool = False, trust_pickle: bool = False
) -> ModelCard:
    """Return the card of a network of Ultralytics'; a plain function for a child process.

    Raises:
        BadInput: As load_ultralytics.
        MissingLibrary: As load_ultralytics.
    """
    return load_ultralytics(location, trust_code=trust_code, trust_pickle=trust_pickle)[1]


def at_size(card: ModelCard, size: tuple[int, int]) -> ModelCard:
    """Return the card of such a network at another input size, for which it is exported anew.

    Every network of Ultralytics' that edgekit loads can be exported at every size whose sides its
    stride divides; the weights stay.

    Args:
        card: As load_ultralytics gave it, whatever was put over it.
        size: (height, width), pixels.

    Raises:
        BadInput: The stride does not divide a side.
    """
    stride = int(card.provenance.get("stride", "32"))
    if any(side % stride or side < stride for side in size):
        near = [max(stride, round(side / stride) * stride) for side in size]
        raise BadInput(
            f"An input of {list(size)} (height, width) does not fit the stride {stride}.",
            hint=f"The nearest is {near}.",
        )
    assert card.preprocess is not None, "every card of Ultralytics' has it"
    inputs = {
        name: msgspec.structs.replace(tensor, shape=(*tensor.shape[:2], *size))
        for name, tensor in card.inputs.items()
    }
    preprocess = msgspec.structs.replace(card.preprocess, size=size)
    return msgspec.structs.replace(card, inputs=inputs, preprocess=preprocess)


def _refuse_pickle(path: Path, *, trust_pickle: bool) -> None:
    if not path.is_file():
        raise BadInput(
            f"{path} does not exist.",
            hint="edgekit downloads no weights; get the file from Ultralytics first.",
        )
    if not trust_pickle:
        raise BadInput(f"{path} is a pickle of whole objects, not weights only.", hint=_PICKLE_HINT)


def _from_checkpoint(tasks: Any, path: Path) -> Any:
    from torch import nn

    try:
        with quiet():
            content, _ = tasks.torch_safe_load(str(path))
    except Exception as error:
        if "yolov5" in str(error).lower() and "forwards compatible" in str(error):
            raise BadInput(
                f"{path} is a checkpoint of the repository YOLOv5, which is another library.",
                hint="Export it to ONNX there; edgekit reads that file.",
            ) from error
        raise BadInput(
            f"{path} is no checkpoint of Ultralytics', or it is damaged ({type(error).__name__}).",
            hint="Copy or download it again and compare its size.",
        ) from error
    held: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
    model = held.get("ema") or held.get("model")
    if not (isinstance(model, nn.Module) and hasattr(model, "yaml")):
        raise BadInput(
            f"{path} holds no network of Ultralytics'.",
            hint="A state dict is given by its path alone, with --arch.",
        )
    trained = content.get("train_args") or {}
    network: Any = model
    network.args = {**trained} if isinstance(trained, Mapping) else {}
    return network.float()


def _from_yaml(tasks: Any, location: str, *, trust_code: bool) -> Any:
    import torch

    path = Path(location)
    if not path.is_file():
        _refuse_unknown(tasks, location)
    classes = {
        "detect": tasks.DetectionModel,
        "segment": tasks.SegmentationModel,
        "pose": tasks.PoseModel,
        "classify": tasks.ClassificationModel,
        "obb": tasks.OBBModel,
    }
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            content = tasks.yaml_model_load(path)
            if not trust_code:
                _refuse_code(tasks, content, location)
            kind = tasks.guess_model_task(content)
            model = classes[kind](content, verbose=False)
    except BadInput:
        raise
    except KeyError as error:
        raise BadInput(
            f"edgekit builds no network of {location}: its task is unknown here.",
            hint=f"Known: {', '.join(classes)}.",
        ) from error
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadInput(
            f"{location} describes no network of Ultralytics': {reason[:200]}."
        ) from error
    model.args, model.task = {}, kind
    return model


def _refuse_code(tasks: Any, content: Mapping[str, Any], location: str) -> None:
    """Raise BadInput where a yaml holds Python, or names what is no layer of a network.

    The library evaluates `activation`, and calls whatever of its module a layer names: a function
    that loads a pickle as well. The content is judged and not the file, because the library may
    read another one: yolo11.yaml for yolo11n.yaml.
    """
    from torch import nn

    activation = content.get("activation")
    if activation and not _ACTIVATION.fullmatch(str(activation)):
        raise BadInput(
            f"The key `activation` of {location} is Python code.",
            hint="Read it, then allow it with --trust-code.",
        )
    for layer in [*content["backbone"], *content["head"]]:
        name = str(layer[2])
        # torchvision's operators are layers too, and it need not be installed.
        home = nn if name.startswith("nn.") else tasks
        kind = getattr(home, name.removeprefix("nn."), None)
        layered = isinstance(kind, type) and issubclass(kind, nn.Module)
        if not layered and not name.startswith("torchvision.ops."):
            raise BadInput(
                f"{location} names {name!r}, which is no layer of a network.",
                hint="Read it, then allow it with --trust-code.",
            )


def _refuse_unknown(tasks: Any, location: str) -> None:
    """Raise BadInput where a name is no yaml of the package: yolo11n.yaml is yolo11.yaml there."""
    folder = Path(tasks.__file__).parents[1] / "cfg" / "models"
    known = {path.name for path in folder.rglob("*.yaml")}
    if location not in known and _SCALED.sub(r"\1", location, count=1) not in known:
        raise BadInput(
            f"{location} is neither a file nor a model of ultralytics.",
            hint=closest(location, sorted(known)),
        )


def _prepared(model: Any, card: ModelCard | None, where: str) -> tuple[Any, ModelCard]:
    """Choose the head, fuse, and put the head into the state for an export."""
    head = model.model[-1]
    kind = _HEADS.get(type(head).__name__)
    if kind is None:
        task = str(getattr(model, "task", ""))
        # A detector with a head that is none of those (RT-DETR) is named by its head.
        kind = type(head).__name__ if task in _HEADS.values() or not task else task
    channels = int(model.yaml.get("channels") or model.yaml.get("ch") or 3)
    if channels != 3:
        raise BadInput(f"{where} takes {channels} channels; edgekit feeds pictures of 3.")
    if card is not None and card.postprocess is not None and kind != "classify":
        _choose(head, final=card.postprocess.decode.startswith("end2end"))
    with quiet():
        model = model.eval().fuse(verbose=False)
    for module in model.modules():
        if hasattr(module, "export"):
            module.export, module.format = True, "onnx"
        if hasattr(module, "dynamic"):
            # Else the anchors of the first run are kept, whatever the next one's batch.
            module.dynamic, module.shape = True, None
    model.requires_grad_(False)
    return model, _card(model, head, kind, where)


def _choose(head: Any, *, final: bool) -> None:
    """Keep the head that ends in final boxes, or the one that leaves duplicates."""
    if bool(getattr(head, "end2end", False)) == final:
        return
    with quiet():
        head.end2end = final
    if bool(head.end2end) != final:
        has = "only the head without duplicates" if not final else "no head without duplicates"
        raise BadInput(
            f"The card's `decode` does not fit the network: it has {has}.",
            hint="Leave `decode` out, and the network says it.",
        )


def _card(model: Any, head: Any, kind: str, where: str) -> ModelCard:
    trained = getattr(model, "args", {}).get("imgsz") or _SIZE
    sides = list(trained) if isinstance(trained, list | tuple) else [trained, trained]
    names = getattr(model, "names", None) or {}
    named = dict(enumerate(names)) if isinstance(names, list | tuple) else dict(names)
    stride = max(int(max(model.stride)), 1)
    import ultralytics

    properties = {
        "description": Path(str(model.yaml.get("yaml_file", where))).stem,
        "author": "Ultralytics",
        "version": ultralytics.__version__,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
        "task": kind,
        "imgsz": [int(side) for side in sides],
        "names": named,
        "stride": stride,
        "end2end": bool(getattr(head, "end2end", False)),
    }
    if kind == "pose":
        properties["kpt_shape"] = list(head.kpt_shape)
    card = ultralytics_card(properties, where, shapes=None)
    return msgspec.structs.replace(
        card,
        provenance={**card.provenance, "stride": str(stride)},
        inputs={
            _INPUT: TensorCard(
                shape=(_BATCH, 3, *(int(side) for side in sides)),
                layout="NCHW",
                range=(0.0, 1.0),
            )
        },
    )
