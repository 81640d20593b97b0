"""Whether an installed torchvision goes with the installed torch, from their files alone.

A torchvision that does not import breaks transformers, diffusers and timm too. Neither package is
imported: their metadata pin each other, and each has a version.py that names its build.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgekit.runtimes.cuda_libraries import site_folders
from edgekit.runtimes.system_files import read_text

__all__ = ["torch_pair_problem"]

_TAG = re.compile(r"cpu|cu\d+|rocm[\d.]+|xpu")


def torch_pair_problem(sites: Sequence[Path] | None = None) -> Iterator[str]:
    """Yield the one sentence on a torchvision that cannot be imported, or nothing.

    Args:
        sites: Folders that Python imports from; None means this Python's.
    """
    folders = [str(one) for one in (site_folders() if sites is None else sites)]
    torch, vision = _distribution("torch", folders), _distribution("torchvision", folders)
    if vision is None:
        return
    if torch is None:
        yield (
            f"torchvision {vision.version} is installed without torch. "
            "Run: pip uninstall -y torchvision"
        )
        return
    named = f"torchvision {vision.version} and torch {torch.version}"
    mend = f"Run: {_reinstall(torch, folders)}"
    pinned = _pinned(vision)
    builds = _build(torch, "torch", folders), _build(vision, "torchvision", folders)
    if not any(Path(folder, "torchvision", "__init__.py").is_file() for folder in folders):
        yield f"torchvision {vision.version} is installed without its files. {mend}"
    elif pinned and pinned != _public(torch.version):
        yield f"{named} do not go together: it is made for torch {pinned}. {mend}"
    elif all(builds) and builds[0] != builds[1]:
        yield (
            f"{named} are different builds ({builds[1]} and {builds[0]}), so that torchvision's "
            f"operators are missing. {mend}"
        )


def _distribution(name: str, folders: list[str]) -> importlib.metadata.Distribution | None:
    return next(iter(importlib.metadata.distributions(name=name, path=folders)), None)


def _public(version: str) -> str:
    return version.partition("+")[0]


def _pinned(vision: importlib.metadata.Distribution) -> str:
    """The release of torch that a torchvision asks for, "2.13.0"; empty where it names none."""
    for line in vision.requires or ():
        found = re.match(r"torch\s*\(?==\s*([\w.]+)", line)
        if found:
            return found.group(1)
    return ""


def _build(distribution: importlib.metadata.Distribution, name: str, folders: list[str]) -> str:
    """Return "cpu" or "cu130"; empty where nothing tells.

    The package index leaves the build out of the metadata, version.py does not.
    """
    text = next(
        (said for folder in folders if (said := read_text(Path(folder, name, "version.py")))), ""
    )
    version = re.search(r"^__version__[^=]*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    for one in (version.group(1) if version else "", distribution.version):
        tag = one.partition("+")[2]
        # NVIDIA's own builds for Jetson have a commit there, which tells nothing.
        if _TAG.fullmatch(tag):
            return tag
    cuda = re.search(r"^cuda\b[^=]*=\s*(?:None|['\"](\d+)\.(\d+))", text, re.MULTILINE)
    if cuda is None:
        return ""
    return f"cu{cuda.group(1)}{cuda.group(2)}" if cuda.group(1) else "cpu"


def _reinstall(torch: importlib.metadata.Distribution, folders: list[str]) -> str:
    build = _build(torch, "torch", folders)
    index = f" --index-url https://download.pytorch.org/whl/{build}" if build else ""
    # Pinned by torchvision's own requirement, pip takes the release that goes with this torch.
    return f"pip install --force-reinstall torch=={_public(torch.version)} torchvision{index}"
