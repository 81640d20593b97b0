"""Execution providers by name, and what brings each."""

from __future__ import annotations

import pytest

from edgekit.runtimes.ort_providers import (
    FLAVOURS,
    PROVIDERS,
    missing,
    offered_as,
    provider,
    short_name,
)

HERE = ["AzureExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("QNN", "QNN"),
        ("qnn", "QNN"),
        ("QNNExecutionProvider", "QNN"),
        ("qnnexecutionprovider", "QNN"),
        ("DirectML", "Dml"),
        ("XNNPACK", "Xnnpack"),
        ("TensorRT", "Tensorrt"),
        ("TensorRT-RTX", "NvTensorRTRTX"),
        ("Acme", "Acme"),
        ("AcmeExecutionProvider", "Acme"),
        ("ExecutionProvider", "ExecutionProvider"),
    ],
)
def test_a_provider_is_written_in_one_way_however_it_was_typed(typed: str, name: str) -> None:
    assert short_name(typed) == name


def test_what_is_offered_is_found_in_any_case_of_letters() -> None:
    assert offered_as("azure", HERE) == "AzureExecutionProvider"
    assert offered_as("DirectML", ["DmlExecutionProvider"]) == "DmlExecutionProvider"
    # A plugin's name need not end as ONNX Runtime's own do.
    assert offered_as("GGML", [*HERE, "ggml"]) == "ggml"
    assert offered_as("QNN", HERE) is None


def test_a_known_provider_that_is_not_here_comes_with_what_brings_it() -> None:
    reason, fix = missing("qnn", HERE, "onnxruntime 1.32.0")
    assert reason == "onnxruntime 1.32.0 has no QNNExecutionProvider."
    assert fix.startswith("pip install onnxruntime-qnn (https://onnxruntime.ai/")
    _, fix = missing("DirectML", HERE, "onnxruntime 1.32.0")
    # Both install the package "onnxruntime": the one must go.
    assert fix.startswith("pip uninstall -y onnxruntime && pip install onnxruntime-directml (")
    assert missing("Xnnpack", HERE, "x")[1].startswith("Build ONNX Runtime with it.")
    assert missing("VitisAI", HERE, "x")[1].startswith("It comes with AMD's")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("Azur", "Did you mean 'Azure'?"),
        ("QMN", "Did you mean 'QNN'?"),
        ("zzz", "It has: Azure, CPU."),
    ],
)
def test_a_typo_gets_the_closest_and_first_of_what_is_here(typed: str, hint: str) -> None:
    reason, fix = missing(typed, HERE, "onnxruntime 1.32.0")
    assert (reason, fix) == (f"onnxruntime 1.32.0 has no execution provider {typed!r}.", hint)


def test_the_table_is_whole() -> None:
    words = [word.casefold() for one in PROVIDERS for word in (one.name, *one.aliases)]
    assert len(words) == len(set(words))
    for one in PROVIDERS:
        assert provider(one.full_name) is one
        assert one.page.startswith("https://"), one.name
        assert bool(one.plugin) == bool(one.module), one.name
        assert not one.flavour or one.flavour in FLAVOURS, one.name


def test_every_provider_that_onnxruntime_knows_is_in_the_table() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    of_browsers = {"JsExecutionProvider", "WebNNExecutionProvider"}
    unknown = [name for name in onnxruntime.get_all_providers() if provider(name) is None]
    assert set(unknown) <= of_browsers
