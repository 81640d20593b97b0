"""The public Python calls, one per command of the command line.

Each call returns the document that the command prints with `--json` (see edgekit.core.documents),
takes a Progress to report to, and raises errors of edgekit.core.errors. Heavy libraries are
imported by the job that needs them, so importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.core.certificate import Limits
from edgekit.core.documents import (
    BenchDocument,
    CompileDocument,
    DataDocument,
    DeployDocument,
    DoctorDocument,
    EvalDocument,
    ExportDocument,
    InspectDocument,
    QuantizeDocument,
    VerifyDocument,
)
from edgekit.core.progress import Progress, Silent

__all__ = [
    "bench",
    "compile",
    "data",
    "deploy",
    "doctor",
    "evaluate",
    "export",
    "inspect",
    "quantize",
    "verify",
]


def doctor(*, deep: bool = False, progress: Progress | None = None) -> DoctorDocument:
    """Say what works on this machine, what does not, why, and the fix.

    Args:
        deep: Also open every engine in a child process and run a known answer through it.
        progress: Receives what is being done.
    """
    from edgekit.jobs import doctor as job

    return job.run(deep=deep, progress=progress or Silent())


def data(name: str, output: Path, *, force: bool = False) -> DataDocument:
    """Write a built-in data set ("digits") into a folder.

    Raises:
        BadInput: Unknown name, or the folder exists and `force` is not given.
    """
    from edgekit.jobs import data as job

    return job.run(name, output, force=force)


def export(
    source: str,
    output: Path,
    *,
    arch: str | None = None,
    card: Path | None = None,
    options: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    data: Path | None = None,
    opset: int | None = None,
    trust_code: bool = False,
    trust_pickle: bool = False,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportDocument:
    """Export a trained model to ONNX, with its card inside, checked against the reference.

    Args:
        source: See edgekit.core.source.Source.
        output: The .onnx file; for a model of several graphs, a folder.
        arch: "module:factory" or "file.py:factory" for a state dict.
        card: Card file; None looks for NAME.card.yaml beside the model.
        options: Keys of the card to values as YAML would give them, put over it.
        inputs: Name to shape as text, "x" to "batch,3,224,224", for a model without a card.
        data: Images to check parity on; None uses generated inputs.
        opset: ONNX operator set; None means the exporter's own.
        trust_code: Allow code of the user's (`arch` in a file, a decoder) to run.
        trust_pickle: Allow weights that only a full pickle can load.
        seed: Of generated inputs.
        force: Replace an existing file.
        progress: Receives what is being done.

    Raises:
        BadInput: See the message.
        MissingLibrary: torch or onnx is not installed.
    """
    from edgekit.jobs import export as job

    return job.run(
        source,
        output,
        arch=arch,
        card=card,
        options=options,
        inputs=inputs,
        data=data,
        opset=opset,
        trust_code=trust_code,
        trust_pickle=trust_pickle,
        seed=seed,
        force=force,
        progress=progress or Silent(),
    )


def quantize(
    model: str,
    output: Path | None = None,
    *,
    data: Path | None = None,
    calibration: Path | None = None,
    precision: str = "int8",
    dialect: str = "u8s8",
    card: Path | None = None,
    options: Mapping[str, str] | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> QuantizeDocument:
    """Write an int8 (explicit Q/DQ) or fp16 (cast in the graph) variant of an ONNX model.

    Args:
        model: An ONNX file, or a folder of one ONNX file a role.
        output: The file (or folder) to write; None puts NAME.int8-u8s8.onnx beside the model.
        data: Labelled or plain images; its calibration part is used.
        calibration: A folder used for calibration alone.
        precision: "int8" or "fp16".
        dialect: For int8: "u8s8" (CPU engines).
        card: Card file; None takes the one in the graph or beside it.
        options: Keys of the card to values as YAML would give them, put over it.
        seed: Of the split and of generated inputs.
        force: Replace an existing file.
        progress: Receives what is being done.
    """
    from edgekit.jobs import quantize as job

    return job.run(
        model,
        output,
        data=data,
        calibration=calibration,
        precision=precision,
        dialect=dialect,
        card=card,
        options=options,
        seed=seed,
        force=force,
        progress=progress or Silent(),
    )


def compile(  # noqa: A001  (the command's own name)
    model: str,
    *,
    target: str,
    compute: str = "fp32",
    threads: int | None = None,
    allow_fallback: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> CompileDocument:
    """Compile a model for one target; engines are cached by content.

    Args:
        model: An ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT.
        target: "openvino:cpu".
        compute: Float precision the engine may compute in.
        threads: Threads of a CPU engine; None means all physical cores.
        allow_fallback: Whether nodes may run on another device.
        force: Compile again although it is cached.
        progress: Receives what is being done.
    """
    from edgekit.jobs import compile as job

    return job.run(
        model,
        target=target,
        compute=compute,
        threads=threads,
        allow_fallback=allow_fallback,
        force=force,
        progress=progress or Silent(),
    )


def evaluate(
    model: str,
    *,
    data: Path,
    target: str,
    compute: str = "fp32",
    card: Path | None = None,
    options: Mapping[str, str] | None = None,
    calibration: Path | None = None,
    threads: int | None = None,
    trust_code: bool = False,
    allow_fallback: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> EvalDocument:
    """Score a model on labelled data with a confidence interval (`edgekit eval`).

    Args:
        model: An ONNX file, a bundle, or BUNDLE@VARIANT.
        data: Labelled data. Where it names no roles, an int8 variant is scored on the part that
            `quantize` would not calibrate on with the same seed; a float variant on all of it.
        target: "openvino:cpu".
        compute: Float precision the engine may compute in.
        card: Card file that overrides every other.
        options: Keys of the card to values as YAML would give them, put over it.
        calibration: The data that was calibrated on, if it was another: then all of `data` scores.
        threads: Threads of a CPU engine; None means all physical cores.
        trust_code: Allow code of the user's (a decoder) to run.
        allow_fallback: Whether nodes may run on another device.
        seed: Of the split and of the bootstrap.
        progress: Receives what is being done.

    Raises:
        BadInput: No labelled images, or labels that do not fit the model.
        Unavailable: The target is not here.
    """
    from edgekit.jobs import evaluate as job

    return job.run(
        model,
        data=data,
        target=target,
        compute=compute,
        card=card,
        options=options,
        calibration=calibration,
        threads=threads,
        trust_code=trust_code,
        allow_fallback=allow_fallback,
        seed=seed,
        progress=progress or Silent(),
    )


def bench(
    model: str,
    *,
    targets: Sequence[str],
    compute: Sequence[str] = (),
    scenario: str = "single-stream",
    batch: int = 1,
    shapes: Mapping[str, str] | None = None,
    threads: int | None = None,
    time: float = 10.0,
    allow_fallback: bool = False,
    output: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> BenchDocument:
    """Measure latency and throughput, the entries taking turns.

    Args:
        model: An ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT.
        targets: One or several targets.
        compute: Float precisions; empty means fp32.
        scenario: "single-stream".
        batch: Size of the axis called "batch".
        shapes: Input name to shape as text, for other dynamic axes.
        threads: Threads of a CPU engine; None means all physical cores.
        time: Seconds of measurement for each entry, at most.
        allow_fallback: Whether nodes may run on another device.
        output: Folder for the result and the raw samples; None writes neither.
        seed: Of generated inputs.
        progress: Receives what is being done.
    """
    from edgekit.jobs import bench as job

    return job.run(
        model,
        targets=targets,
        compute=compute,
        scenario=scenario,
        batch=batch,
        shapes=shapes,
        threads=threads,
        time=time,
        allow_fallback=allow_fallback,
        output=output,
        seed=seed,
        progress=progress or Silent(),
    )


def deploy(
    source: str,
    output: Path,
    *,
    targets: Sequence[str],
    data: Path | None = None,
    calibration: Path | None = None,
    precision: Sequence[str] = (),
    compute: Sequence[str] = (),
    limits: Limits | None = None,
    arch: str | None = None,
    card: Path | None = None,
    options: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    opset: int | None = None,
    threads: int | None = None,
    time: float = 10.0,
    golden: Path | None = None,
    trust_code: bool = False,
    trust_pickle: bool = False,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> DeployDocument:
    """Export, quantize, compile, score, measure and certify; write the bundle.

    Args:
        source: See edgekit.core.source.Source.
        output: The bundle's folder.
        targets: One or several targets.
        data: Labelled data; without it the verdict is UNVERIFIED.
        calibration: A folder used for calibration alone; None splits `data`.
        precision: "fp32", "fp16", "int8"; empty means all that the target runs.
        compute: "fp32", "bf16", "fp16"; empty means all that the target has.
        limits: The budget; None means the defaults.
        arch: As for `export`.
        card: As for `export`.
        options: Keys of the card to values as YAML would give them, put over it.
        inputs: As for `export`.
        opset: As for `export`.
        threads: Threads of a CPU engine; None means all physical cores.
        time: Seconds of measurement for each entry, at most.
        golden: Images to keep in the bundle as golden inputs; None generates them.
        trust_code: As for `export`.
        trust_pickle: As for `export`.
        seed: Of splits, generated inputs and bootstrap.
        force: Replace an existing bundle.
        progress: Receives what is being done.
    """
    from edgekit.jobs import deploy as job

    return job.run(
        source,
        output,
        targets=targets,
        data=data,
        calibration=calibration,
        precision=precision,
        compute=compute,
        limits=limits or Limits(),
        arch=arch,
        card=card,
        options=options,
        inputs=inputs,
        opset=opset,
        threads=threads,
        time=time,
        golden=golden,
        trust_code=trust_code,
        trust_pickle=trust_pickle,
        seed=seed,
        force=force,
        progress=progress or Silent(),
    )


def verify(
    bundle: Path,
    *,
    targets: Sequence[str] = (),
    threads: int | None = None,
    trust_engine: bool = False,
    progress: Progress | None = None,
) -> VerifyDocument:
    """Check a bundle on arrival: checksums, golden outputs, placement, repeatability.

    Needs neither torch nor a data set.

    Args:
        bundle: The bundle's folder.
        targets: Only these; empty means every target of the bundle that is usable here.
        threads: Threads of a CPU engine; None means as certified.
        trust_engine: Open the bundle's own engines where they fit this machine, instead of
            compiling its graphs here.
        progress: Receives what is being done.
    """
    from edgekit.jobs import verify as job

    return job.run(
        bundle,
        targets=targets,
        threads=threads,
        trust_engine=trust_engine,
        progress=progress or Silent(),
    )


def inspect(model: str) -> InspectDocument:
    """Read card and graph facts off an ONNX file, a folder of graphs or a bundle."""
    from edgekit.jobs import inspect as job

    return job.run(model)
