"""Where a model runs: RUNTIME:DEVICE[:INDEX]."""

from __future__ import annotations

import msgspec

__all__ = ["Target"]


class Target(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """A runtime and a device. Parsed and checked by `edgekit.runtimes.catalogue.parse_target`.

    Attributes:
        runtime: Full name, "onnxruntime".
        device: "cpu", "cuda", "gpu", "npu", or "ep=NAME" for an execution provider by name.
        index: Which of several devices; None where there is one kind only.
    """

    runtime: str
    device: str = "cpu"
    index: int | None = None

    def __str__(self) -> str:
        tail = "" if self.index is None else f":{self.index}"
        return f"{self.runtime}:{self.device}{tail}"
