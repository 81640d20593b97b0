"""Plugins of ONNX Runtime: found, registered once, and what is said where they fail."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekit.runtimes import ort_offered
from edgekit.runtimes.ort_offered import LIBRARIES, ask, listed, register


class Library:
    """An onnxruntime that a plugin can be registered with."""

    __version__ = "1.32.0"

    def __init__(self, *, device: bool = True, error: str = "") -> None:
        self.registered: list[tuple[str, str]] = []
        self.device = device
        self.error = error

    def get_available_providers(self) -> list[str]:
        brought = [name for name, _ in self.registered] if self.device else []
        return ["CPUExecutionProvider", *brought]

    def register_execution_provider_library(self, name: str, path: str) -> None:
        if self.error:
            raise RuntimeError(self.error)
        self.registered.append((name, path))


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort_offered, "_registered", set())
    monkeypatch.delenv(LIBRARIES, raising=False)


@pytest.fixture
def qnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin of onnxruntime-qnn 2, as far as Python sees it."""
    module: Any = SimpleNamespace(get_library_path=lambda: "/opt/qnn/libqnn.so")
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", module)
    monkeypatch.setattr(ort_offered, "files_present", lambda name: name == "onnxruntime_qnn")


def test_a_plugin_is_registered_once_under_its_full_name(qnn: None) -> None:
    library = Library()
    assert register(library, "QNN") == ""
    assert register(library, "QNN") == ""
    assert library.registered == [("QNNExecutionProvider", "/opt/qnn/libqnn.so")]


def test_what_has_no_plugin_or_is_built_in_is_left_alone(qnn: None) -> None:
    library = Library()
    assert [register(library, name) for name in ("CPU", "OpenVINO", "Acme")] == ["", "", ""]
    assert library.registered == []


def test_a_plugin_without_its_device_is_registered_once_too(qnn: None) -> None:
    # ONNX Runtime refuses a name that is taken.
    library = Library(device=False)
    assert register(library, "QNN") == register(library, "QNN") != ""
    assert len(library.registered) == 1


def test_a_plugin_without_its_device_says_so(qnn: None) -> None:
    problem = register(Library(device=False), "QNN")
    assert problem == (
        "onnxruntime-qnn is installed and finds no device of its own on this machine."
    )


def test_a_plugin_that_does_not_load_is_a_sentence(qnn: None) -> None:
    problem = register(Library(error="cannot open\n  shared object"), "QNN")
    assert problem == "onnxruntime-qnn does not load: cannot open shared object"


def test_an_onnxruntime_too_old_for_plugins_says_so(qnn: None) -> None:
    old = SimpleNamespace(__version__="1.20.1", get_available_providers=list)
    assert "1.20.1 cannot load; 1.22 can" in register(old, "QNN")


def test_a_library_can_be_named_by_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIBRARIES, "Acme=/opt/acme.so:QNNExecutionProvider=/opt/own.so")
    library = Library()
    assert register(library, "Acme") == ""
    assert register(library, "QNN") == ""
    assert library.registered == [
        ("Acme", str(Path("/opt/acme.so"))),
        ("QNNExecutionProvider", str(Path("/opt/own.so"))),
    ]


def test_asking_imports_onnxruntime_in_a_process_of_its_own() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    offer = ask()
    assert list(offer.providers) == onnxruntime.get_available_providers()
    assert offer.problem == ""


def test_a_library_that_is_no_plugin_is_told_from_the_process_that_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "libacme.so"
    file.write_text("no library")
    monkeypatch.setenv(LIBRARIES, f"Acme={file}")
    ask.cache_clear()
    offer = ask(("Acme",))
    ask.cache_clear()
    assert offer.problem.startswith(f"{file} does not load: ")
    assert "CPUExecutionProvider" in offer.providers


def test_doctor_looks_at_what_has_no_target_of_its_own(
    monkeypatch: pytest.MonkeyPatch, qnn: None
) -> None:
    names = ("CUDA", "Tensorrt", "Azure", "CPU", "acme")
    offer = ort_offered.Offer(tuple(f"{name}ExecutionProvider" for name in names))
    monkeypatch.setattr(ort_offered, "ask", lambda _: offer)
    # QNN's plugin is installed and offers nothing: why not is worth a line.
    assert listed() == ("Tensorrt", "acme", "QNN")
