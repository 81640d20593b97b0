"""`--config recipe.yaml` stands for options; the command line overrides it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit import __version__
from edgekit.core.certificate import Limits

RECIPE = """
source: model.pt2
output-path: bundles/one
target: [onnxruntime:cpu, openvino:cpu]
data: images
max-drop: 0.5
precision: int8
input: {x: [batch, 3, 8, 8]}
threads: 2
require-proven: true
"""


@pytest.fixture
def deployed(invoke, answer, samples, tmp_path):
    """Deploy by a recipe; return the outcome and the calls."""
    calls = answer("deploy", samples["deploy"])

    def by(recipe, *arguments):
        path = tmp_path / "recipe.yaml"
        path.write_text(recipe)
        return invoke("deploy", "--config", path, *arguments), calls

    return by


def test_a_recipe_holds_the_whole_command(deployed):
    outcome, calls = deployed(RECIPE)
    assert outcome.status == 0, outcome.stderr
    positional, named = calls[0]
    assert positional == ("model.pt2", Path("bundles/one"))
    assert named["targets"] == ("onnxruntime:cpu", "openvino:cpu")
    assert named["precision"] == ("int8",)
    assert named["limits"] == Limits(max_drop=0.5, require_proven=True)
    assert named["inputs"] == {"x": "batch,3,8,8"}
    assert (named["threads"], named["data"]) == (2, Path("images"))


def test_the_command_line_overrides_a_recipe(deployed):
    _, calls = deployed(RECIPE, "other.pt2", "--target", "null:cpu", "--max-drop", "3", "-o", "two")
    positional, named = calls[0]
    assert positional == ("other.pt2", Path("two"))
    assert named["targets"] == ("null:cpu",)
    assert named["limits"].max_drop == 3.0
    assert named["threads"] == 2


def test_a_gate_in_a_recipe_counts(deployed, answer, make):
    answer("deploy", make["deploy"](verdict="UNVERIFIED"))
    assert deployed(RECIPE + "require-verified: true")[0].status == 1
    assert deployed(RECIPE + "require-verified: false")[0].status == 0


def test_a_recipe_that_the_job_wrote_reads_back(deployed, tmp_path):
    from edgekit.jobs.deploying.recipe import write_recipe
    from edgekit.jobs.steps.request import DeployRequest

    request = DeployRequest(
        source="edgekit:digits",
        output=tmp_path / "bundle",
        targets=("onnxruntime:cpu",),
        inputs={"x": "batch,1,8,8"},
        bake=("preprocess",),
        sign=Path("secret.pem"),
    )
    written = tmp_path / "written.yaml"
    write_recipe(written, request)
    assert "secret" not in written.read_text()
    outcome, calls = deployed(written.read_text())
    assert outcome.status == 0, outcome.stderr
    assert calls[0][0] == ("edgekit:digits", tmp_path / "bundle")
    assert calls[0][1]["inputs"] == {"x": "batch,1,8,8"}
    assert calls[0][1]["bake"] == ("preprocess",)


def test_a_recipe_of_another_version_is_read_as_far_as_it_goes(deployed):
    outcome, _ = deployed("edgekit: 99.1.0\nsource: edgekit:digits\ntarget: ort:cpu\n", "-o", "b")
    assert outcome.status == 0, outcome.stderr
    outcome, _ = deployed("edgekit: 99.1.0\nsource: edgekit:digits\nprecision-search: fast\n")
    assert outcome.status == 2
    assert "unknown key 'precision-search': it was written by edgekit 99.1.0" in outcome.stderr
    assert f"this is {__version__}" in outcome.stderr


def test_the_version_of_a_recipe_is_a_text(deployed):
    outcome, _ = deployed("edgekit: [1]\nsource: x\n")
    assert outcome.status == 2
    assert "edgekit must be a version" in outcome.stderr


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("max_drop: 1", "unknown key 'max_drop'. Did you mean 'max-drop'?"),
        ("tarjet: x", "unknown key 'tarjet'. Did you mean 'target'?"),
        ("json: true", "unknown key 'json'"),
        ("config: other.yaml", "unknown key 'config'"),
        ("1: 2", "unknown key 1"),
        ("- target", "is no recipe"),
        ("", "is no recipe"),
        ("a: [", "is not valid YAML"),
        ("require-proven: 3", "require-proven must be true or false, got 3"),
        ("max-drop: true", "max-drop must be one value, got True"),
        ("max-drop: [1]", "max-drop must be one value, got [1]"),
        ("max-drop: null", "max-drop must be one value, got None"),
        ("target: [[a]]", "target must be a value or a list of values"),
        ("max-drop: lots", "'--max-drop'"),
        ("precision: int4", "'--precision'"),
        ("input: {x: }", "'--input'"),
    ],
)
def test_a_recipe_is_refused_with_the_key_and_the_remedy(deployed, recipe, sentence):
    outcome, calls = deployed(recipe, "m.pt2", "-o", "b", "--target", "ov:cpu")
    assert (outcome.status, calls) == (2, [])
    assert sentence in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("key", ["trust-code", "trust-pickle"])
def test_a_file_cannot_consent_for_its_user(deployed, key):
    outcome, calls = deployed(f"{RECIPE}{key}: true\n")
    assert (outcome.status, calls) == (2, [])
    assert f"give --{key} on the command line" in outcome.stderr
    outcome, calls = deployed(f"{RECIPE}{key}: true\n", f"--{key}")
    assert calls[0][1][key.replace("-", "_")] is True


@pytest.mark.parametrize(
    ("key", "value", "given"),
    [
        ("arch", "json:loads", ["--arch", "own:make"]),
        ("arch", "network.py:make", ["--arch", "own:make"]),
        ("provider-option", "[backend_path=x.so]", ["--provider-option", "a=b"]),
    ],
)
def test_a_file_names_no_code_without_consent(deployed, key, value, given):
    """`arch` of a recipe was imported, and options of a provider were passed on, unasked."""
    recipe = f"{RECIPE}{key}: {value}\n"
    outcome, calls = deployed(recipe)
    assert (outcome.status, calls) == (2, [])
    assert key in outcome.stderr
    assert "--trust-code" in outcome.stderr
    assert deployed(recipe, "--trust-code")[0].status == 0
    # What stands on the command line takes its place.
    assert deployed(recipe, *given)[0].status == 0


def test_a_recipe_that_is_not_there_is_said(invoke):
    outcome = invoke("deploy", "--config", "nowhere.yaml")
    assert outcome.status == 2
    assert "nowhere.yaml" in outcome.stderr


def test_a_recipe_that_is_not_text_is_said(invoke, tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xc3\x28")
    outcome = invoke("deploy", "--config", tmp_path / "r.yaml")
    assert outcome.status == 2
    assert "r.yaml is not UTF-8" in outcome.stderr


@pytest.mark.parametrize("key", ["card", "calibration"])
def test_a_number_where_a_path_is_wanted_is_a_path(deployed, key):
    outcome, calls = deployed(f"{key}: 0.5", "m.pt2", "-o", "b", "--target", "ov:cpu")
    assert outcome.status == 0
    assert str(calls[0][1][key]) == "0.5"
