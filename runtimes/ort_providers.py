"""The execution providers of ONNX Runtime by name, and what brings each: plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.core.names import closest

__all__ = ["FLAVOURS", "PROVIDERS", "Provider", "missing", "offered_as", "provider", "short_name"]

_SUFFIX = "ExecutionProvider"
_PAGES = "https://onnxruntime.ai/docs/execution-providers/"

# Distributions that install the one package "onnxruntime", each with other providers built in.
# Their names come from the package index and the pages below. onnxruntime-qnn was one before its
# version 2, which is a plugin.
FLAVOURS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-rocm",
    "onnxruntime-cann",
    "onnxruntime-vitisai",
)


@dataclass(frozen=True)
class Provider:
    """One execution provider.

    Attributes:
        name: ONNX Runtime's own, without "ExecutionProvider".
        page: Where its options and requirements are documented.
        flavour: The distribution to install in place of onnxruntime; empty where there is none.
        plugin: The distribution to install beside onnxruntime; empty where there is none.
        module: The plugin's Python module, which tells where its library lies.
        where: Where it comes from, in words, if neither of the two brings it.
        aliases: Other names that people write.
        listed: Whether `doctor` looks at it where the installed onnxruntime has it.
    """

    name: str
    page: str
    flavour: str = ""
    plugin: str = ""
    module: str = ""
    where: str = ""
    aliases: tuple[str, ...] = ()
    listed: bool = True

    @property
    def full_name(self) -> str:
        """As ONNX Runtime writes it, "QNNExecutionProvider"."""
        return self.name + _SUFFIX

    @property
    def remedy(self) -> str:
        """How to get it, and where it is documented."""
        if self.plugin:
            how = f"pip install {self.plugin}"
        elif self.flavour:
            how = f"pip uninstall -y onnxruntime && pip install {self.flavour}"
        else:
            how = self.where or "Build ONNX Runtime with it."
        return f"{how} ({self.page})"


def _page(word: str) -> str:
    return f"{_PAGES}{word}-ExecutionProvider.html"


PROVIDERS = (
    Provider("CPU", page=_PAGES, flavour="onnxruntime", listed=False),
    # Has a target of its own, onnxruntime:cuda.
    Provider("CUDA", page=_page("CUDA"), flavour="onnxruntime-gpu", listed=False),
    Provider("Tensorrt", page=_page("TensorRT"), flavour="onnxruntime-gpu"),
    Provider(
        "NvTensorRTRTX",
        page="https://nvidia.github.io/TensorRT-RTX-EP-ABI/installation.html",
        plugin="onnxruntime-ep-nv-tensorrt-rtx",
        module="onnxruntime_ep_nv_tensorrt_rtx",
        aliases=("TensorRT-RTX", "TensorRTRTX"),
    ),
    Provider("QNN", page=_page("QNN"), plugin="onnxruntime-qnn", module="onnxruntime_qnn"),
    Provider(
        "OpenVINO",
        page=_page("OpenVINO"),
        plugin="onnxruntime-ep-openvino",
        module="onnxruntime_ep_openvino",
    ),
    Provider(
        "WebGpu",
        page="https://pypi.org/project/onnxruntime-ep-webgpu/",
        plugin="onnxruntime-ep-webgpu",
        module="onnxruntime_ep_webgpu",
    ),
    Provider(
        "VitisAI",
        page=_page("Vitis-AI"),
        where="It comes with AMD's Ryzen AI software, or with the image of a Versal board.",
    ),
    Provider("MIGraphX", page=_page("MIGraphX"), flavour="onnxruntime-migraphx"),
    Provider(
        "ROCM",
        page=_page("ROCm"),
        where="Current versions of ONNX Runtime have it no more: MIGraphX takes its place.",
    ),
    Provider(
        "Dml",
        page=_page("DirectML"),
        flavour="onnxruntime-directml",
        aliases=("DirectML",),
    ),
    Provider(
        "CoreML",
        page=_page("CoreML"),
        where="The onnxruntime of macOS has it: pip install onnxruntime",
    ),
    Provider(
        "CANN",
        page=f"{_PAGES}community-maintained/CANN-ExecutionProvider.html",
        flavour="onnxruntime-cann",
    ),
    Provider("Xnnpack", page=_page("Xnnpack")),
    Provider("Dnnl", page=_page("oneDNN"), aliases=("oneDNN",)),
    Provider("ACL", page=f"{_PAGES}community-maintained/ACL-ExecutionProvider.html"),
    Provider("ArmNN", page=f"{_PAGES}community-maintained/ArmNN-ExecutionProvider.html"),
    Provider("Rknpu", page=f"{_PAGES}community-maintained/RKNPU-ExecutionProvider.html"),
    Provider("VSINPU", page=_PAGES),
    Provider("Nnapi", page=_page("NNAPI"), where="It is Android's."),
    # Sends its own operators to a service; it takes no node of an ordinary graph.
    Provider("Azure", page=_page("Azure"), flavour="onnxruntime", listed=False),
)


def provider(name: str) -> Provider | None:
    """Return a known provider by its name, short or full, in any case of letters; else None."""
    word = _stem(name).casefold()
    for one in PROVIDERS:
        if word in (one.name.casefold(), *(alias.casefold() for alias in one.aliases)):
            return one
    return None


def short_name(name: str) -> str:
    """Return the one way to write a provider: ONNX Runtime's own, without "ExecutionProvider".

    A name that is not known is kept as it is: any vendor may bring one.
    """
    known = provider(name)
    return known.name if known else _stem(name)


def offered_as(name: str, offered: Iterable[str]) -> str | None:
    """Return ONNX Runtime's full name of a provider that it offers; None where it does not.

    Args:
        name: Short or full, in any case of letters.
        offered: What `onnxruntime.get_available_providers()` tells.
    """
    word = short_name(name).casefold()
    return next((one for one in offered if _stem(one).casefold() == word), None)


def missing(name: str, offered: Iterable[str], version: str) -> tuple[str, str]:
    """Say that a provider is not offered, and what brings it: a reason and a fix.

    Args:
        name: Short or full.
        offered: What is there.
        version: Of the onnxruntime that is installed, "onnxruntime 1.32.0".
    """
    known = provider(name)
    if known is not None:
        return f"{version} has no {known.full_name}.", known.remedy
    here = {_stem(one).casefold(): _stem(one) for one in offered}
    everywhere = here | {one.name.casefold(): one.name for one in PROVIDERS}
    word = _stem(name).casefold()
    hint = closest(word, here)
    if hint.startswith("Known:"):
        hint = closest(word, everywhere)
    if hint.startswith("Known:"):
        return (
            f"{version} has no execution provider {name!r}.",
            f"It has: {', '.join(here.values())}.",
        )
    for folded, written in everywhere.items():
        hint = hint.replace(f"'{folded}'", f"'{written}'")
    return f"{version} has no execution provider {name!r}.", hint


def _stem(name: str) -> str:
    cut = len(name) - len(_SUFFIX)
    return name[:cut] if cut > 0 and name.casefold().endswith(_SUFFIX.casefold()) else name
