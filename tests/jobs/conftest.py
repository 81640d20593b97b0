"""Bundles that several tests look at; made once."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgekit import api
from edgekit.core.progress import Silent

TARGETS = ("onnxruntime:cpu", "openvino:cpu")
# Helpers that several test modules import.
sys.path.insert(0, str(Path(__file__).parent))
MODELS = Path(__file__).parent.parent / "models"


def load_module(name: str):
    spec = importlib.util.spec_from_file_location(name, MODELS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Interrupting(Silent):
    """Ctrl-C at the first step of a loop: when there is something to lose, however fast it came.

    Args:
        label: Part of the loop's; empty for no loop.
    """

    def __init__(self, label: str = "") -> None:
        self._label = label
        self.notes: list[str] = []

    def note(self, message):
        self.notes.append(message)

    def track(self, items, label, total=None):
        for item in items:
            if self._label and self._label in label:
                self._label = ""
                os.kill(os.getpid(), signal.SIGINT)
            yield item


@pytest.fixture
def interrupting():
    """The class; Ctrl-C interrupts meanwhile, which whoever starts tests may have switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Interrupting
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The built-in data set on disk."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    api.data("digits", folder)
    return folder


@pytest.fixture(scope="session")
def digits_onnx(tmp_path_factory) -> Path:
    """The built-in model as an ONNX file with its card inside."""
    path = tmp_path_factory.mktemp("onnx") / "digits.onnx"
    api.export("edgekit:digits", path)
    return path


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    """500 scenes that no training has seen, and 100 to calibrate on."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    api.data("shapes", folder, count=500)
    return folder


@pytest.fixture(scope="session")
def deployed(tmp_path_factory, digits):
    """(document, bundle) of the built-in model on both CPU engines."""
    bundle = tmp_path_factory.mktemp("bundles") / "digits"
    document = api.deploy(
        "edgekit:digits", bundle, targets=TARGETS, data=digits, compute=("fp32",), time=0.5
    )
    return document, bundle


@pytest.fixture(scope="session")
def baked(tmp_path_factory, digits):
    """(document, bundle) of the same, normalisation inside the graphs."""
    bundle = tmp_path_factory.mktemp("baked") / "bundle"
    document = api.deploy(
        "edgekit:digits",
        bundle,
        targets=TARGETS,
        data=digits,
        compute=("fp32",),
        bake=("preprocess",),
        time=0.2,
    )
    return document, bundle


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """Weights, card and arrays of a model of two graphs, the second with state."""
    module = load_module("toy_seq")
    folder = tmp_path_factory.mktemp("toy")
    module.write_weights(str(folder / "toy.pth"))
    (folder / "toy.card.yaml").write_text(yaml.safe_dump(module.CARD))
    random = np.random.default_rng(0)
    (folder / "data").mkdir()
    sequence = random.normal(size=(24, 6, module.FEATURES)).astype(np.float32)
    np.savez(folder / "data" / "encoder.npz", sequence=sequence)
    np.savez(
        folder / "data" / "step.npz",
        x=random.normal(size=(24, module.FEATURES)).astype(np.float32),
        h_in=np.tanh(random.normal(size=(24, module.HIDDEN))).astype(np.float32),
    )
    return folder
