"""The public Python calls, one per command of the command line.

Each call returns the document that the command prints with `--json` (see edgekit.core.documents),
takes a Progress to report to, and raises errors of edgekit.core.errors. A path or a model may be
`str` or `os.PathLike`, and one thing stands for a sequence of one; an argument of another kind is a
BadInput that names it. Here are the signatures: what a call does is done by the job that it is
handed to, which imports its heavy libraries itself, so importing this module is cheap.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edgekit.core.calls import ModelText, PathText, handed_to
from edgekit.core.certificate import Limits
from edgekit.core.documents import (
    BenchDocument,
    CacheDocument,
    CompareDocument,
    CompileDocument,
    DataDocument,
    DebugParityDocument,
    DemoDocument,
    DeployDocument,
    DiffDocument,
    DoctorDocument,
    EnvironmentDocument,
    EvalDocument,
    ExportDocument,
    ExportedDocument,
    InspectDocument,
    PackDocument,
    PlanDocument,
    PredictDocument,
    QuantizeDocument,
    ReportDocument,
    ResultsDocument,
    VerifyDocument,
)
from edgekit.core.progress import Progress

__all__ = [
    "bench",
    "bench_against",
    "cache_list",
    "cache_prune",
    "compare",
    "compile",
    "data",
    "debug_parity",
    "demo",
    "deploy",
    "doctor",
    "evaluate",
    "export",
    "inspect",
    "inspect_diff",
    "pack",
    "predict",
    "quantize",
    "report",
    "results_environment",
    "results_export",
    "results_import",
    "results_list",
    "results_prune",
    "results_show",
    "verify",
]


@handed_to("edgekit.jobs.doctor:run")
def doctor(*, deep: bool = False, progress: Progress | None = None) -> DoctorDocument:
    """Say what works on this machine, what does not, why, and the fix.

    Args:
        deep: Also open every engine in a child process and run a known answer through it.
        progress: Receives what is being done.
    """
    ...


@handed_to("edgekit.jobs.data:run")
def data(
    name: str,
    output: PathText,
    *,
    count: int | None = None,
    seed: int | None = None,
    force: bool = False,
) -> DataDocument:
    """Write a built-in data set into a folder: images to score on, and others to calibrate on.

    Args:
        name: "shapes" (scenes drawn anew, COCO annotations) or "digits" (labels.csv).
        output: The folder.
        count: Images that score; None means 300 scenes, or all 500 digits.
        seed: Of drawn scenes; None means 0. The digits have none.
        force: Replace an existing folder.

    Raises:
        BadInput: Unknown name, a count or seed that the data set cannot meet, or the folder exists
            and `force` is not given.
    """
    ...


@handed_to("edgekit.jobs.export:run")
def export(
    source: ModelText,
    output: PathText,
    *,
    arch: str | None = None,
    card: PathText | None = None,
    options: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    data: PathText | None = None,
    opset: int | None = None,
    bake: str | Sequence[str] = (),
    trust_code: bool = False,
    trust_pickle: bool = False,
    min_parity: float | None = None,
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
        bake: What the graph itself is to do: "preprocess" (uint8 NHWC in, normalised inside),
            "nms" (a fixed number of final detections out), or both.
        trust_code: Allow code of the user's (`arch` in a file, a decoder) to run.
        trust_pickle: Allow weights that only a full pickle can load.
        min_parity: Smallest SQNR of the worst output, dB; None means 80.
        seed: Of generated inputs.
        force: Replace an existing file.
        progress: Receives what is being done.

    Raises:
        BadInput: See the message.
        MissingLibrary: torch or onnx is not installed.
    """
    ...


