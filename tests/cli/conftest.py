"""Documents as the jobs would return them, and a command line that runs in this process."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from edgekit import api
from edgekit.cli.main import run
from edgekit.core.certificate import Check, Metric
from edgekit.core.documents import (
    AxisFacts,
    BenchDocument,
    BenchEntry,
    CacheDocument,
    CacheEntry,
    Change,
    ComparedEntry,
    CompareDocument,
    CompileDocument,
    CudaLibrary,
    DataDocument,
    DebugParityDocument,
    DemoDocument,
    DemoEvent,
    DemoRates,
    DemoSource,
    DeployDocument,
    DeployEntry,
    DiffDocument,
    Distribution,
    DoctorDocument,
    DoctorTarget,
    EngineFacts,
    EngineLayer,
    EntryDiff,
    Environment,
    EnvironmentDocument,
    EvalDocument,
    ExportDocument,
    ExportedDocument,
    Gpu,
    GraphDiff,
    GraphFacts,
    InspectDocument,
    JetsonFacts,
    NodeChange,
    NodeWork,
    NvidiaFacts,
    OperatorWork,
    OutputParity,
    PackDocument,
    PackedFile,
    PackedGraph,
    ParityNode,
    ParityValue,
    PlanDocument,
    PlannedStage,
    PredictDocument,
    PredictedClass,
    PredictedImage,
    PredictedObject,
    PredictedRegion,
    QuantizeDocument,
    Recommendation,
    ReportChoice,
    ReportDocument,
    ResultRun,
    ResultsDocument,
    RoundTrip,
    RuntimeLimit,
    StageTime,
    TappedTensor,
    VerifyDocument,
    VerifyEntry,
    WeightChange,
)
from edgekit.core.measurement import Latency
from edgekit.core.runtime import CompileOptions, TensorInfo
from edgekit.runtimes.words import UNTRIED

ENVIRONMENT = Environment(identity={"cpu": "A CPU at 2 GHz", "threads": 2}, observed={})
METRIC = Metric(name="mAP50-95", value=0.3415, low=0.3, high=0.38, n=64)
PARITY = (
    OutputParity(
        role="main",
        output="logits",
        shape=(1, 1000),
        max_abs=1e-5,
        max_rel=2e-4,
        cosine=1.0,
        sqnr_db=112.3,
    ),
)
PASS = Check(verdict="PASS", value=0.95, limit=0.85, proven=True)


def deploy_entry(target, variant, compute, verdict="PASS", p50=12.04, **changes):
    """One row of a deployment; agreement 0.95 and a drop of a quarter of a point."""
    entry = DeployEntry(
        target=target,
        variant=variant,
        compute=compute,
        verdict=verdict,
        executed_precision=compute,
        checks={"finite": PASS, "agreement": PASS},
        metric=msgspec.structs.replace(
            METRIC, value=0.339, drop=0.0025, drop_low=-0.001, drop_high=0.004
        ),
        latency=Latency(
            boundary="latency.host", n=800, p50_ms=p50, p50_low_ms=p50 * 0.98, p50_high_ms=p50 * 1.1
        ),
        throughput_per_s=1000 / p50,
        size_bytes=3_712_345,
        load_ms=30.0,
        first_ms=14.0,
        rss_peak_bytes=200_000_000,
        energy_j=None,
    )
    return msgspec.structs.replace(entry, **changes)


def choice(target, variant="fp32", reason="the fastest that passes"):
    return Recommendation(
        target=target, variant=variant, compute="fp32" if variant else None, reason=reason
    )


def deploy_document(**changes):
    ort, ov = "onnxruntime:cpu", "openvino:cpu"
    failed = Check(
        verdict="FAIL",
        value=33.9,
        limit=1.0,
        reason="mAP50-95 drops by 33.9 points, more than the limit of 1.0.",
    )
    document = DeployDocument(
        bundle="bundles/yolox_nano",
        source="yolox_nano.pt2",
        recommended=(choice(ort), choice(ov)),
        best=choice(ort),
        verdict="PASS",
        entries=(
            deploy_entry(ort, "fp32", "fp32"),
            deploy_entry(
                ort,
                "int8-u8s8",
                "fp32",
                verdict="FAIL",
                p50=24.1,
                checks={"finite": PASS, "metric": failed, "agreement": PASS},
                metric=msgspec.structs.replace(METRIC, value=0.001, drop=0.339),
            ),
            deploy_entry(ov, "fp32", "fp32", p50=13.6),
            deploy_entry(ov, "fp32", "bf16", p50=0.0421, verdict="UNVERIFIED"),
        ),
        reference="torch 2.13.0 eager",
        reference_metric=METRIC,
        environment=ENVIRONMENT,
    )
    return msgspec.structs.replace(document, **changes)


def bench_entry(**changes):
    entry = BenchEntry(
        target="onnxruntime:cpu",
        variant="int8-u8s8",
        compute="fp32",
        executed_precision="int8",
        scenario="single-stream",
        boundary="latency.host",
        valid=True,
        reasons=(),
        n=12345,
        p50_ms=0.123,
        p50_low_ms=0.121,
        p50_high_ms=0.125,
        p90_ms=0.2,
        p99_ms=None,
        throughput_per_s=8130.0,
        load_ms=104.2,
        first_ms=12.31,
        compile_ms=None,
        rss_peak_bytes=312_000_000,
        rss_base_bytes=90_000_000,
        energy_j=None,
        samples="out/samples.json",
        warmup=100,
        steady=True,
        stopped_by="time",
        missing={"p99": 62},
    )
    return msgspec.structs.replace(entry, **changes)


def compared_entry(**changes):
    entry = ComparedEntry(
        base="fp32 on openvino:cpu in fp32, batch 1",
        new="int8-u8s8 on openvino:cpu in bf16, batch 1",
        boundary="latency.host",
        scenario="single-stream",
        verdict="SLOWER",
        ratio=1.052,
        ratio_low=1.041,
        ratio_high=1.063,
        typical_verdict="SLOWER",
        mean_verdict="SLOWER",
        mean_ratio=1.061,
        mean_ratio_low=1.043,
        mean_ratio_high=1.079,
        confidence=0.99,
        paired=True,
        base_p50_ms=12.04,
        new_p50_ms=12.66,
        base_mean_ms=12.21,
        new_mean_ms=12.95,
        base_n=1234,
        new_n=1180,
        blocks=40,
        seconds=6.5,
        stopped_by="interval",
        reasons=("Opening both takes so long that it was done 2 times only.",),
    )
    return msgspec.structs.replace(entry, **changes)


def cache_entry(**changes):
    entry = CacheEntry(
        stage="engine",
        subject="yolox_nano, int8-u8s8 for openvino:cpu in bf16",
        key="ab" * 32,
        created="2026-11-20T10:00:00+00:00",
        used="2026-11-23T10:00:00+00:00",
        size_bytes=1_250_000,
        in_use=False,
    )
    return msgspec.structs.replace(entry, **changes)


def cache_document():
    """One stage that is there, and one that was removed."""
    return CacheDocument(
        folder="/home/me/.cache/edgekit",
        size_bytes=1_250_000,
        limit_bytes=10_000_000_000,
        by_stage={"engine": 1_250_000},
        entries=(cache_entry(),),
        removed=(cache_entry(subject="old", reason="It was not used for 40 days."),),
    )


def result_run(**changes):
    run = ResultRun(
        run=12,
        created="2026-11-23T10:00:00+00:00",
        model="yolox_nano.onnx",
        tool="edgekit",
        targets=("onnxruntime:cpu", "openvino:cpu"),
        entries=2,
        valid=2,
        machine="Intel(R) Xeon(R) Processor",
        environment="ab" * 32,
    )
    return msgspec.structs.replace(run, **changes)


def plan_document():
    """A deployment whose export is cached."""
    stage = PlannedStage(
        stage="export",
        subject="yolox_nano",
        cached=True,
        seconds=12.0,
        size_bytes=3_700_000,
        basis="from the cache (abababababab), made 2026-11-20T10:00:00+00:00.",
    )
    return PlanDocument(
        source="yolox_nano.pt2",
        bundle="bundles/yolox_nano",
        entries=("fp32 on onnxruntime:cpu in fp32",),
        stages=(
            stage,
            msgspec.structs.replace(
                stage,
                stage="engine",
                subject="yolox_nano, fp32 for onnxruntime:cpu in fp32",
                cached=False,
                basis="As the last time, 2026-11-20T10:00:00+00:00.",
            ),
            msgspec.structs.replace(
                stage,
                stage="certificate",
                subject="yolox_nano, fp32 on onnxruntime:cpu in fp32",
                cached=False,
                seconds=100.0,
                size_bytes=0,
                basis="A guess: there was none before.",
            ),
        ),
        seconds=112.0,
        size_bytes=3_700_000,
        cache_bytes=1_250_000,
        notes=(
            (
                "int8 was left out, there is nothing to calibrate it on: no data was given. "
                "Give --data DIR or --calibration DIR."
            ),
        ),
    )


def engine_facts(**changes):
    """What is known of an engine for two GPUs that are not here."""
    facts = EngineFacts(
        role="main",
        file="engines/main/engine.plan",
        size_bytes=410_000,
        sha256="1" * 64,
        whole=False,
        target="tensorrt-rtx:cuda",
        device="any GPU | sm86,sm120",
        builder="TensorRT for RTX 1.7.1.116",
        options=CompileOptions(threads=2, allow_fallback=True, portable=("version", "hardware")),
        graph_sha256="2" * 64,
        inputs=(TensorInfo("image", "float32", ("batch", 3, 64, 64)),),
        outputs=(TensorInfo("logits", "float32", ("batch", 10)),),
        profiles=({"image": ((1, 3, 64, 64), (4, 3, 64, 64), (8, 3, 64, 64))},),
        planned={"int8": 0.75, "fp32": 0.25},
        layers=(
            EngineLayer(name="a_node_of_a_long_name" * 3, kind="CONVOLUTION", precision="int8"),
            *(EngineLayer(name=f"tanh_{n}", kind="ACTIVATION", precision="fp32") for n in range(6)),
        ),
        memory={"weights_bytes": 248_000, "activations_bytes": 9_700_000},
        notes=("The build ran out of memory with 1 GB of scratch.",),
        warnings=("Detected layers with unusual precision.",),
    )
    return msgspec.structs.replace(facts, **changes)


def engines_document():
    """inspect of a folder of two engines, one of them damaged."""
    return InspectDocument(
        model="engines",
        card={"task": "raw"},
        graphs=(),
        engines=(
            engine_facts(),
            engine_facts(
                role="step", whole=True, built_here=True, layers=(), notes=(), warnings=()
            ),
        ),
    )


def plan_file_document():
    """inspect of a plan file of another program."""
    return InspectDocument(
        model="yolo.engine",
        card={"task": "detection", "labels": ["cat"]},
        graphs=(),
        engines=(
            EngineFacts(
                role="main",
                file="yolo.engine",
                size_bytes=5400,
                sha256="3" * 64,
                whole=None,
                metadata={"stride": 32, "names": {"0": "cat"}, "long": "x" * 200},
            ),
        ),
    )


def documents():
    """One document of every command, by command."""
    return {
        "cache": cache_document(),
        "environment": EnvironmentDocument(
            result="12",
            environment=ENVIRONMENT,
            other="13",
            differences=("cpu: Xeon, Cortex-A78",),
            observed=("load_average: 0.1, 2.5",),
        ),
        "exported": ExportedDocument(
            format="csv", results=("12",), output=None, text="target,n\nopenvino:cpu,12\n"
        ),
        "results": ResultsDocument(
            folder="/home/me/.local/share/edgekit/results",
            runs=(result_run(), result_run(run=11, valid=0)),
            imported=(result_run(run=13, tool="trtexec", machine=""),),
            removed=(result_run(run=1),),
            damage=("/home/me/results.sqlite is damaged: lost are run 4.",),
        ),
        "plan": plan_document(),
        "doctor": DoctorDocument(
            targets=(
                DoctorTarget(
                    target="onnxruntime:cpu",
                    usable=True,
                    reason="",
                    fix="",
                    version="1.31.1",
                    precisions=("fp32", "int8"),
                    computes=("fp32",),
                ),
                DoctorTarget(
                    target="openvino:cpu",
                    usable=False,
                    reason="openvino is not installed.",
                    fix="pip install 'edgekit[cpu]'",
                ),
            ),
            problems=("/tmp is full.",),
            environment=ENVIRONMENT,
            nvidia=NvidiaFacts(
                driver="570.124.06",
                gpus=(
                    Gpu(
                        index=0,
                        name="NVIDIA GeForce RTX 4090",
                        sm=89,
                        memory_bytes=24564 << 20,
                        free_bytes=23987 << 20,
                        driver="570.124.06",
                    ),
                    Gpu(index=1, name="NVIDIA H100 80GB HBM3", mig=True),
                ),
                libraries=(
                    CudaLibrary(
                        name="libcudart",
                        version="12.6.77",
                        path="/usr/lib/libcudart.so.12",
                        place="loader",
                    ),
                    CudaLibrary(
                        name="libcudnn", version="9", path="/venv/libcudnn.so.9", place="package"
                    ),
                ),
                instances=("1g.10gb",),
                note=UNTRIED,
            ),
            jetson=JetsonFacts(
                model="NVIDIA Jetson Orin Nano Developer Kit",
                chip="tegra234",
                l4t="36.4.3",
                jetpack="6.2",
                power_mode="25W",
                power_mode_id=1,
                power_mode_max_id=2,
                clocks_locked=False,
                memory_bytes=8 << 30,
                available_bytes=5 << 30,
                swap_bytes=0,
                swap_free_bytes=0,
                note=UNTRIED,
            ),
        ),
        "data": DataDocument(
            name="digits", folder="digits", images=300, roles={"calib": 100, "eval": 200}
        ),
        "export": ExportDocument(
            source="model.pt2",
            graphs={"main": "model.onnx"},
            exporter="torch.export",
            opset=20,
            verdict="PASS",
            parity=PARITY,
            shapes={"main": ({"x": (1, 3, 224, 224)},)},
            size_bytes=4_900_000,
            notes=("constants folded",),
        ),
        "quantize": QuantizeDocument(
            model="model.onnx",
            variant="int8-u8s8",
            graphs={"main": "model.int8-u8s8.onnx"},
            decisions={"main": "quantization.json"},
            verdict="PASS",
            parity=PARITY,
            size_bytes=1_250_000,
            size_bytes_before=4_900_000,
            quantized_share=0.981,
            images=100,
        ),
        "compile": CompileDocument(
            model="model.onnx",
            target="openvino:cpu",
            compute="bf16",
            engines={"main": "/root/.cache/edgekit/engines/abc"},
            cached=False,
            compile_ms=123.4,
            size_bytes=4_900_000,
            executed_precision="bf16",
            placement={"bf16": 0.98, "fp32": 0.02},
        ),
        "eval": EvalDocument(
            model="model.onnx",
            target="openvino:cpu",
            variant="fp32",
            compute="fp32",
            metric=Metric(
                name="top1", value=0.655, low=0.61, high=0.7, n=400, others={"top5": 0.84}
            ),
            n=400,
            skipped=("images/broken.jpg cannot be read.",),
        ),
        "bench": BenchDocument(
            model="model.onnx", environment=ENVIRONMENT, entries=(bench_entry(),)
        ),
        "deploy": deploy_document(),
        "compare": CompareDocument(
            base="monday",
            new="tuesday",
            verdict="SLOWER",
            ratio=1.052,
            ratio_low=1.041,
            ratio_high=1.063,
            differences=("load_average: [0.1, 0.2, 0.2], [1.9, 1.2, 0.8]",),
            entries=(compared_entry(),),
            missing=("Only monday has int8-u8s8 on openvino:cpu in fp32, batch 1.",),
            samples="out/samples",
        ),
        "parity": DebugParityDocument(
            model="bundles/digits@int8-u8s8",
            against="bundles/digits@fp32",
            target="openvino:cpu",
            variant="int8-u8s8",
            compute="fp32",
            limit_db=10.0,
            verdict="PASS",
            outputs=PARITY,
            node=None,
            largest_loss=ParityNode(
                role="main",
                name="node_conv2d_1",
                op="Conv",
                module="features.3.squeeze",
                tensor="conv2d_1",
                sqnr_db=23.4,
                before_db=300.0,
                own_sqnr_db=None,
                values=(
                    ParityValue(case=0, index=(0, 3, 11, 2), expected=1.25, got=-0.75),
                    ParityValue(case=1, index=(0, 3, 11, 3), expected=1.25, got="inf"),
                ),
            ),
            rounds=2,
            runs=4,
            trail=(TappedTensor(round=1, role="main", tensor="conv2d_1", sqnr_db=23.4),),
            notes=("Each call alone is within the limit.",),
        ),
        "verify": VerifyDocument(
            bundle="bundles/digits",
            verdict="PASS",
            files=31,
            damaged=(),
            entries=(
                VerifyEntry(
                    target="openvino:cpu",
                    variant="fp32",
                    compute="fp32",
                    verdict="PASS",
                    checks={"finite": PASS, "parity": PASS, "placement": PASS, "repeatable": PASS},
                ),
            ),
            differences=("cpu",),
            skipped=("onnxruntime:cpu is not installed.",),
        ),
        "predict": PredictDocument(
            model="bundles/yolox_nano",
            task="detection",
            target="openvino:cpu",
            variant="fp32",
            compute="bf16",
            verdict="PASS",
            batch=1,
            n=3,
            images=(
                PredictedImage(
                    image="a/very/long/path/" * 5 + "street.jpg",
                    width=640,
                    height=480,
                    detections=tuple(
                        PredictedObject(
                            label="person", class_index=0, score=0.9, box=(1.0, 2.0, 3.0, 4.0)
                        )
                        for _ in range(2)
                    ),
                    picture="street.jpg",
                ),
                PredictedImage(
                    image="cat.png",
                    width=8,
                    height=8,
                    classes=(PredictedClass(label="cat", class_index=1, probability=None),),
                ),
                PredictedImage(
                    image="road.png",
                    width=8,
                    height=8,
                    regions=(PredictedRegion(label="road", class_index=3, share=0.75),),
                    mask="road.mask.png",
                ),
            ),
            stages={
                "read": StageTime(n=3, mean_ms=2.0, p50_ms=None),
                "inference": StageTime(n=30, mean_ms=10.2, p50_ms=9.8),
            },
            skipped=("broken.jpg is empty.",),
            output="out",
        ),
        "demo": DemoDocument(
            model="models/yolo.onnx",
            task="detection",
            target="openvino:cpu",
            variant="fp32",
            compute="bf16",
            shape=(384, 640),
            own_shape=True,
            source=DemoSource(
                name="rtsp://camera/stream",
                state="ended",
                width=1280,
                height=720,
                rate=30.0,
                pixel_format="h264",
                backend="PyAV",
            ),
            seconds=10.0,
            fps=29.5,
            rates=DemoRates(camera=30.0, inference=29.5, shown=29.0),
            frames=295,
            captured=300,
            dropped=5,
            not_shown=5,
            stages={
                "read": Distribution(n=295, mean_ms=2.0, p50_ms=1.9, p90_ms=2.5),
                "inference": Distribution(n=5, mean_ms=21.0),
            },
            frame_age_ms=Distribution(n=295, mean_ms=30.0, p50_ms=29.0, p90_ms=41.0),
            shown_age_ms=Distribution(n=290, mean_ms=50.0, p50_ms=49.0, p90_ms=70.0),
            detections=590,
            labels=("person",),
            events=(
                DemoEvent(at_s=0.0, state="connecting"),
                DemoEvent(at_s=3.5, state="stalled", reason="No frame for 1 s."),
            ),
            saved="boxes.mp4",
            notes=("The network input is 384x640 instead of 640x640.",),
        ),
        "pack": PackDocument(
            bundle="bundles/digits",
            folder="device",
            layout="folder",
            target="openvino:cpu",
            variant="fp32",
            compute="bf16",
            verdict="PASS",
            version="2026.4.1",
            instruction_set="avx2 avx512f avx512_bf16",
            extensions=("avx2", "avx512f", "avx512_bf16", "amx_int8"),
            threads=2,
            python="3.11",
            packed_with="3.11.7",
            requirements={
                "openvino": "openvino==2026.4.1",
                "numpy": "numpy==2.4.6",
                "cv2": "opencv-python-headless==5.0.0.93",
            },
            graphs={
                "main": PackedGraph(
                    graph="model.onnx",
                    engine="engine.blob",
                    golden="golden.npz",
                    inputs=("image",),
                    outputs=("logits",),
                )
            },
            sqnr_db=56.2,
            sqnr_limit_db=20.0,
            files={"model.onnx": PackedFile(sha256="0" * 64, size_bytes=250_358)},
            size_bytes=250_358,
        ),
        "inspect": InspectDocument(
            model="model.onnx",
            card={"task": "classification", "labels": ["a", "b"], "preprocess": {"size": [8, 8]}},
            graphs=(
                GraphFacts(
                    role="main",
                    file="model.onnx",
                    size_bytes=4_900_000,
                    sha256="0" * 64,
                    opset=20,
                    ir_version=10,
                    producer="pytorch 2.13",
                    inputs={"x": ("float32", ("batch", 3, 224, 224))},
                    outputs={"logits": ("float32", ("batch", 1000))},
                    nodes=66,
                    operators={"Conv": 26, "Relu": 26},
                    parameters=1_235_496,
                    parameter_bytes=4_941_984,
                    flops=700_000_000,
                    quantized_share=0.5,
                    precision="fp32",
                    variant="int8-u8s8",
                    axes={"batch": AxisFacts(min=1, typical=8, max=64)},
                    domains={"com.microsoft": 1},
                    parameters_by_dtype={"int8": 1_235_000, "float32": 496},
                    bytes=50_000_000,
                    intensity=14.0,
                    by_operator={
                        "Conv": OperatorWork(nodes=26, flops=700_000_000, bytes=40_000_000),
                        "Relu": OperatorWork(nodes=26, flops=0, bytes=10_000_000),
                    },
                    by_node=(
                        NodeWork(
                            name="a_node_of_a_name_that_is_longer_than_its_column",
                            op="ConvTransposeOfALongName",
                            flops=700_000_000,
                            bytes=40_000_000,
                            precision="int8",
                            module="features.3.squeeze",
                        ),
                        NodeWork(name="unknown", op="If", flops=None, bytes=None, precision="int"),
                    ),
                    unknown_nodes=("unknown",),
                    precision_shares={"int8": 0.5, "fp32": 0.5},
                    int8_on_onnxruntime=0.25,
                    round_trips=(
                        RoundTrip(
                            kind="island",
                            operators=("Conv", "Sigmoid", "Mul"),
                            nodes=("features.3.squeeze.conv", "sigmoid", "mul"),
                            conversions=("a", "b"),
                            bytes=12_000_000,
                            flops=350_000_000,
                        ),
                        RoundTrip(
                            kind="requantize",
                            operators=(),
                            nodes=(),
                            conversions=("c", "d"),
                            bytes=None,
                            flops=0,
                        ),
                    ),
                    round_trip_bytes=12_000_000,
                    limits=(
                        RuntimeLimit(
                            runtime="onnxruntime",
                            version="1.32.0",
                            installed=True,
                            verdict="ok",
                            opset_min=7,
                            opset_max=28,
                            ir_max=14,
                            source="asked of the library",
                        ),
                        RuntimeLimit(
                            runtime="openvino",
                            version="2026.4.1",
                            installed=False,
                            verdict="unknown",
                            opset_min=None,
                            opset_max=None,
                            ir_max=None,
                            source="no source known",
                            reason="Any opset is read, but operators by their definitions of "
                            "opset 23 or before.",
                        ),
                    ),
                ),
            ),
        ),
        "report": ReportDocument(
            output="report.html",
            bundles=("a.bundle", "b/bench.json"),
            recommended=(
                ReportChoice(
                    bundle="a.bundle",
                    target="openvino:cpu",
                    variant="int8-u8s8",
                    compute="fp32",
                    verdict="PASS",
                    reason="int8-u8s8 in fp32 is the fastest of the 5 entries that hold.",
                ),
                ReportChoice(
                    bundle="b/bench.json", reason="A result of edgekit bench has no certificate."
                ),
            ),
            size_bytes=412_000,
            pictures=20,
            notes=(
                (
                    "int8 was left out, there is nothing to calibrate it on: no data was given. "
                    "Give --data DIR or --calibration DIR."
                ),
            ),
        ),
        "diff": DiffDocument(
            before="a.bundle",
            after="b.bundle",
            equal=False,
            graphs=(
                GraphDiff(
                    role="main",
                    before="a.onnx",
                    after="b.onnx",
                    equal=False,
                    facts={"opset": Change(before=17, after=20)},
                    inputs={"x": Change(before=None, after=("float32", ("batch", 3, 224, 224)))},
                    metadata={"edgekit.card.task": Change(before="raw", after=None)},
                    nodes_added=("conv (Conv)",),
                    nodes_changed=(
                        NodeChange(name="fc", renamed="fc2", op="Gemm", changed=("inputs",)),
                    ),
                    nodes_renamed=1,
                    weights_changed=(
                        WeightChange(
                            name="w",
                            before="float [3]",
                            after="float [3]",
                            max_abs=0.5,
                            elements=2,
                        ),
                    ),
                ),
            ),
            card={"postprocess.confidence": Change(before=0.25, after=0.4)},
            bundle={"source." + "x" * 60: Change(before="y" * 90, after="z" * 90)},
            entries=(
                EntryDiff(
                    target="openvino:cpu",
                    variant="fp32",
                    compute="fp32",
                    figures={"p50_ms": Change(before=12.25, after=None)},
                ),
            ),
        ),
    }


# The call in edgekit.api, and the kind of document, of commands that are called otherwise.
CALLS = {
    "cache": "cache_prune",
    "results": "results_import",
    "eval": "evaluate",
    "debug": "debug_parity",
}
KINDS = {"debug": "parity"}

# Arguments that make each command call its API.
ARGUMENTS = {
    "doctor": [],
    "data": ["digits", "-o", "digits"],
    "export": ["model.pt2", "-o", "model.onnx"],
    "quantize": ["model.onnx", "--data", "images"],
    "compile": ["model.onnx", "--target", "openvino:cpu"],
    "eval": ["model.onnx", "--data", "images", "--target", "openvino:cpu"],
    "bench": ["model.onnx", "--target", "openvino:cpu"],
    "deploy": ["model.pt2", "-o", "bundle", "--target", "openvino:cpu"],
    "verify": ["bundle"],
    "cache": ["prune"],
    "debug": ["parity", "bundle@int8", "--target", "openvino:cpu"],
    "pack": ["bundle", "--target", "openvino:cpu", "-o", "device"],
    "inspect": ["model.onnx"],
    "predict": ["bundle", "street.jpg", "images"],
    "demo": ["yolo.onnx", "--source", "0"],
    "compare": ["monday", "tuesday"],
    "report": ["a.bundle", "b/bench.json", "-o", "report.html"],
    "results": ["import", "times.json"],
}


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: str
    stderr: str

    @property
    def document(self):
        return msgspec.json.decode(self.stdout)


@pytest.fixture
def engines():
    return engines_document()


@pytest.fixture
def plan_file():
    return plan_file_document()


@pytest.fixture
def invoke(capsys, monkeypatch):
    """Run the command line in this process."""
    monkeypatch.setenv("COLUMNS", "80")

    def invoked(*arguments):
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return invoked


@pytest.fixture
def answer(monkeypatch):
    """Let an API call return what is given, or raise it, and record how it was called."""
    calls = []

    def answered(name, result):
        def call(*positional, **named):
            calls.append((positional, named))
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(api, CALLS.get(name, name), call)
        return calls

    return answered


@pytest.fixture
def call_of():
    """The name of a command's call in edgekit.api."""
    return lambda name: CALLS.get(name, name)


@pytest.fixture
def kind_of():
    """The kind of a command's document."""
    return lambda name: KINDS.get(name, name)


@pytest.fixture
def samples():
    return documents()


@pytest.fixture
def arguments():
    return ARGUMENTS


@pytest.fixture
def make():
    """Makers of documents by name."""
    return {
        "deploy": deploy_document,
        "deploy_entry": deploy_entry,
        "choice": choice,
        "bench_entry": bench_entry,
        "compared_entry": compared_entry,
    }
