"""Subjects of a page made of nothing, in every state that a page may meet."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest

from edgekit.benchmarks.report.records import Subject, name_of
from edgekit.core.certificate import CHECKS, Check, Metric
from edgekit.core.details import (
    BoxAnswer,
    ClassAnswer,
    ClassScores,
    Details,
    DifferingAnswer,
    DifferingImage,
    EntryDetails,
    MaskAnswer,
)
from edgekit.core.documents import DeployEntry, Environment, Recommendation
from edgekit.core.measurement import Latency

TARGET = "openvino:cpu"
MACHINE = Environment(
    identity={"cpu": "A CPU", "instruction_set": ["avx2"], "threads": 2, "versions": {"a": "1"}},
    observed={"load_average": [0.1, 0.2, 0.3], "memory_bytes": 8_000_000_000, "cpu_limit": None},
)
VALUES = {"parity": 42.0, "agreement": 0.97, "placement": 1.0, "metric": 0.4}
LIMITS = {"parity": 10.0, "agreement": 0.85, "placement": 1.0, "metric": 1.0}


def make_checks(**verdicts):
    """All seven checks, PASS unless told otherwise."""
    return {
        name: Check(
            verdict=verdicts.get(name, "PASS"),
            value=VALUES.get(name, 0.0),
            limit=LIMITS.get(name, 0.05),
            proven=True if name in ("metric", "agreement") else None,
            reason="" if verdicts.get(name, "PASS") == "PASS" else f"The {name} is out.",
            details={"low": 0.9, "high": 0.99} if name == "agreement" else {},
        )
        for name in CHECKS
    }


def make_entry(variant="fp32", compute="fp32", target=TARGET, p50=10.0, **changes):
    entry = DeployEntry(
        target=target,
        variant=variant,
        compute=compute,
        verdict="PASS",
        executed_precision=compute,
        checks=make_checks(),
        metric=Metric(
            name="mAP50-95",
            value=0.338,
            low=0.30,
            high=0.37,
            n=64,
            drop=0.004,
            drop_low=-0.002,
            drop_high=0.009,
        ),
        latency=Latency(
            boundary="latency.host",
            n=800,
            p50_ms=p50,
            p50_low_ms=0.98 * p50,
            p50_high_ms=1.03 * p50,
            p90_ms=1.2 * p50,
            p99_ms=1.5 * p50,
        ),
        throughput_per_s=1000 / p50,
        size_bytes=4_000_000 if variant == "fp32" else 1_000_000,
        load_ms=30.0,
        first_ms=14.0,
        rss_peak_bytes=200_000_000,
        energy_j=None,
    )
    return msgspec.structs.replace(entry, **changes)


def make_samples(entry, n=800):
    """Raw latencies about the entry's median, ns."""
    rng = np.random.default_rng(0)
    return np.maximum(1, rng.lognormal(np.log(1e6 * entry.latency.p50_ms), 0.1, n)).astype(np.int64)


def boxes(*rows):
    """x1, y1, x2, y2, score, class."""
    return BoxAnswer(
        boxes=tuple(tuple(map(float, row[:4])) for row in rows),
        scores=tuple(float(row[4]) for row in rows),
        classes=tuple(int(row[5]) for row in rows),
    )


def mask(rows):
    array = np.array(rows, np.uint8)
    counts = np.bincount(array.reshape(-1))
    found = [int(one) for one in np.argsort(-counts, kind="stable") if counts[one]]
    return MaskAnswer(
        png=cv2.imencode(".png", array)[1].tobytes(),
        classes=tuple(found),
        shares=tuple(float(counts[one] / array.size) for one in found),
    )


def jpeg(width=64, height=48):
    picture = np.full((height, width, 3), 120, np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


ANSWERS = {
    "detection": (
        boxes((8, 8, 30, 40, 0.9, 0), (40, 5, 60, 20, 0.4, 1)),
        boxes((9, 8, 31, 40, 0.8, 0), (2, 30, 20, 46, 0.3, 1)),
        boxes((8, 8, 30, 40, 1, 0)),
    ),
    "classification": (
        ClassAnswer(classes=(0, 1), probabilities=(0.6, 0.4)),
        ClassAnswer(classes=(1, 0), probabilities=(0.7, 0.3)),
        ClassAnswer(classes=(0,), probabilities=(1.0,)),
    ),
    "segmentation": (mask([[0, 0], [1, 1]]), mask([[0, 1], [1, 1]]), mask([[0, 0], [1, 1]])),
}


def make_details(entries, task="detection", image="street/a.jpg", classes=3, **changes):
    """The details of some entries: one image and a few classes."""
    reference, answer, truth = ANSWERS[task]
    scores = ClassScores(
        name="AP50-95",
        unit="objects",
        index=tuple(range(classes)),
        n=tuple(range(1, classes + 1)),
        value=tuple(0.5 - 0.4 * at / classes for at in range(classes)),
        reference=tuple(0.5 for _ in range(classes)),
    )
    one = EntryDetails(
        images=64,
        classes=scores,
        differing=(DifferingAnswer(id=image, difference=0.42, answer=answer),),
    )
    found = DifferingImage(
        id=image, sha256="0" * 64, width=64, height=48, reference=reference, truth=truth
    )
    return Details(
        entries={name_of(entry): msgspec.structs.replace(one, **changes) for entry in entries},
        images={image: found},
    )


def make_subject(entries=None, *, name="yolo", chosen=1, **changes):
    """A bundle of two entries of which int8 is to be shipped."""
    entries = entries if entries is not None else [make_entry(), make_entry("int8-u8s8", p50=5.0)]
    best = None
    if chosen is not None and entries:
        entry = entries[chosen]
        best = Recommendation(
            target=entry.target,
            variant=entry.variant,
            compute=entry.compute,
            reason=f"{entry.variant} is the fastest.",
        )
    nothing = Recommendation(
        target=TARGET, variant=None, compute=None, reason="Every entry of openvino:cpu fails."
    )
    fields = {
        "name": name,
        "kind": "bundle",
        "model": "yolo.pt2",
        "entries": entries,
        "task": "detection",
        "labels": ("person", "bicycle", "car"),
        "recommended": (best or nothing,),
        "best": best,
        "reference": "torch 2 eager, fp32",
        "environment": MACHINE,
        "created": "2026-01-02T03:04:05+00:00",
        "version": "0.1.0",
        "samples": {name_of(one): make_samples(one) for one in entries if one.latency},
        "details": make_details([one for one in entries if one.checks]),
        "recipe": "source: yolo.pt2\n",
        "commands": [("Deploy again", "edgekit deploy --config recipe.yaml")],
    }
    return Subject(**{**fields, **changes})


@pytest.fixture(scope="session")
def make():
    """Makers of subjects and of their parts, by name."""
    return {
        "subject": make_subject,
        "entry": make_entry,
        "checks": make_checks,
        "details": make_details,
        "samples": make_samples,
        "boxes": boxes,
        "mask": mask,
        "jpeg": jpeg,
    }
