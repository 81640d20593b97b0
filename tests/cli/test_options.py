"""What stands on the command line arrives at the API under its own name."""

from __future__ import annotations

import inspect
from pathlib import Path

import click
import pytest

from edgekit import api
from edgekit.cli.catalogue import COMMANDS
from edgekit.cli.group import edgekit
from edgekit.core.certificate import Limits

# The command contract: options that several commands share have these names and no others.
CONTRACT = {
    "--target", "--data", "--calibration", "--card", "--arch", "--trust-code", "--trust-pickle",
    "--precision", "--compute", "--dialect", "--opset", "--input", "--allow-fallback",
    "--trust-engine", "--require-valid", "--require-verified", "--require-proven", "--config",
    "--threads", "--batch", "--shapes", "--scenario", "--max-drop", "--max-shift",
    "--min-agreement", "--min-parity", "--time", "--seed", "--output-path", "-o", "--force",
    "--json", "--quiet",
    "--debug", "--provider-option", "--stream",
}  # fmt: skip
# The issue asks for the card "by option": --set is that option, beside the contract's own.
OWN = {
    "bench": {
        "--against",
        "--against-compute",
        "--against-target",
        "--confidence",
        "--fail-on",
        "--margin",
        "--boundary",
        "--concurrency",
        "--no-store",
        "--rate",
        "--resume",
        "--streams",
        "--sweep",
        "--timeout",
        "--trust-code",
    },
    "compare": {"--confidence", "--drift", "--fail-on", "--margin"},
    "demo": {
        "--classes",
        "--confidence",
        "--detections",
        "--display",
        "--every-frame",
        "--fit",
        "--host",
        "--pixel-format",
        "--port",
        "--rate",
        "--save",
        "--set",
        "--size",
        "--source",
        "--stats",
        "--track",
    },
    "doctor": {"--deep"},
    "debug": {"--against"},
    "cache": {"--all", "--limit", "--older-than"},
    "deploy": {
        "--bake",
        "--dry-run",
        "--golden",
        "--remeasure",
        "--report-images",
        "--set",
        "--sign",
        "--stream",
    },
    "eval": {"--set"},
    "inspect": {"--diff", "--nodes"},
    "export": {"--set", "--bake"},
    "data": {"-n", "--count"},
    "predict": {"--confidence"},
    "pack": {"--layout"},
    "quantize": {"--from", "--set"},
    "compile": {"--sm", "--mend-qdq", "--portable", "--workspace"},
    "results": {
        "--dry-run",
        "--format",
        "--invalid",
        "--keep",
        "--limit",
        "--model",
        "--older-than",
    },
    "verify": {"--require-signature"},
}


@pytest.mark.parametrize("name", COMMANDS)
def test_options_have_the_names_of_the_contract(name):
    command = edgekit.get_command(click.Context(edgekit), name)
    assert command is not None
    several = command.commands.values() if isinstance(command, click.Group) else [command]
    options = {
        text
        for one in several
        for item in one.params
        if isinstance(item, click.Option)
        for text in item.opts
    }
    assert options <= CONTRACT | OWN.get(name, set())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_calls_its_api_with_arguments_that_it_has(
    invoke, answer, samples, arguments, call_of, kind_of, name
):
    signature = inspect.signature(getattr(api, call_of(name)))
    calls = answer(name, samples[kind_of(name)])
    invoke(name, *arguments[name])
    positional, named = calls[0]
    signature.bind(*positional, **named)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_of_the_api_can_be_given_on_the_command_line(
    invoke, answer, samples, arguments, call_of, kind_of, name
):
    signature = inspect.signature(getattr(api, call_of(name)))
    calls = answer(name, samples[kind_of(name)])
    invoke(name, *arguments[name])
    positional, named = calls[0]
    given = set(signature.bind(*positional, **named).arguments)
    without_work = {"progress"} if name in ("data", "inspect") else set()
    assert given | without_work == set(signature.parameters) | without_work


def test_deploy_passes_everything_on(invoke, answer, samples):
    calls = answer("deploy", samples["deploy"])
    outcome = invoke(
        *("deploy", "w.pth", "-o", "out/b", "--target", "ort:cpu", "--target", "ov:cpu"),
        *("--data", "d", "--calibration", "c", "--precision", "fp32", "--precision", "int8"),
        *("--compute", "bf16", "--max-drop", "0.5", "--min-agreement", "0.9", "--max-shift", "0.1"),
        *("--min-parity", "19"),
        *("--require-proven", "--allow-fallback", "--arch", "net.py:make", "--card", "c.yaml"),
        *("--set", "confidence=0.4", "--set", "labels=[a=b]"),
        *("--input", "x=batch,3,8,8", "--input", "state=1,4", "--opset", "18", "--threads", "2"),
        *("--provider-option", "path=a=b", "--provider-option", "cores=2"),
        *("--bake", "preprocess,nms", "--sign", "key.pem", "--dry-run"),
        "--remeasure",
        "--report-images",
        *("--stream", "1280x720"),
        *("--time", "2.5", "--golden", "g", "--trust-code", "--trust-pickle", "--seed", "7"),
        *("--force", "--require-verified", "--quiet"),
    )
    assert outcome.status == 0
    (positional, named) = calls[0]
    named.pop("progress")
    assert positional == ("w.pth", Path("out/b"))
    assert named == {
        "targets": ("ort:cpu", "ov:cpu"),
        "data": Path("d"),
        "calibration": Path("c"),
        "precision": ("fp32", "int8"),
        "compute": ("bf16",),
        "limits": Limits(
            max_drop=0.5,
            min_agreement=0.9,
            max_shift=0.1,
            min_parity=19.0,
            require_proven=True,
            allow_fallback=True,
        ),
        "arch": "net.py:make",
        "card": Path("c.yaml"),
        "options": {"confidence": "0.4", "labels": "[a=b]"},
        "inputs": {"x": "batch,3,8,8", "state": "1,4"},
        "opset": 18,
        "threads": 2,
        "provider_options": {"path": "a=b", "cores": "2"},
        "time": 2.5,
        "golden": Path("g"),
        "bake": ("preprocess,nms",),
        "sign": Path("key.pem"),
        "dry_run": True,
        "remeasure": True,
        "report_images": True,
        "stream": (1280, 720),
        "trust_code": True,
        "trust_pickle": True,
        "seed": 7,
        "force": True,
    }


def test_a_budget_that_is_not_given_is_the_default(invoke, answer, samples, arguments):
    calls = answer("deploy", samples["deploy"])
    invoke("deploy", *arguments["deploy"])
    assert calls[0][1]["limits"] == Limits()


def test_a_limit_of_zero_is_a_limit(invoke, answer, samples, arguments):
    calls = answer("deploy", samples["deploy"])
    invoke("deploy", *arguments["deploy"], "--max-drop", "0")
    assert calls[0][1]["limits"].max_drop == 0.0


def test_an_input_name_may_hold_an_equals_sign(invoke, answer, samples, arguments):
    calls = answer("deploy", samples["deploy"])
    invoke("deploy", *arguments["deploy"], "--input", "a=b=1,2")
    assert calls[0][1]["inputs"] == {"a=b": "1,2"}


def test_a_stream_is_width_times_height(invoke, answer, samples, arguments):
    answer("deploy", samples["deploy"])
    outcome = invoke("deploy", *arguments["deploy"], "--stream", "720p")
    assert outcome.status == 2
    assert "1280x720" in outcome.stderr
