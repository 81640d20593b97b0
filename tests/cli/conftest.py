"""Documents as the jobs would return them, and a command line that runs in this process."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from edgekit import api
from edgekit.cli.main import run
from edgekit.core.certificate import Check, Metric
from edgekit.core.documents import (
    BenchDocument,
    BenchEntry,
    CompileDocument,
    DataDocument,
    DeployDocument,
    DeployEntry,
    DoctorDocument,
    DoctorTarget,
    Environment,
    EvalDocument,
    ExportDocument,
    GraphFacts,
    InspectDocument,
    OutputParity,
    QuantizeDocument,
    Recommendation,
    VerifyDocument,
    VerifyEntry,
)
from edgekit.core.measurement import Latency

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


def documents():
    """One document of every command, by command."""
    return {
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
                ),
            ),
        ),
    }


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
    "inspect": ["model.onnx"],
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

        monkeypatch.setattr(api, {"eval": "evaluate"}.get(name, name), call)
        return calls

    return answered


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
    }
