"""What TensorRT says, as one sentence: its log, and its parser's errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput, Unavailable

__all__ = [
    "BuildLog",
    "ParserRefusal",
    "lacking",
    "log_of",
    "made",
    "out_of_memory",
    "parser_refusal",
    "refuse",
    "said_last",
    "workspace_too_small",
]

# How TensorRT 10, 11 and RTX word it when a build needs more memory than there is.
_MEMORY = re.compile(
    r"out of memory|out-of-memory|outofmemory|insufficient memory|memory allocation|"
    r"requested size was|cuda(?:Malloc|ErrorMemoryAllocation)",
    re.IGNORECASE,
)
_SIZES = {
    "activations_bytes": re.compile(r"Total Activation Memory: (\d+) bytes"),
    "weights_bytes": re.compile(r"Total Weights Memory: (\d+) bytes"),
    "scratch_bytes": re.compile(r"Max Scratch Memory: (\d+) bytes"),
}
# A workspace that is too small for the one way to compute a layer, in 10 and 11.
_WORKSPACE = re.compile(r"within workspace limit|insufficient workspace", re.IGNORECASE)
# Words of the parser's checks that name C++, not the model: "Assertion failed: A::b == c: WHY".
_ASSERTION = re.compile(r"^Assertion failed: (?:[^:]|::)*: ")
_ASIDE = re.compile(r" Please set k\w+.*$")
# What it says of a node before, and of a GPU that is not here behind, the line with the reason.
_BESIDE = re.compile(r"^Invalid Node - |^\[\w+\.cpp::|^Cuda|^In node -?\d+ ")
_API = re.compile(r"^[\w:]+: Error Code \d+: [\w ]+\((.*?)(?: In \w+ at \S+)?\)$")
_SOURCE = re.compile(r"^\[[\w.]+: ?\d+: \w+\] ")
# What no kernel of an architecture does: "Cannot compile operation 'fc' for Turing (SM75): WHY".
_LACKS = re.compile(r"Cannot compile operation '(.+?)' for \w+ \(SM(\d+)\): (.*)")
_INT32 = re.compile(r"\bint32\b", re.IGNORECASE)


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


def made(factory: Any, *arguments: Any, title: str, log: BuildLog) -> Any:
    """Call a constructor of TensorRT; its bindings raise TypeError where the library makes nothing.

    Args:
        factory: "Builder" or "Runtime" of the module.
        arguments: Of the constructor.
        title: Name and version of the library.
        log: Of the logger among the arguments.

    Raises:
        Unavailable: It made nothing: mostly no GPU, or a driver that is too old.
    """
    try:
        return factory(*arguments)
    except TypeError as error:
        if "nullptr" not in str(error):
            raise
        raise Unavailable(
            f"{title} does not start here: {said_last(log)}", hint="See: edgekit doctor."
        ) from error


@dataclass(frozen=True)
class ParserRefusal:
    """What a parser does not take.

    Attributes:
        node: Name of the ONNX node; empty where it is the file as a whole.
        operator: Its operator.
        reason: Why, in the parser's words without those about its own source.
    """

    node: str
    operator: str
    reason: str


def parser_refusal(parser: Any) -> ParserRefusal | None:
    """Return the first error of an ONNX parser of TensorRT; None where it has none."""
    if not parser.num_errors:
        return None
    error = parser.get_error(0)
    operator = str(error.node_operator())
    lines = [line.strip() for line in str(error.desc()).splitlines()]
    told = next((line for line in lines if line and not _BESIDE.search(line)), "")
    description = _ASIDE.sub("", _API.sub(r"\1", _ASSERTION.sub("", told))).strip()
    # Checks that say no more than "false" have the code alone.
    code = str(error.code().name).replace("_", " ").lower()
    reason = code if description in ("", "false", "true") else description
    if operator == "DequantizeLinear" and _INT32.search(reason):
        reason = "it reads int32, a quantized bias as ONNX Runtime's quantizer writes it"
    return ParserRefusal(node=error.node_name(), operator=operator, reason=reason)


def refuse(
    refusal: ParserRefusal | None,
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
    line = _SOURCE.sub("", _API.sub(r"\1", " ".join(log.errors[-1].split())))
    return line if len(line) <= 300 else f"{line[:297]}..."


def lacking(log: BuildLog) -> tuple[str, int, str] | None:
    """Layer, architecture and reason where an architecture cannot compute a layer; else None."""
    found = _LACKS.search(said_last(log))
    return None if found is None else (found[1], int(found[2]), found[3])


def out_of_memory(errors: Sequence[str]) -> bool:
    """Whether errors of a build mean that memory was missing."""
    return any(_MEMORY.search(line) for line in errors)


def workspace_too_small(errors: Sequence[str]) -> bool:
    """Whether errors of a build mean that a layer needs a larger workspace."""
    return any(_WORKSPACE.search(line) for line in errors)


def _remedy(refusal: ParserRefusal) -> str:
    if refusal.operator in ("QuantizeLinear", "DequantizeLinear"):
        return (
            "TensorRT takes symmetric int8 without quantized biases: write it with edgekit "
            "quantize --dialect s8s8, or mend the file with edgekit compile --mend-qdq."
        )
    return "Write the model without this operator, or run it on onnxruntime:cuda."


def _end(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