@handed_to("edgekit.jobs.quantize:run", decisions="written")
def quantize(
    model: ModelText,
    output: PathText | None = None,
    *,
    data: PathText | None = None,
    calibration: PathText | None = None,
    decisions: PathText | Sequence[PathText] = (),
    precision: str = "int8",
    dialect: str = "u8s8",
    card: PathText | None = None,
    options: Mapping[str, str] | None = None,
    min_parity: float | None = None,
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
        decisions: For int8: quantization.json files of an earlier calibration, which is then not
            done again and needs no images; each is for the graph whose sha256 it holds.
        precision: "int8" or "fp16".
        dialect: For int8: "u8s8" (CPU engines) or "s8s8" (TensorRT).
        card: Card file; None takes the one in the graph or beside it.
        options: Keys of the card to values as YAML would give them, put over it.
        min_parity: Smallest SQNR of the worst output, dB; None means 30 for fp16, 10 for int8.
        seed: Of the split and of generated inputs.
        force: Replace an existing file.
        progress: Receives what is being done.
    """
    ...


@handed_to("edgekit.jobs.compile:run")
def compile(  # noqa: A001  (the command's own name)
    model: ModelText,
    output: PathText | None = None,
    *,
    target: str | None = None,
    compute: str = "fp32",
    threads: int | None = None,
    allow_fallback: bool = False,
    sm: Sequence[int] = (),
    shapes: Sequence[Mapping[str, str]] = (),
    workspace: str | None = None,
    portable: Sequence[Literal["version", "hardware"]] = (),
    mend_qdq: bool = False,
    trust_engine: bool = False,
    provider_options: Mapping[str, str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> CompileDocument:
    """Compile a model for one target; engines are cached by content.

    Args:
        model: An ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT; or a plan file of
            TensorRT (.engine, .plan), which is taken as it is.
        output: A folder to put the engines into, with their card; None leaves them in the cache.
        target: "openvino:cpu", or a device, "cpu"; None chooses, see docs/targets.md.
        compute: Float precision the engine may compute in.
        threads: Threads of a CPU engine; None means all physical cores.
        allow_fallback: Whether nodes may run on another device.
        sm: GPU architectures to build for without that GPU, 89 for compute capability 8.9; for
            targets that can (tensorrt-rtx).
        shapes: Optimization profiles: each maps input names to "MIN:TYPICAL:MAX", sizes with an x
            between; empty takes the ranges of the card.
        workspace: Memory that the build may use for scratch, "1GB"; None leaves it to the engine.
        portable: "version" (runs on newer versions of the library), "hardware" (on newer GPUs).
        mend_qdq: Compile a copy whose Q/DQ TensorRT takes: biases in float, symmetric int8.
        trust_engine: Open a plan file that another program built, to take it into `output`.
        provider_options: Options of an execution provider ("onnxruntime:ep=QNN"), key to value.
        force: Compile again although it is cached, and replace `output`.
        progress: Receives what is being done.
    """
    ...


@handed_to("edgekit.jobs.evaluate:run")
def evaluate(
    model: ModelText,
    *,
    data: PathText,
    target: str | None = None,
    compute: str | None = None,
    card: PathText | None = None,
    options: Mapping[str, str] | None = None,
    calibration: PathText | None = None,
    threads: int | None = None,
    trust_code: bool = False,
    trust_engine: bool = False,
    allow_fallback: bool = False,
    provider_options: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> EvalDocument:
    """Score a model on labelled data with a confidence interval (`edgekit eval`).

    Args:
        model: An ONNX file, a bundle, BUNDLE@VARIANT, or a folder of engines.
        data: Labelled data. Where it names no roles, an int8 variant is scored on the part that
            `quantize` would not calibrate on with the same seed; a float variant on all of it.
        target: "openvino:cpu", or a device, "cpu"; None chooses, see docs/targets.md.
        compute: Float precision the engine may compute in; None means fp32, or that which engines
            in a folder were compiled for.
        card: Card file that overrides every other.
        options: Keys of the card to values as YAML would give them, put over it.
        calibration: The data that was calibrated on, if it was another: then all of `data` scores.
        threads: Threads of a CPU engine; None means all physical cores, or those that engines in a
            folder were compiled for.
        trust_code: Allow code of the user's (a decoder) to run.
        trust_engine: Open engines that were not built on this machine; they are native code.
        allow_fallback: Whether nodes may run on another device.
        provider_options: Options of an execution provider ("onnxruntime:ep=QNN"), key to value.
        seed: Of the split and of the bootstrap.
        progress: Receives what is being done.

    Raises:
        BadInput: No labelled images, labels that do not fit the model, or engines for another
            target or from another machine.
        Unavailable: The target is not here.
    """
    ...


@handed_to("edgekit.jobs.bench:run")
def bench(
    model: ModelText,
    *,
    targets: str | Sequence[str] | None = None,
    compute: str | Sequence[str] = (),
    scenario: str = "single-stream",
    boundary: str | Sequence[str] = (),
    sweep: Mapping[str, Sequence[int]] | None = None,
    batch: int = 1,
    shapes: Mapping[str, str] | None = None,
    threads: int | None = None,
    streams: int | None = None,
    concurrency: int | None = None,
    rate: int | None = None,
    data: PathText | None = None,
    time: float = 10.0,
    timeout: float | None = None,
    allow_fallback: bool = False,
    provider_options: Mapping[str, str] | None = None,
    trust_code: bool = False,
    trust_engine: bool = False,
    output: PathText | None = None,
    resume: bool = False,
    force: bool = False,
    store: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> BenchDocument:
    """Measure latency and throughput: entries in turns, or the cells of a sweep one by one.

    Args:
        model: An ONNX file, a folder of graphs, a bundle, BUNDLE@VARIANT, or a folder of engines.
        targets: One or several, or "all"; None chooses one, see docs/targets.md.
        compute: Float precisions; empty means fp32, or what engines in a folder were compiled for.
        scenario: "single-stream", "offline" (the engine's own queue kept full), or "paced" (frames
            at a camera's rate through the live pipeline, of which the newest is answered).
        boundary: Of single-stream: "latency.host", "latency.device", "latency.e2e"; empty means
            the first. Several are an entry each.
        sweep: "batch", "threads", "streams", "concurrency" or "rate" to the values that are tried;
            every combination is a cell, measured in a process of its own.
        batch: Size of the axis called "batch".
        shapes: Input name to shape as text, for other dynamic axes.
        threads: Threads of a CPU engine; None means all physical cores, or those that engines in a
            folder were compiled for.
        streams: Requests that the engine executes side by side in offline; None means its choice.
        concurrency: Requests in flight in offline; None means the engine's choice.
        rate: Frames a second in paced; None means 30.
        data: Images for latency.e2e and paced; None generates some.
        time: Seconds of measurement for each entry, at most.
        timeout: Seconds after which an entry that is not done is ended, all included; None means
            ten times `time` and two minutes.
        allow_fallback: Whether nodes may run on another device.
        provider_options: Options of an execution provider ("onnxruntime:ep=QNN"), key to value.
        trust_code: Whether a decoder that the card names may run, for latency.e2e.
        trust_engine: Open engines that were not built on this machine; they are native code.
        output: Folder for the result and the raw samples, written after every cell; None writes
            neither.
        resume: Keep the cells that `output` holds already.
        force: Replace an earlier result in `output`.
        store: Put the result into the store of results as well.
        seed: Of generated inputs.
        progress: Receives what is being done.

    Raises:
        BadInput: The model, a target or the conditions do not go together.
        Unavailable: An engine or a device is not here.
        KeyboardInterrupt: After Ctrl-C, when what was measured is written.
    """
    ...


@handed_to("edgekit.jobs.against:run")
def bench_against(
    model: ModelText,
    against: ModelText,
    *,
    targets: str | Sequence[str] | None = None,
    compute: str | Sequence[str] = (),
    against_target: str | None = None,
    against_compute: str | None = None,
    scenario: str = "single-stream",
    batch: int = 1,
    shapes: Mapping[str, str] | None = None,
    threads: int | None = None,
    time: float = 60.0,
    timeout: float | None = None,
    margin: float = 0.03,
    confidence: float = 0.99,
    allow_fallback: bool = False,
    provider_options: Mapping[str, str] | None = None,
    trust_engine: bool = False,
    output: PathText | None = None,
    force: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> CompareDocument:
    """Measure a model against another, both in one process, until their ratio is known.

    They take turns in quads of blocks (ABBA) and are opened anew for every round; see
    edgekit.benchmarks.ratio for the intervals and the verdict. It is INVALID where a measurement of
    either would be.

    Args:
        model: What is judged: an ONNX file, a folder of graphs, a bundle, BUNDLE@VARIANT, or a
            folder of engines.
        against: The base that it is held against, in the same form.
        targets: One or several, or "all"; each gives an entry. None chooses one, see
            docs/targets.md.
        compute: Float precisions; each gives an entry. Empty means fp32, or what engines in a
            folder were compiled for.
        against_target: Where the base runs; None means where the model does.
        against_compute: What the base computes in; None means what the model does, or what engines
            in a folder were compiled for.
        scenario: "single-stream".
        batch: Size of the axis called "batch".
        shapes: Input name to shape as text, for other dynamic axes.
        threads: Threads of a CPU engine; None means all physical cores.
        time: Seconds of measurement of each of the two, at most.
        timeout: Seconds until a measurement that hangs is ended; None derives it from `time`.
        margin: SAME means that the whole interval lies within this share of 1; the measurement
            goes on until the half widths of both intervals are a third of it.
        confidence: Of the intervals.
        allow_fallback: Whether nodes may run on another device.
        provider_options: Options of an execution provider ("onnxruntime:ep=QNN"), key to value.
        trust_engine: Open engines that were not built on this machine; they are native code.
        output: Folder for the result and the raw samples of both; None writes neither.
        force: Replace an earlier result in `output`.
        seed: Of generated inputs.
        progress: Receives what is being done.
    """
    ...


@handed_to("edgekit.jobs.compare:run")
def compare(
    base: ModelText,
    new: ModelText,
    *,
    drift: float | None = None,
    margin: float = 0.03,
    confidence: float = 0.99,
    progress: Progress | None = None,
) -> CompareDocument:
    """Judge a stored result against another one.

    Args:
        base: What is held against: a folder or a JSON document of `bench`.
        new: What is judged, in the same form.
        drift: So much the machine's speed may have changed between the two, as a share; the
            interval of each ratio is wider by it. None means 0.10, and 0.60 where one of the two
            was taken on a virtual machine, or nothing is known of it.
        margin: SAME means that the whole interval lies within this share of 1.
        confidence: Of the intervals.
        progress: Receives what is being done.

    Raises:
        BadInput: A result cannot be read, or the two are not alike: another machine, boundary or
            scenario; the message names what differs.
    """
    ...


@handed_to("edgekit.jobs.dryrun:deploy_or_plan")
def deploy(
    source: ModelText,
    output: PathText,
    *,
    targets: str | Sequence[str] | None = None,
    data: PathText | None = None,
    calibration: PathText | None = None,
    precision: str | Sequence[str] = (),
    compute: str | Sequence[str] = (),
    limits: Limits | None = None,
    arch: str | None = None,
    card: PathText | None = None,
    options: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    opset: int | None = None,
    bake: str | Sequence[str] = (),
    stream: tuple[int, int] | None = None,
    threads: int | None = None,
    provider_options: Mapping[str, str] | None = None,
    time: float = 10.0,
    remeasure: bool = False,
    golden: PathText | None = None,
    report_images: bool = False,
    sign: PathText | None = None,
    trust_code: bool = False,
    trust_pickle: bool = False,
    seed: int = 0,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> DeployDocument | PlanDocument:
    """Export, quantize, compile, score, measure and certify; write the bundle.

    Every stage is kept in the cache by the content of what went into it: the same call again takes
    seconds, and after a kill it goes on where it was.

    Args:
        source: See edgekit.core.source.Source.
        output: The bundle's folder.
        targets: One or several, or "all"; None takes all of the GPU, else of the CPU.
        data: Labelled data; without it the verdict is UNVERIFIED.
        calibration: A folder used for calibration alone; None splits `data`.
        precision: "fp32", "fp16", "int8"; empty means all that the target runs. int8 is in the
            dialect of the target; "int8-s8s8" certifies that of TensorRT on another engine, and
            "fp16" is simulated where the engine computes wider.
        compute: "fp32", "bf16", "fp16"; empty means all that the target has.
        limits: The budget; None means the defaults.
        arch: As for `export`.
        card: As for `export`.
        options: Keys of the card to values as YAML would give them, put over it.
        inputs: As for `export`.
        opset: As for `export`.
        bake: "preprocess" and "nms": what becomes part of the graphs.
        stream: (width, height) of the frames to come, pixels: the network input gets their shape,
            without padding beyond the stride; None keeps the model's own.
        threads: Threads of a CPU engine; None means all physical cores.
        provider_options: Options of the targets that are execution providers, key to value.
        time: Seconds of measurement for each entry, at most.
        remeasure: Measure although a measurement of an equal environment is in the cache.
        golden: Images to keep in the bundle as golden inputs; None generates them.
        report_images: Show the images that differ most, made small, in the bundle's report.html;
            False keeps every pixel of the user's out of the bundle.
        sign: File of an Ed25519 private key that signs the bundle's manifest.
        trust_code: As for `export`.
        trust_pickle: As for `export`.
        seed: Of splits, generated inputs and bootstrap.
        force: Replace an existing bundle.
        dry_run: Only say what would be done, how large and how long; writes nothing.
        progress: Receives what is being done.

    Returns:
        The bundle's document; with `dry_run` the plan's.
    """
    ...


@handed_to("edgekit.jobs.cache:list_cache")
def cache_list() -> CacheDocument:
    """Say what is in the cache: every finished stage, its size, when it was made and last used."""
    ...


@handed_to("edgekit.jobs.cache:prune", older_than="older_than_days")
def cache_prune(
    *,
    limit: str | None = None,
    older_than: float | None = None,
    everything: bool = False,
    progress: Progress | None = None,
) -> CacheDocument:
    """Remove from the cache; what a running process uses stays.

    What is damaged, and what killed processes left, always goes. Of the rest, what was used longest
    ago goes first, until the cache keeps its limit.

    Args:
        limit: A size like "5GB"; None means EDGEKIT_CACHE_LIMIT, or 10 GB.
        older_than: Days; what was not used for longer goes too.
        everything: Remove all of it.
        progress: Receives what is being done.

    Raises:
        BadInput: `limit` is no size.
    """
    ...


@handed_to("edgekit.jobs.stored:list_results")
def results_list(*, model: str | None = None, limit: int | None = None) -> ResultsDocument:
    """Say what was measured and stored, newest first.

    Args:
        model: Only results whose model's name holds this.
        limit: At most so many.
    """
    ...


@handed_to("edgekit.jobs.stored:show_result")
def results_show(result: ModelText, *, progress: Progress | None = None) -> BenchDocument:
    """Return a stored result.

    Args:
        result: Its number, "last", "last~1", or the path of one.
        progress: Told which raw samples are missing.

    Raises:
        BadInput: There is none, or it cannot be read.
    """
    ...


@handed_to("edgekit.jobs.stored:environment_of")
def results_environment(result: ModelText, other: ModelText | None = None) -> EnvironmentDocument:
    """Return the machine behind a result, and how another one's differs.

    Args:
        result: As for `results_show`.
        other: Another one.
    """
    ...


@handed_to("edgekit.jobs.stored:export_results", format="form")
def results_export(
    results: ModelText | Sequence[ModelText],
    *,
    format: str = "csv",  # noqa: A002  (the option's name)
    output: PathText | None = None,
    force: bool = False,
) -> ExportedDocument:
    """Write results in another form.

    Args:
        results: As for `results_show`.
        format: "csv", "markdown", "google-benchmark" or "json".
        output: The file; None writes none.
        force: Replace it.
    """
    ...


@handed_to("edgekit.jobs.stored:import_results", format="form")
def results_import(
    paths: PathText | Sequence[PathText],
    *,
    format: str | None = None,  # noqa: A002  (the option's name)
    model: str | None = None,
    target: str | None = None,
    progress: Progress | None = None,
) -> ResultsDocument:
    """Take results from elsewhere into the store.

    Args:
        paths: Folders or files of `edgekit bench`, times of trtexec (--exportTimes), reports of
            benchmark_app (-json_stats), or the folder `samples` of a store.
        format: "edgekit", "trtexec" or "benchmark_app"; None looks at the content.
        model: The model's name, where the file does not say it.
        target: Where it ran, likewise.
        progress: Told what is skipped.
    """
    ...


@handed_to("edgekit.jobs.stored:prune_results", older_than="older_than_days")
def results_prune(
    *,
    older_than: float | None = None,
    keep: int | None = None,
    invalid: bool = False,
    dry_run: bool = False,
) -> ResultsDocument:
    """Remove stored results with their raw samples.

    Args:
        older_than: Those measured more than so many days ago.
        keep: All but the newest so many.
        invalid: Those without a valid entry.
        dry_run: Only say which.
    """
    ...


@handed_to("edgekit.jobs.verify:run")
def verify(
    bundle: PathText,
    *,
    targets: str | Sequence[str] | None = None,
    threads: int | None = None,
    trust_engine: bool = False,
    min_parity: float | None = None,
    require_signature: PathText | None = None,
    progress: Progress | None = None,
) -> VerifyDocument:
    """Check a bundle on arrival: checksums, golden outputs, placement, repeatability.

    Needs neither torch nor a data set.

    Args:
        bundle: The bundle's folder.
        targets: Only these; None means every target of the bundle that is usable here.
        threads: Threads of a CPU engine; None means as certified.
        trust_engine: Open the bundle's own engines where they fit this machine, instead of
            compiling its graphs here.
        min_parity: Smallest SQNR of the worst output, dB; None means the certificate's limit.
        require_signature: The public key that must have signed the bundle (PEM or OpenSSH); the
            verdict is FAIL, and nothing is opened, where it has not.
        progress: Receives what is being done.

    Raises:
        BadInput: No bundle, a manifest that cannot be trusted or read, no key, or a cache that
            cannot be written.
        Unavailable: A target that was named is not usable here.
        MissingLibrary: A signature is required and cryptography is not installed.
    """
    ...


@handed_to("edgekit.jobs.predict:run")
def predict(
    model: ModelText,
    images: PathText | Sequence[PathText],
    output: PathText | None = None,
    *,
    target: str | None = None,
    compute: str | None = None,
    confidence: float | None = None,
    threads: int | None = None,
    batch: int = 1,
    trust_code: bool = False,
    trust_engine: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> PredictDocument:
    """Answer images on disk; write annotated pictures and JSON. Needs no torch.

    In a program, `edgekit.load(model).predict(image)` gives the answers as objects.

    Args:
        model: A bundle (its best entry that runs here), BUNDLE@VARIANT, an ONNX file, or a folder
            of engines.
        images: Image files, and folders that are searched for them. What cannot be read is
            skipped and named.
        output: A folder for the pictures and `predictions.json`, which is the document; None
            writes nothing.
        target: Run here or not at all; None takes the bundle's best target that is usable here.
        compute: Float precision the engine may compute in; None means as the bundle recommends.
        confidence: Detections below it are left out, 0 to 1; None means the card's own.
        threads: Threads of a CPU engine; None means as certified.
        batch: Images that go through the network together, where its batch axis allows it.
        trust_code: Allow code of the user's (a decoder) to run.
        trust_engine: Open the bundle's own engines where they fit this machine, or those of a
            folder that were not built on it.
        force: Replace an existing folder.
        progress: Receives what is being done.

    Raises:
        BadInput: No image can be read, or the model takes none.
        CheckFailed: Every entry that would do failed its certificate.
        Unavailable: The target, or every target of the bundle, is not here.
    """
    ...


@handed_to("edgekit.jobs.demo:show", options="card_options")
def demo(
    model: ModelText = "edgekit:shapes",
    *,
    source: str | None = None,
    size: tuple[int, int] | None = None,
    rate: float | None = None,
    pixel_format: str | None = None,
    display: Literal["window", "web", "none"] | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    every_frame: bool = False,
    save: PathText | None = None,
    detections: ModelText | None = None,
    stats: PathText | None = None,
    confidence: float | None = None,
    classes: str | Sequence[str] | None = None,
    track: bool = False,
    fit: Literal["stream", "model"] | None = None,
    target: str | None = None,
    compute: str | None = None,
    threads: int | None = None,
    card: PathText | None = None,
    options: Mapping[str, str] | None = None,
    arch: str | None = None,
    time: float | None = None,
    trust_code: bool = False,
    trust_pickle: bool = False,
    trust_engine: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> DemoDocument:
    """Show what a model sees, live: in a window, on a page, in a recording, in lines of JSON.

    Returns when the source ends, the user ends it, or time is up. Needs no torch, but for a trained
    model that is exported first.

    Args:
        model: A bundle (its best entry that runs here), BUNDLE@VARIANT, an ONNX file, a folder of
            engines, or a source that is exported first, as for `deploy`.
        source: A camera ("0", "/dev/video0"), a file, a folder of images, a stream ("rtsp://…"),
            "csi", "gst:PIPELINE", or "synthetic"; None means camera 0, or synthetic without one.
        size: (width, height) that the source is asked for, pixels.
        rate: Frames a second that it is asked for.
        pixel_format: FourCC that a camera is asked for, "MJPG".
        display: None means a window, or the page where there is no display.
        host: Address of the page; any but this machine's own asks for a token.
        port: Of the page; 0 takes a free one.
        every_frame: Answer every frame as fast as it goes; without it the newest frame counts, and
            what the model has no time for is dropped.
        save: Record what is shown, .mp4 or .mkv.
        detections: Write the answers as JSON lines; "-" is stdout.
        stats: Write the document as JSON.
        confidence: Detections below it are left out, 0 to 1; None means the card's own.
        classes: Show these only, by name or index; None means all.
        track: Give objects a number that follows them.
        fit: "stream" compiles the shape that needs no padding, "model" keeps the model's own; None
            is "stream" where the model allows it, but a bundle's own.
        target: Run here or not at all; None takes the fastest that agrees with fp32.
        compute: Float precision the engine may compute in; None takes the fastest that agrees.
        threads: Threads of a CPU engine; None means all physical cores, or as certified.
        card: The model's card, over every other.
        options: Keys of the card to values, put over it.
        arch: "module:factory" for a state dict.
        time: End by itself after so many seconds; None means never.
        trust_code: Allow code of the user's (a decoder, an architecture) to run.
        trust_pickle: Allow weights that only a full pickle can load.
        trust_engine: Open engines that were not built on this machine.
        force: Replace files that exist.
        progress: Receives what is being done.

    Returns:
        What was counted; `interrupted` where Ctrl-C ended it.

    Raises:
        BadInput: No such source or model, a model that takes no images, a file that exists.
        CheckFailed: Every entry of the bundle that would do failed its certificate.
        Unavailable: The camera or the target is not here.
        MissingLibrary: What the source or an output needs is not installed.
    """
    ...


@handed_to("edgekit.jobs.pack:run")
def pack(
    bundle: ModelText,
    output: PathText,
    *,
    target: str,
    compute: str | None = None,
    layout: str = "folder",
    force: bool = False,
    progress: Progress | None = None,
) -> PackDocument:
    """Put one entry of a bundle into a folder that runs without edgekit.

    The folder holds graph, engine, card, golden data, certificate, pinned requirements and run.py;
    or a model repository for a server.

    Args:
        bundle: A bundle, or BUNDLE@VARIANT; "int8" means the target's dialect.
        output: The folder to write, whole or not at all.
        target: One that the bundle was deployed for and that a script is written for:
            "onnxruntime:cpu" or "openvino:cpu".
        compute: Float precision the engine may compute in; None means the recommended one.
        layout: "folder", "triton" or "openvino-model-server".
        force: Replace an existing folder.
        progress: Receives what is being done.

    Raises:
        BadInput: A damaged bundle, nothing in it for that target, or `output` exists.
        CheckFailed: Everything that would do failed its certificate, and no variant is named.
    """
    ...


@handed_to("edgekit.jobs.inspect:run")
def inspect(model: ModelText, *, top: int = 5) -> InspectDocument:
    """Read card and graph facts off an ONNX file, a folder of graphs, a bundle or engines.

    FLOPs and bytes are those of the smallest batch, and of the typical size of other dynamic axes;
    see docs/inspect.md for the rules.

    Args:
        model: An ONNX file, a folder of graphs, a bundle, BUNDLE@VARIANT, a folder of engines, or a
            plan file of TensorRT. No engine is opened for it.
        top: How many nodes and round trips a printed table lists; the document holds all.

    Raises:
        BadInput: No such model, or one that is damaged.
    """
    ...


@handed_to("edgekit.jobs.diff:run")
def inspect_diff(before: ModelText, after: ModelText, *, top: int = 5) -> DiffDocument:
    """Compare two graphs, two variants or two bundles (`edgekit inspect --diff BEFORE AFTER`).

    Args:
        before: An ONNX file, a folder of graphs, a bundle, or BUNDLE@VARIANT.
        after: The same; a whole bundle is compared with a whole bundle.
        top: How many nodes and weights a printed list names; the document holds all.

    Raises:
        BadInput: No such model, one that is damaged, or a bundle against a graph.
    """
    ...


@handed_to("edgekit.jobs.report:run")
def report(
    sources: PathText | Sequence[PathText],
    output: PathText,
    *,
    data: PathText | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ReportDocument:
    """Write one self-contained HTML page about bundles or results. Needs no torch.

    Args:
        sources: Bundles, folders or JSON documents of `bench`, JSON documents of `deploy` and
            `eval`; several are shown side by side.
        output: The HTML file.
        data: Folder of the images that scored; those that the page names, and whose sha256 is
            theirs, are drawn into it. None draws the answers on blank sheets.
        force: Replace an existing file.
        progress: Receives what is being done.

    Raises:
        BadInput: No bundle and no result, one that cannot be read, or `output` exists or lies in a
            bundle.
        MissingLibrary: A library of the extra "report" is not installed.
    """
    ...


@handed_to("edgekit.jobs.debug:run_parity")
def debug_parity(
    model: ModelText,
    *,
    target: str | None = None,
    compute: str = "fp32",
    against: ModelText | None = None,
    data: PathText | None = None,
    threads: int | None = None,
    provider_options: Mapping[str, str] | None = None,
    min_parity: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> DebugParityDocument:
    """Find the first node whose output leaves the limit of parity (`edgekit debug parity`).

    Inner tensors of the model on the target are compared with those of the fp32 graph, which runs
    on ONNX Runtime's CPU with its optimizations off. See docs/debugging.md for the rule.

    Args:
        model: BUNDLE@VARIANT, a bundle, an ONNX file, or a folder of graphs.
        target: "openvino:cpu", or a device, "cpu"; None chooses, see docs/targets.md.
        compute: Float precision the engine may compute in.
        against: What it is compared with; None takes the bundle's fp32 variant, else the model
            itself as it is written, which shows what the engine makes of it.
        data: Images to compare on; None takes the bundle's golden inputs, else generated ones.
        threads: Threads of a CPU engine; None means all physical cores.
        provider_options: Options of an execution provider ("onnxruntime:ep=QNN"), key to value.
        min_parity: Smallest SQNR of the worst output, dB; None means the limit of the precision.
        seed: Of generated inputs.
        progress: Receives what is being done.

    Raises:
        BadInput: No such model, or two that are no variants of one model.
        ChildDied: An engine crashed.
        Unavailable: The target or ONNX Runtime is not here.
    """
    ...
