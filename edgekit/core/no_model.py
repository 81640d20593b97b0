"""What a text is that names no model of the kind a command takes, and the command that makes one.

Files of other frameworks, checkpoints and sources where a graph is taken, names of models of other
libraries, misspelt paths: every command refuses them with the sentence from here, before any work.
Nothing is imported for it and no file is unpickled.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from pathlib import Path
from typing import Literal

from edgekit.core.errors import BadInput
from edgekit.core.opening import no_file, open_file

__all__ = ["UNLOADED", "Takes", "builtin_names", "no_model", "refuse_no_model", "unloaded"]

# "source": export, deploy and demo. "graph": what takes an ONNX file or a bundle. "bundle": verify
# and pack.
Takes = Literal["source", "graph", "bundle"]

_BUILTIN = Path(__file__).parents[1] / "export" / "builtin"
_MANIFEST, _ENGINES = "manifest.json", "engines.json"

# Endings of trained models that edgekit exports. A graph is made of one with `edgekit export`.
_TRAINED = {
    ".pt2": "is a torch.export program",
    ".pth": "holds weights of PyTorch",
    ".pt": "holds weights of PyTorch",
    ".safetensors": "holds weights alone",
}
_FROM_ORIGIN = "Export the model that it was made from: docs/source.md names the forms."
_TF2ONNX = "Convert it: pip install tf2onnx; python -m tf2onnx.convert"
# Endings of other formats: what such a file is, and the way to ONNX.
_FOREIGN = {
    ".h5": ("a model of Keras", f"{_TF2ONNX} --keras {{path}} --output {{onnx}}"),
    ".keras": ("a model of Keras", f"{_TF2ONNX} --keras {{path}} --output {{onnx}}"),
    ".tflite": (
        "a model of TensorFlow Lite",
        f"{_TF2ONNX} --tflite {{path}} --output {{onnx}}",
    ),
    ".pb": (
        "a graph of TensorFlow",
        f"{_TF2ONNX} --graphdef {{path}} --output {{onnx}}, with --inputs and --outputs.",
    ),
    ".mlmodel": ("a model of Core ML", _FROM_ORIGIN),
    ".mlpackage": ("a model of Core ML", _FROM_ORIGIN),
    ".engine": (
        "an engine of another program, which is not run as it lies",
        "Make a folder of it: edgekit compile {path} --target tensorrt --trust-engine -o {stem}",
    ),
    ".xml": ("a model of OpenVINO", _FROM_ORIGIN),
    ".bin": ("a file of weights", _FROM_ORIGIN),
    ".param": ("a model of ncnn", _FROM_ORIGIN),
    ".mnn": ("a model of MNN", _FROM_ORIGIN),
    ".pdmodel": ("a model of PaddlePaddle", "Convert it with paddle2onnx."),
    ".caffemodel": ("a model of Caffe", _FROM_ORIGIN),
    ".torchscript": ("a TorchScript program", _FROM_ORIGIN),
    ".ptl": ("a TorchScript program", _FROM_ORIGIN),
    ".ckpt": (
        "a checkpoint of a training",
        "Save the network's state_dict alone as a .pth file and give that with --arch.",
    ),
    ".gguf": ("a language model of llama.cpp", _FROM_ORIGIN),
    ".ort": ("a graph in ONNX Runtime's own format", "Give the .onnx file it was made from."),
}
_FOREIGN[".plan"] = _FOREIGN[".trt"] = _FOREIGN[".engine"]

# Schemes of libraries that edgekit does not load yet, and where a name alone is enough the Python
# expression that makes the network.
UNLOADED = {
    "torchvision": "torchvision.models.{name}(weights='DEFAULT')",
    "timm": "timm.create_model('{name}', pretrained=True)",
    "transformers": "",
    "diffusers": "",
}
# Checkpoints that Ultralytics publishes, and those of them whose network its package describes.
_YOLO = re.compile(r"(?:yolo|rtdetr|sam|fastsam)[\w.-]*\.pt", re.IGNORECASE)
_YOLO_YAML = re.compile(r"(?:yolov8|yolo11|yolo12)[nslmx](?:-seg|-pose|-cls)?|yolov10[nsmblx]")
# Classifiers of torchvision that people ask for by their bare name.
_TORCHVISION = re.compile(
    r"alexnet|googlenet|inception_v3|resnet(?:18|34|50|101|152)|wide_resnet(?:50|101)_2"
    r"|resnext50_32x4d|vgg(?:11|13|16|19)(?:_bn)?|densenet(?:121|161|169|201)|squeezenet1_[01]"
    r"|mobilenet_v2|mobilenet_v3_(?:small|large)|shufflenet_v2_x[01]_[05]|mnasnet[01]_[05]"
    r"|efficientnet_b[0-7]|efficientnet_v2_[sml]|regnet_[xy]_\d+(?:gf|mf)"
    r"|convnext_(?:tiny|small|base|large)|swin_[tsb]|vit_[bl]_(?:16|32)|maxvit_t"
)
# What is safe to print into a command.
_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
# How much of an old checkpoint, which is one pickle, is searched for its library's name.
_HEAD_BYTES = 1 << 16


def builtin_names() -> list[str]:
    """Names of the built-in models; each has its card beside its weights."""
    return sorted(path.stem for path in _BUILTIN.glob("*.yaml"))


def refuse_no_model(text: str, takes: Takes) -> None:
    """Refuse what is certainly no model of the kind that is taken.

    Args:
        text: As typed.
        takes: What the command takes.

    Raises:
        BadInput: Says what it is, and the command that goes on from there.
    """
    path = Path(text)
    scheme, colon, name = text.partition(":")
    if os.path.exists(path):  # noqa: PTH110 - Path's raises for a long name
        _refuse_existing(text, path, takes)
    elif colon and scheme in UNLOADED and name:
        raise unloaded(scheme, name)
    elif takes != "source" and colon and scheme in ("edgekit", "ultralytics") and name:
        raise BadInput(
            f"{text} is a trained model, and this takes {_TAKEN[takes]}.",
            hint=_made(text, Path(Path(name).name), takes),
        )


def no_model(text: str, takes: Takes) -> BadInput:
    """Return why a text that names nothing is no model, with the nearest thing or the way to it.

    Args:
        text: As typed; no file and no folder has this path.
        takes: What the command takes.
    """
    path = Path(text)
    missing = f"{text} does not exist."
    place, at, _ = text.rpartition("@")
    if place and at and Path(place).exists():
        return _no_variant(text, place, takes)
    if _YOLO.fullmatch(path.name):
        return _undownloaded(path, takes)
    near = _nearest(path)
    if near:
        return BadInput(missing, hint=f"Did you mean {near!r}?")
    if _NAME.fullmatch(text):
        if text in builtin_names():
            return BadInput(missing, hint=_builtin_hint(text, takes))
        if _TORCHVISION.fullmatch(text):
            return unloaded(
                "torchvision", text, f"{text} is no file, and edgekit downloads no models"
            )
    return BadInput(missing, hint=_GIVE[takes])


_TAKEN: dict[Takes, str] = {
    "source": "a trained model",
    "graph": "its ONNX graph or a bundle",
    "bundle": "a bundle",
}
_GIVE: dict[Takes, str] = {
    "source": "Give a .onnx, .pt2, .pth or .safetensors file, or a built-in model such as "
    "edgekit:digits.",
    "graph": "Give an ONNX file, a bundle, or BUNDLE@VARIANT; of a trained model, edgekit export "
    "makes one.",
    "bundle": "A bundle is made by: edgekit deploy",
}


def _no_variant(text: str, place: str, takes: Takes) -> BadInput:
    """Why a whole name with an @ is none: what stands before it exists."""
    path = Path(place)
    if not (path / _MANIFEST).is_file():
        return BadInput(
            f"{text} does not exist, and {place} is no bundle with variants.",
            hint=f"Give {place}.",
        )
    if takes == "source":
        return _bundle_already(place)
    return BadInput(
        f"{text} names a variant, and this takes a whole bundle.", hint=f"Give {place}."
    )


def _bundle_already(text: str) -> BadInput:
    recipe = Path(text, "recipe.yaml")
    again = f"edgekit deploy --config {shlex.quote(str(recipe))} -o again.bundle"
    return BadInput(
        f"{text} is a bundle already, and this takes a model.",
        hint=f"Deploy its source again: {again}" if recipe.is_file() else "Give its source.",
    )


def _refuse_existing(text: str, path: Path, takes: Takes) -> None:
    suffix = path.suffix.lower()
    if path.is_dir() and suffix not in _FOREIGN:
        _refuse_folder(text, path, takes)
        return
    if not path.is_dir() and (fault := no_file(path)):
        raise BadInput(f"{text} {fault}.", hint="Write it to a file, and give that.")
    if path.is_file() and not path.stat().st_size:
        raise BadInput(f"{text} is an empty file.", hint="Copy or make it again.")
    if suffix in _FOREIGN:
        what, hint = _FOREIGN[suffix]
        raise BadInput(
            f"{text} is {what}.",
            hint=hint.format(
                path=shlex.quote(text),
                onnx=shlex.quote(str(path.with_suffix(".onnx"))),
                stem=shlex.quote(str(path.with_suffix(""))),
            ),
        )
    if suffix in (".pt", ".pth") and _is_ultralytics(path):
        raise BadInput(
            f"{text} is a checkpoint of Ultralytics', a pickle of its classes.",
            hint=_made(f"ultralytics:{text}", path, takes),
        )
    if takes != "source" and suffix in _TRAINED:
        raise BadInput(
            f"{text} {_TRAINED[suffix]}, and this takes {_TAKEN[takes]}.",
            hint=_made(text, path, takes),
        )
    if takes == "bundle":
        hint = "A bundle is made by: edgekit deploy"
        if suffix == ".onnx":
            bundle = path.with_suffix(".bundle")
            hint += f" {shlex.quote(text)} -o {shlex.quote(str(bundle))}"
        raise BadInput(f"{text} is a file and not a bundle.", hint=hint)


def _refuse_folder(text: str, path: Path, takes: Takes) -> None:
    if (path / _MANIFEST).is_file():
        if takes == "source":
            raise _bundle_already(text)
        return
    if (path / "saved_model.pb").is_file():
        onnx = shlex.quote(f"{path.name or 'model'}.onnx")
        raise BadInput(
            f"{text} is a SavedModel of TensorFlow.",
            hint=f"{_TF2ONNX} --saved-model {shlex.quote(text)} --output {onnx}",
        )
    if (path / _ENGINES).is_file() and takes == "source":
        raise BadInput(
            f"{text} holds compiled engines, and this takes a model.",
            hint="Give the model that they were compiled from.",
        )
    if takes == "bundle" or not _is_model_folder(path):
        what = (
            f"is not a bundle: it holds no {_MANIFEST}"
            if takes == "bundle"
            else "is neither a bundle nor a folder with .onnx files"
        )
        inside = next((one for one in _inside(path) if _is_model(one)), None)
        raise BadInput(
            f"{text} {what}.",
            hint=f"Did you mean {str(inside)!r}?" if inside is not None else _GIVE[takes],
        )


def _is_model_folder(path: Path) -> bool:
    """Whether a folder may hold graphs, exported programs or engines."""
    if any((path / name).is_file() for name in (_MANIFEST, _ENGINES, "compiled.json")):
        return True
    return any(file.suffix.lower() in (".onnx", ".pt2") for file in _inside(path))


def _inside(path: Path) -> list[Path]:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _is_model(path: Path) -> bool:
    """Whether a path is worth naming as what was meant."""
    if path.is_dir():
        return any((path / name).is_file() for name in (_MANIFEST, _ENGINES))
    return path.suffix.lower() in (".onnx", *_TRAINED)


def _nearest(path: Path) -> str:
    """The model beside a path that does not exist whose name is closest; empty for none."""
    name, at, variant = path.name.partition("@")
    beside = [one.name for one in _inside(path.parent) if _is_model(one)]
    found = difflib.get_close_matches(name, beside, n=1, cutoff=0.75)
    return str(path.with_name(f"{found[0]}{at}{variant}")) if found else ""


def _is_ultralytics(path: Path) -> bool:
    """Whether a checkpoint's pickle names classes of Ultralytics'; it is not loaded.

    torch.save writes the pickle first and as it is, so that no archive need be read.
    """
    try:
        with open_file(path) as opened:
            return b"ultralytics." in opened.read(_HEAD_BYTES)
    except OSError:
        return False


def _made(source: str, path: Path, takes: Takes) -> str:
    """The command that makes of a source what is taken, or what of it lies beside it already."""
    verb, suffix = ("deploy", ".bundle") if takes == "bundle" else ("export", ".onnx")
    made = path.with_suffix(suffix)
    if made.exists():
        return f"Give {made}, which lies beside it."
    command = f"edgekit {verb} {shlex.quote(source)}"
    if source.startswith("ultralytics:") and path.suffix.lower() not in (".yaml", ".yml"):
        command += " --trust-pickle"
        trust = "If you trust where it comes from, as a pickle runs code: "
    else:
        trust = f"{verb.capitalize()} it: "
    arch = path.suffix.lower() in (".pth", ".pt", ".safetensors") and ":" not in source
    return f"{trust}{command}{' --arch MODULE:FACTORY' if arch else ''} -o {shlex.quote(str(made))}"


def _builtin_hint(name: str, takes: Takes) -> str:
    if takes == "source":
        return f"Did you mean 'edgekit:{name}'?"
    return _made(f"edgekit:{name}", Path(name), takes)


def _undownloaded(path: Path, takes: Takes) -> BadInput:
    onnx, name = path.with_suffix(".onnx"), shlex.quote(str(path))
    if onnx.is_file():
        return BadInput(f"{path} does not exist.", hint=f"Did you mean {str(onnx)!r}?")
    hint = (
        f"Ultralytics' own program fetches and exports it: yolo export model={name} format=onnx; "
        f"then {f'edgekit deploy {onnx}' if takes == 'bundle' else f'give {onnx}'}."
    )
    if _YOLO_YAML.fullmatch(path.stem):
        hint += (
            " The same network with random weights, for its speed alone: edgekit export "
            f"ultralytics:{path.stem}.yaml -o {shlex.quote(str(onnx))}"
        )
    return BadInput(f"{path} does not exist, and edgekit downloads no weights.", hint=hint)


def unloaded(library: str, name: str, why: str = "") -> BadInput:
    """Return why a model of a library is not loaded by its name, and the command that saves it.

    Args:
        library: Of UNLOADED.
        name: As the library calls the model.
        why: Instead of the sentence that the library is not supported yet.
    """
    why = why or f"{library}:{name}: models from {library} are not supported yet"
    if not UNLOADED[library] or not _NAME.fullmatch(name):
        return BadInput(
            f"{why}.",
            hint="Save the model with torch.export.save(torch.export.export(model, inputs), "
            "'model.pt2'), or its state_dict, and give that file; see docs/source.md.",
        )
    network = UNLOADED[library].format(name=name)
    code = (
        f"import torch, {library}; m = {network}.eval(); torch.export.save(torch.export.export("
        f"m, (torch.rand(1, 3, 224, 224),)), '{name}.pt2')"
    )
    return BadInput(
        f"{why}.", hint=f'Save it: python -c "{code}" && edgekit export {name}.pt2 -o {name}.onnx'
    )
