"""What a deployment was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.core.certificate import Limits
from edgekit.core.source import Source

__all__ = ["DeployRequest", "SourceRequest"]


@dataclass(frozen=True, kw_only=True)
class SourceRequest:
    """How a source becomes graphs; see edgekit.api.export for each of them.

    Attributes:
        bake: What will be baked into the graphs afterwards: "preprocess", "nms".
        min_parity: dB; None takes the limit of fp32.
    """

    source: Source
    bake: Sequence[str] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    opset: int | None = None
    trust_code: bool = False
    trust_pickle: bool = False
    min_parity: float | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DeployRequest:
    """See edgekit.api.deploy for each of them.

    Attributes:
        source: As typed.
        output: The bundle's folder.
        bake: "preprocess", "nms".
        stream: (width, height) of the frames to come, pixels; None keeps the model's own input.
        remeasure: Measure although an equal environment's measurement is cached.
        report_images: Put the images that differ most into the bundle's report, small.
        sign: File of the private key that signs the manifest; None signs nothing.
    """

    source: str
    output: Path
    targets: Sequence[str] = ()
    data: Path | None = None
    calibration: Path | None = None
    precision: Sequence[str] = ()
    compute: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    arch: str | None = None
    card: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    opset: int | None = None
    bake: Sequence[str] = ()
    stream: tuple[int, int] | None = None
    threads: int | None = None
    provider_options: Mapping[str, str] = field(default_factory=dict)
    time: float = 10.0
    remeasure: bool = False
    golden: Path | None = None
    report_images: bool = False
    sign: Path | None = None
    trust_code: bool = False
    trust_pickle: bool = False
    seed: int = 0
    force: bool = False

    @property
    def source_request(self) -> SourceRequest:
        """What of it is asked of the source."""
        return SourceRequest(
            source=self.parsed,
            bake=self.bake,
            inputs=self.inputs,
            opset=self.opset,
            trust_code=self.trust_code,
            trust_pickle=self.trust_pickle,
            min_parity=self.limits.min_parity,
            seed=self.seed,
        )

    @property
    def parsed(self) -> Source:
        """The source, parsed; its file must exist."""
        return Source.parse(self.source, self.arch)
