"""The model at one precision, and one (target, variant, compute) of a result."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["EntryName", "Variant"]


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model at one precision: an ONNX file by role.

    Attributes:
        id: "fp32", "fp16", "int8-u8s8", "int8-s8s8", "mixed-…".
        precision: "fp32", "fp16" or "int8".
        graphs: Role ("main", "encoder", "step") to the ONNX file's path.
    """

    id: str
    precision: str
    graphs: dict[str, str]

    @property
    def paths(self) -> dict[str, Path]:
        """Role to path of every graph."""
        return {role: Path(path) for role, path in self.graphs.items()}

    def path(self, role: str = "main") -> Path:
        """Path of one graph."""
        return Path(self.graphs[role])


class EntryName(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """What a result is about.

    Attributes:
        target: As text, "openvino:cpu".
        variant: The variant's id.
        compute: The float precision the engine may compute in: "fp32", "tf32", "bf16" or "fp16".
    """

    target: str
    variant: str
    compute: str

    def __str__(self) -> str:
        return f"{self.variant} on {self.target} in {self.compute}"
