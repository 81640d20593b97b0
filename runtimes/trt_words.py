"""What TensorRT says, as one sentence: its log, and its parser's errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput

__all__ = [
    "BuildLog",
    "Refusal",
    "log_of",
    "out_of_memory",
    "parser_refusal",
    "refuse",
    "said_last",
]

# How TensorRT 10, 11 and RTX word it when a build needs more memory than there is.
_MEMORY = re.compile(
    r"out of memory|out-of-memory|outofmemory|insufficient memory|memory allocation|"
    r"requested size was|cuda(?:Malloc|ErrorMemoryAllocation)|insufficient workspace",
    re.IGNORECASE,
)
_SIZES = {
    "activations_bytes": re.compile(r"Total Activation Memory: (\d+) bytes"),
    "weights_bytes": re.compile(r"Total Weights Memory: (\d+) bytes"),
    "scratch_bytes": re.compile(r"Max Scratch Memory: (\d+) bytes"),
}
# Words of the parser's checks that name C++, not the model.
_ASSERTION = re.compile(r"^Assertion failed: [^:]*(?:\([^)]*\)[^:]*)?: ")
_ASIDE = re.compile(r" Please set k\w+.*$")


@dataclass
class BuildLog:
    """What a build logged.

    Attributes:
        errors: Messages of errors, in order.
        warnings: Messages of warnings, in order.
        sizes: "activations_bytes", "weights_bytes", "scratch_bytes", where it told them.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def take(self, severity: str, message: str) -> None:
        """Take one line of the log.

        Args:
            severity: "INTERNAL_ERROR", "ERROR", "WARNING", "INFO" or "VERBOSE".
            message: What it says.
        """
        if severity in ("INTERNAL_ERROR", "ERROR"):
            self.errors.append(message)
        elif severity == "WARNING":
            self.warnings.append(message)
        elif severity == "INFO":
            for name, pattern in _SIZES.items():
                found = pattern.search(message)
                if found:
                    self.sizes[name] = int(found[1])


def log_of(module: Any, log: BuildLog) -> Any:
    """Return a logger of TensorRT that fills `log`; keep it as long as what it was given to."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            log.take(str(severity.name), message)

    return Logger()


@dataclass(frozen=True)
class Refusal:
    """What a parser does not take.

    Attributes:
        node: Name of the ONNX node; empty where it is the file as a whole.
        operator: Its operator.
        reason: Why, in the parser's words without those about its own source.
    """

    node: str
    operator: str
    reason: str


def parser_refusal(parser: Any) -> Refusal | None:
    """Return the first error of an ONNX parser of TensorRT; None where it has none."""
    if not parser.num_errors:
        return None
    error = parser.get_error(0)
    description = _ASIDE.sub("", _ASSERTION.sub("", error.desc())).strip()
    # Checks that say no more than "false" have the code alone.
    code = str(error.code().name).replace("_", " ").lower()
    reason = code if description in ("", "false", "true") else description
    return Refusal(node=error.node_name(), operator=error.node_operator(), reason=reason)


def refuse(
    refusal: Refusal | None,
    *,
    path: Path,
    title: str,
    log: BuildLog,
    modules: Mapping[str, str],
) -> BadInput:
    """Return the error for a graph that the parser does not take.

    Args:
        refusal: What the parser said.
        path: The ONNX file.
        title: Name and version of the library.
        log: Of the build.
        modules: ONNX node to the path of its module in the PyTorch model.
    """
    if refusal is None or not refusal.operator:
        reason = refusal.reason if refusal else said_last(log)
        return BadInput(f"{title} does not read {path}: {_end(reason)}", hint="Export it again.")
    module = modules.get(refusal.node, "")
    where = f", in {module}" if module else ""
    return BadInput(
        f"{title} does not take the node {refusal.node!r} ({refusal.operator}{where}) of {path}: "
        f"{_end(refusal.reason)}",
        hint=_remedy(refusal),
    )


def said_last(log: BuildLog) -> str:
    """The last error of a log as one line; a general sentence where there is none."""
    if not log.errors:
        return "it gives no reason"
    line = " ".join(log.errors[-1].split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def out_of_memory(errors: Sequence[str]) -> bool:
    """Whether errors of a build mean that memory was missing."""
    return any(_MEMORY.search(line) for line in errors)


def _remedy(refusal: Refusal) -> str:
    if refusal.operator in ("QuantizeLinear", "DequantizeLinear"):
        return (
            "TensorRT takes symmetric int8 without quantized biases: write it with edgekit "
            "quantize --dialect s8s8, or mend the file with edgekit compile --mend-qdq."
        )
    return "Write the model without this operator, or run it on onnxruntime:cuda."


def _end(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
