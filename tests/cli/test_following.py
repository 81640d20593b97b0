"""After a result comes the next command: whole, quoted, on stderr, and one that exists."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_examples import parsed

from edgekit.cli import following as module
from edgekit.cli.catalogue import COMMANDS
from edgekit.cli.following import following
from edgekit.core.certificate import Check

replace = msgspec.structs.replace
ON_OPENVINO = "--target openvino:cpu"
DOCTOR = [
    "edgekit data digits -o digits",
    "edgekit deploy edgekit:digits --data digits --target onnxruntime:cpu -o digits.bundle",
]
# Pieces of commands that hold no space: names that edgekit's own rules let through.
FITTING = {"path.stem", "name", "value"}
FAIL = Check(verdict="FAIL", value=1.0, limit=10.0)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to be in, with a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "model.onnx").write_bytes(b"")
    return tmp_path


def said(stderr):
    return [line.partition("next: ")[2] for line in stderr.splitlines() if "next: " in line]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_is_suggested_parses(invoke, answer, samples, arguments, kind_of, name):
    answer(name, samples[kind_of(name)])
    outcome = invoke(name, *arguments[name])
    for line in said(outcome.stderr):
        if line.startswith("edgekit "):
            parsed(line)
        else:
            assert name == "pack"
    assert "next" not in outcome.stdout


@pytest.mark.parametrize("option", ["--quiet", "--json"])
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_suggested_to_who_does_not_ask(
    invoke, answer, samples, arguments, kind_of, name, option
):
    answer(name, samples[kind_of(name)])
    assert "next" not in invoke(name, *arguments[name], option).stderr


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("doctor", {}, DOCTOR),
        ("compile", {}, ["edgekit bench model.onnx --target openvino:cpu --compute bf16"]),
        ("eval", {"data": Path("my images")},
         ["edgekit deploy model.onnx --data 'my images' --target openvino:cpu -o model.bundle"]),
        ("pack", {}, ["python device/run.py --check"]),
        ("verify", {}, [f"edgekit pack bundles/digits {ON_OPENVINO} -o digits-openvino-cpu"]),
        ("predict", {}, []),
        ("cache", {}, []),
        ("diff", {}, []),
        ("parity", {}, []),
    ],
)  # fmt: skip
def test_what_comes_next(samples, kind, options, expected):
    if kind == "doctor":
        pytest.importorskip("torch")
    assert following(samples[kind], options) == expected


def test_an_unclear_comparison_is_given_more_time(samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = replace(samples["compare"].entries[0], verdict="UNCLEAR", mean_verdict="UNCLEAR")
    unclear = replace(samples["compare"], verdict="UNCLEAR", entries=(entry,))
    line = ["bench", "new.onnx", "--against", "old.onnx", "--target", "ort"]
    again = "edgekit bench new.onnx --against old.onnx --target ort --time 240"
    assert following(unclear, {}, line) == [again]
    assert following(unclear, {}, [*line, "--time=5"]) == []
    assert following(unclear, {}, ["compare", "monday", "tuesday"]) == []
    # What both ratios prove, and is not the same, no time decides.
    at_odds = replace(unclear, entries=(replace(entry, mean_verdict="FASTER"),))
    assert following(at_odds, {}, line) == []
    clear = replace(unclear, verdict="SAME")
    assert following(clear, {"output": Path("found")}, [*line, "-o", "found"]) == [
        "edgekit report found -o found.html"
    ]


def test_an_export_goes_on_to_int8_and_to_a_bundle(samples, monkeypatch):
    monkeypatch.setattr(module, "_engines", lambda: ["openvino:cpu"])
    given = {"output": Path("model.onnx"), "data": Path("images")}
    assert following(samples["export"], given) == [
        "edgekit quantize model.onnx --data images",
        "edgekit deploy model.onnx --data images --target openvino:cpu -o model.bundle",
    ]
    assert len(following(samples["export"], {**given, "data": None})) == 1
    assert following(replace(samples["export"], verdict="FAIL"), given) == []


def test_a_quantized_graph_is_scored_or_explained(samples, monkeypatch):
    monkeypatch.setattr(module, "_engines", lambda: ["openvino:cpu"])
    document, given = samples["quantize"], {"data": Path("images")}
    assert following(document, given) == [
        "edgekit eval model.int8-u8s8.onnx --target openvino:cpu --data images"
    ]
    against = "--against model.onnx --data images"
    assert following(replace(document, verdict="FAIL"), given) == [
        f"edgekit debug parity model.int8-u8s8.onnx {ON_OPENVINO} {against}"
    ]
    assert following(document, {"data": None}) == []


def test_a_deployment_goes_on_to_the_device_and_explains_what_failed(make):
    lines = following(make["deploy"](bundle="my bundles/a b"), {})
    assert lines[0] == "edgekit verify 'my bundles/a b'"
    assert (
        "edgekit pack 'my bundles/a b' --target onnxruntime:cpu -o 'a b-onnxruntime-cpu'" in lines
    )
    assert lines[-1] == ("edgekit debug parity 'my bundles/a b@int8-u8s8' --target onnxruntime:cpu")
    assert any("edgekit report" in line for line in lines)


def test_what_did_not_run_in_int8_is_read_off_the_graph(make):
    entry = make["deploy_entry"]("openvino:cpu", "int8-u8s8", "bf16", checks={"placement": FAIL})
    document = make["deploy"](entries=(entry,))
    assert following(document, {})[-1] == "edgekit inspect bundles/yolox_nano@int8-u8s8"
    entry = make["deploy_entry"]("openvino:cpu", "fp32", "bf16", checks={"parity": FAIL})
    assert following(make["deploy"](entries=(entry,)), {})[-1] == (
        "edgekit debug parity bundles/yolox_nano@fp32 --target openvino:cpu --compute bf16"
    )


@pytest.mark.parametrize("name", ["finite", "parity", "metric", "agreement", "confidence_shift"])
def test_every_failed_check_of_the_answers_leads_to_the_node(make, name):
    entry = make["deploy_entry"]("openvino:cpu", "fp32", "fp32", checks={name: FAIL})
    assert following(make["deploy"](entries=(entry,)), {})[-1] == (
        "edgekit debug parity bundles/yolox_nano@fp32 --target openvino:cpu"
    )


def test_without_a_variant_to_ship_nothing_is_packed(make):
    nothing = make["choice"]("openvino:cpu", None, "Every variant fails.")
    document = make["deploy"](recommended=(nothing,), best=None)
    assert not any(re.match("edgekit (verify|pack)", line) for line in following(document, {}))


def test_a_bundle_that_fails_on_arrival_names_the_node(samples):
    entry = replace(samples["verify"].entries[0], checks={"parity": FAIL}, verdict="FAIL")
    document = replace(samples["verify"], entries=(entry,), verdict="FAIL")
    assert following(document, {}) == [
        "edgekit debug parity bundles/digits@fp32 --target openvino:cpu"
    ]
    # What was damaged on its way is explained by no command.
    damaged = replace(document, entries=(), damaged=("main.onnx was changed.",))
    assert following(damaged, {}) == []


def test_a_dry_run_goes_on_to_the_run(invoke, answer, samples):
    answer("deploy", samples["plan"])
    given = ["deploy", "my model.onnx", "--dry-run", "--target", "ort", "-o", "b", "--set", "a=b c"]
    assert said(invoke(*given).stderr) == [
        "edgekit deploy 'my model.onnx' --target ort -o b --set 'a=b c'"
    ]


def test_a_folder_that_is_taken_is_not_suggested(folder, samples):
    (folder / "model.bundle").mkdir()
    (folder / "model-2.bundle").mkdir()
    lines = following(samples["eval"], {"data": Path("images")})
    assert lines[0].endswith("-o model-3.bundle")


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_from_the_doctor_to_the_device_by_what_is_suggested(invoke, folder, monkeypatch):
    """Only what is printed is run, each line with status 0."""
    for library in ("torch", "onnxruntime", "nncf"):
        pytest.importorskip(library)
    monkeypatch.setenv("EDGEKIT_CACHE", str(folder / "cache"))
    data, deploy = said(invoke("doctor").stderr)
    seen = []
    for line in (data, f"{deploy} --precision fp32 --time 0.2"):
        outcome = invoke(*shlex.split(line)[1:])
        assert outcome.status == 0, outcome.stderr
        seen = said(outcome.stderr)
    verify, pack = seen[:2]
    assert (verify.split()[1], pack.split()[1]) == ("verify", "pack")
    for line in (verify, pack):
        outcome = invoke(*shlex.split(line)[1:])
        assert outcome.status == 0, outcome.stderr
    (last,) = said(outcome.stderr)
    assert Path(shlex.split(last)[1]).is_file()


def test_what_was_given_is_given_again(samples):
    given = {
        "data": Path("images"), "calibration": Path("others"), "card": Path("my card.yaml"),
        "options": {"iou": "0.5"}, "trust_code": True,
    }  # fmt: skip
    (line,) = following(samples["eval"], given)
    assert "--data images --calibration others --card 'my card.yaml' --set iou=0.5" in line
    assert "--trust-code" in line
    assert "--trust-code" not in following(samples["eval"], {**given, "trust_code": False})[0]


def test_engines_that_were_written_are_what_is_measured(samples):
    assert following(samples["compile"], {"output": Path("my engines")}) == [
        "edgekit bench 'my engines'"
    ]


COMMAND = re.compile(rf"\bedgekit (?:{'|'.join(COMMANDS)})\b(?: [^.;`]*)?$")


@pytest.mark.parametrize("layer", ["core", "tasks", "pipeline", "demo", "jobs", "cli"])
def test_a_command_in_a_sentence_can_be_pasted_whatever_the_path(root, layer):
    """What is put into a command is quoted, there or where its name is made."""
    for path in sorted((root / "edgekit" / layer).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            said = ""
            for part in node.values if isinstance(node, ast.JoinedStr) else ():
                if isinstance(part, ast.Constant):
                    said += part.value
                    continue
                put = ast.unparse(part.value)
                made = re.search(rf"\b{re.escape(put)}(?:, \w+)? = [^\n]*shlex\.quote\(", text)
                known = "quote(" in put or made or put in FITTING
                assert known or not COMMAND.search(said), f"{path}:{node.lineno}: {{{put}}}"
                said += "x"
