"""A reference to a trained model, parsed from what the user typed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.no_model import UNLOADED, no_model, refuse_no_model

__all__ = ["KINDS_BY_SUFFIX", "SCHEMES", "Source"]

# What a file's ending says about it. A folder is a model of several graphs, one file a role.
KINDS_BY_SUFFIX = {
    ".onnx": "onnx",
    ".pt2": "exported-program",
    ".pth": "state-dict",
    ".pt": "state-dict",
    ".safetensors": "state-dict",
}
# "SCHEME:NAME".
SCHEMES = ("edgekit", "ultralytics", *UNLOADED)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trained model before anything was done to it.

    Attributes:
        text: What the user typed.
        kind: "onnx", "exported-program", "state-dict", "folder", or one of SCHEMES.
        location: The file's or folder's path, or the name behind the scheme.
        arch: For a state dict, "module:factory" or "file.py:factory".
    """

    text: str
    kind: str
    location: str
    arch: str | None = None

    @property
    def name(self) -> str:
        """A short name for files and tables: "yolox_nano", "digits"."""
        if self.kind in SCHEMES and self.path is None:
            return self.location.replace("/", "-").removesuffix(".yaml")
        path = Path(self.location).resolve()
        return path.name if self.kind == "folder" else path.stem

    @property
    def path(self) -> Path | None:
        """The file or folder, or None for a name behind a scheme."""
        if self.kind == "ultralytics" and Path(self.location).is_file():
            return Path(self.location)
        return None if self.kind in SCHEMES else Path(self.location)

    @property
    def single(self) -> bool:
        """Whether it is one graph for certain: no folder, and no network of the user's making."""
        return self.kind != "folder" and self.arch is None

    @property
    def absolute(self) -> str:
        """The text that names the same model from any folder."""
        if self.path is None:
            return self.text
        scheme = f"{self.kind}:" if self.kind in SCHEMES else ""
        return f"{scheme}{self.path.resolve()}"

    @classmethod
    def parse(cls, text: str, arch: str | None = None) -> Source:
        """Parse what the user typed; the file must exist.

        Raises:
            BadInput: Unknown scheme or file ending, a missing file, or what is no trained model.
        """
        refuse_no_model(text, "source")
        scheme, colon, name = text.partition(":")
        if colon and "/" not in scheme and not Path(text).exists() and len(scheme) > 1:
            if scheme not in SCHEMES:
                raise BadInput(
                    f"{scheme!r} in {text!r} is not a kind of source.", closest(scheme, SCHEMES)
                )
            if not name:
                raise BadInput(f"{text!r} names no model.", hint=f"For instance {scheme}:NAME.")
            return cls(text=text, kind=scheme, location=name, arch=arch)
        path = Path(text)
        if not path.exists():
            raise no_model(text, "source")
        if path.is_dir():
            return cls(text=text, kind="folder", location=text, arch=arch)
        kind = KINDS_BY_SUFFIX.get(path.suffix.lower())
        if kind is None:
            raise BadInput(
                f"{text} ends in {path.suffix or 'nothing'!r}, which is no known model format.",
                hint=f"Known: {', '.join(KINDS_BY_SUFFIX)}.",
            )
        return cls(text=text, kind=kind, location=text, arch=arch)
