"""What to run next: whole commands to copy, by what a command found out."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.core.certificate import CHECKS, Check
from edgekit.core.documents import (
    BenchDocument,
    CompareDocument,
    CompileDocument,
    DataDocument,
    DeployDocument,
    DoctorDocument,
    EvalDocument,
    ExportDocument,
    InspectDocument,
    PackDocument,
    PlanDocument,
    QuantizeDocument,
    VerifyDocument,
)
from edgekit.core.errors import BadInput
from edgekit.runtimes.trt_plan import is_plan
from edgekit.tasks.decoders import is_user_decoder

__all__ = ["following"]

# Checks that `debug parity` explains, by the node that is to blame: all that judge answers.
_BY_NODE = set(CHECKS) - {"placement", "repeatable", "shapes"}
_DIGITS = "digits"


def following(
    document: object, options: Mapping[str, Any], arguments: Sequence[str] = ()
) -> list[str]:
    """Return the commands that make sense after a result, most useful first.

    Args:
        document: The result, one of edgekit.core.documents.
        options: What the command was given, by parameter name.
        arguments: The command line after the program's name.

    Returns:
        Each to be pasted into a shell as it is; empty where there is nothing to say.
    """
    return [shlex.join(words) for words in _commands(document, options, arguments)]


def _commands(
    document: object, options: Mapping[str, Any], arguments: Sequence[str]
) -> Iterator[Sequence[str]]:
    match document:
        case DoctorDocument():
            yield from _after_doctor(document)
        case DataDocument():
            source = f"edgekit:{document.name}"
            yield from _deploy(source, ["--data", document.folder], _engines(), document.name)
        case ExportDocument() if document.verdict != "FAIL":
            yield from _after_export(str(options["output"]), options)
        case QuantizeDocument():
            yield from _after_quantize(document, options)
        case CompileDocument() if not document.sm:
            yield from _after_compile(document, options)
        case EvalDocument():
            if document.variant == "fp32":
                given = _given(
                    options, "--data", "--calibration", "--card", "--set", "--trust-code"
                )
                yield from _deploy_onnx(document.model, given, [document.target])
        case BenchDocument():
            yield from _page(options)
            targets = list(dict.fromkeys(entry.target for entry in document.entries))
            if {entry.variant for entry in document.entries} == {"fp32"}:
                yield from _deploy_onnx(document.model, [], targets)
        case CompareDocument():
            if _needs_time(document) and "--against" in arguments:
                yield from _longer(arguments)
            yield from _page(options)
        case PlanDocument():
            yield ["edgekit", *(word for word in arguments if word != "--dry-run")]
        case DeployDocument():
            yield from _after_deploy(document)
        case VerifyDocument():
            yield from _after_verify(document)
        case PackDocument():
            yield _start(document)
        case InspectDocument() if document.bundle:
            yield ["edgekit", "verify", document.model.partition("@")[0]]
        case _:
            pass


def _page(options: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """The page of what was written to a folder."""
    if options.get("output") is not None:
        folder = str(options["output"])
        yield ["edgekit", "report", folder, "-o", _free(f"{Path(folder).name}.html")]


def _needs_time(document: CompareDocument) -> bool:
    """Whether more samples may decide it: not where the two ratios prove what does not agree."""
    decides = [one for one in document.entries if one.verdict == document.verdict]
    return document.verdict == "UNCLEAR" and any(
        "UNCLEAR" in (one.typical_verdict, one.mean_verdict) for one in decides
    )


def _longer(arguments: Sequence[str]) -> Iterator[Sequence[str]]:
    """The same comparison with more time, where the user left the time to the tool."""
    if not any(word.partition("=")[0] in ("--time", "-o", "--output-path") for word in arguments):
        yield ["edgekit", *arguments, "--time", "240"]


def _after_doctor(document: DoctorDocument) -> Iterator[Sequence[str]]:
    usable = [one.target for one in document.targets if one.usable]
    if usable and importlib.util.find_spec("torch") is not None:
        folder = _free(_DIGITS)
        yield ["edgekit", "data", _DIGITS, "-o", folder]
        yield from _deploy(f"edgekit:{_DIGITS}", ["--data", folder], usable, _DIGITS)


def _after_export(output: str, options: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    data = _given(options, "--data")
    if data:
        yield ["edgekit", "quantize", output, *data]
        data += _consent(output)
    yield from _deploy_onnx(output, data, _engines())


def _after_quantize(
    document: QuantizeDocument, options: Mapping[str, Any]
) -> Iterator[Sequence[str]]:
    paths = list(document.graphs.values())
    engine = _engines()[:1]
    if len(paths) != 1 or not engine:
        return
    if document.verdict == "FAIL":
        against = ["--against", document.model]
        yield [*_on("debug parity", paths[0], engine[0]), *against, *_given(options, "--data")]
    elif options.get("data") is not None:
        given = [*_given(options, "--data", "--calibration"), *_consent(paths[0])]
        yield [*_on("eval", paths[0], engine[0]), *given]


def _after_compile(
    document: CompileDocument, options: Mapping[str, Any]
) -> Iterator[Sequence[str]]:
    if options.get("output") is not None:
        # They know their target and how they were compiled.
        yield ["edgekit", "bench", str(options["output"])]
    elif not is_plan(Path(document.model)):
        yield _on("bench", document.model, document.target, document.compute)


def _after_deploy(document: DeployDocument) -> Iterator[Sequence[str]]:
    bundle, best = document.bundle, document.best
    if best is not None and best.variant is not None:
        yield ["edgekit", "verify", bundle]
        yield _pack(bundle, best.target)
        for command in best.settle[:1]:
            yield shlex.split(command)
    yield ["edgekit", "report", bundle, "-o", _free(f"{Path(bundle).name}.html")]
    for entry in document.entries:
        reason = _why(bundle, entry.target, entry.variant, entry.compute, entry.checks)
        if reason:
            yield reason
            # The others are in the table, and this line shows how it is done.
            return


def _after_verify(document: VerifyDocument) -> Iterator[Sequence[str]]:
    if document.verdict != "FAIL":
        for entry in document.entries[:1]:
            yield _pack(document.bundle, entry.target)
        return
    for entry in document.entries:
        reason = _why(document.bundle, entry.target, entry.variant, entry.compute, entry.checks)
        if reason:
            yield reason
            return


def _why(
    bundle: str, target: str, variant: str, compute: str, checks: Mapping[str, Check]
) -> Sequence[str]:
    """The command that explains a failed entry; empty where none does."""
    failed = {name for name, check in checks.items() if check.verdict == "FAIL"}
    model = f"{bundle}@{variant}"
    if failed & _BY_NODE:
        return _on("debug parity", model, target, compute)
    # Why nothing ran in int8 can be read off the graph.
    return ["edgekit", "inspect", model] if "placement" in failed else []


def _on(command: str, model: str, target: str, compute: str = "fp32") -> list[str]:
    words = ["edgekit", *command.split(), model, "--target", target]
    return words if compute == "fp32" else [*words, "--compute", compute]


def _pack(bundle: str, target: str) -> Sequence[str]:
    device = "-".join(part for part in target.replace("=", ":").split(":"))
    folder = _free(f"{Path(bundle).name.removesuffix('.bundle')}-{device}")
    return ["edgekit", "pack", bundle, "--target", target, "-o", folder]


def _start(document: PackDocument) -> Sequence[str]:
    """What runs a packed folder, on the device."""
    models = f"{document.folder}/models"
    if document.layout == "folder":
        return ["python", f"{document.folder}/run.py", "--check"]
    if document.layout == "triton":
        return ["tritonserver", f"--model-repository={models}"]
    config = ["--config_path", f"{models}/config.json"]
    return ["ovms", *config, "--port", "9000", "--rest_port", "8000"]


def _deploy_onnx(
    model: str, data: Sequence[str], targets: Sequence[str]
) -> Iterator[Sequence[str]]:
    """A bundle of a model that is a file; what is in a bundle is deployed already."""
    path = Path(model)
    if path.suffix == ".onnx" and path.is_file():
        yield from _deploy(model, data, targets, path.stem)


def _deploy(
    source: str, data: Sequence[str], targets: Sequence[str], name: str
) -> Iterator[Sequence[str]]:
    if targets:
        where = [word for target in targets for word in ("--target", target)]
        yield ["edgekit", "deploy", source, *data, *where, "-o", _free(f"{name}.bundle")]


def _given(options: Mapping[str, Any], *names: str) -> list[str]:
    """Those of the options that the user gave, to be given again."""
    words: list[str] = []
    for name in names:
        key = "options" if name == "--set" else name.removeprefix("--").replace("-", "_")
        match options.get(key):
            case None | False:
                pass
            case True:
                words.append(name)
            case Mapping() as several:
                words += [word for one in several.items() for word in (name, "=".join(one))]
            case value:
                words += [name, str(value)]
    return words


def _consent(graph: str) -> list[str]:
    """What lets the decoder run that a graph's card names."""
    from edgekit.export.metadata import read_card

    path = Path(graph)
    try:
        card = read_card(path) if path.is_file() else None
    except BadInput:
        card = None  # replaced since; what was made is told all the same
    head = card.postprocess if card is not None else None
    return ["--trust-code"] if head is not None and is_user_decoder(head.decode) else []


def _engines() -> list[str]:
    """The targets whose library is installed, the CPU of each that has one."""
    from edgekit.runtimes.catalogue import CATALOGUE

    return [
        f"{name}:{entry.devices[0]}"
        for name, entry in CATALOGUE.items()
        if entry.listed
        and entry.devices[0] == "cpu"
        and any(importlib.util.find_spec(one) for one in entry.distributions[:1])
    ]


def _free(name: str) -> str:
    """A path that is not taken, so that the command is not refused."""
    stem, dot, suffix = name.rpartition(".") if "." in name else (name, "", "")
    number, path = 1, name
    while Path(path).exists():
        number += 1
        path = f"{stem}-{number}{dot}{suffix}"
    return path
