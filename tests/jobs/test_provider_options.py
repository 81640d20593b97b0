"""Options of execution providers: who takes them, what they are part of, what repeats them."""

from __future__ import annotations

import json

import msgspec
import pytest
import yaml
from null_models import null_graph

from edgekit import api
from edgekit.core.certificate import Limits
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.runtime import CompileOptions, Probe
from edgekit.core.target import Target
from edgekit.jobs.deploying.recipe import write_recipe
from edgekit.jobs.steps.engine import engine_stage, options_for, refuse_idle_options
from edgekit.jobs.steps.request import DeployRequest
from edgekit.runtimes.catalogue import load_runtime, parse_target

CPU, QNN = parse_target("ort:cpu"), parse_target("ort:ep=QNN")
AZURE = "onnxruntime:ep=Azure"
GIVEN = {"b": "2", "a": "1"}


@pytest.fixture
def azure():
    target = parse_target(AZURE)
    if not load_runtime(target.runtime).probe(target).usable:
        pytest.skip("this onnxruntime has no provider that leaves nodes to the CPU")


def test_options_go_to_the_providers_among_the_targets():
    refuse_idle_options(GIVEN, [CPU, QNN])
    assert options_for(QNN, GIVEN) == (("a", "1"), ("b", "2"))
    assert options_for(CPU, GIVEN) == ()
    assert options_for(QNN, None) == ()


def test_options_that_nothing_takes_are_refused():
    refuse_idle_options({}, [CPU])
    with pytest.raises(BadInput, match="and onnxruntime:cpu is none") as caught:
        refuse_idle_options(GIVEN, [CPU, Target("openvino", "cpu")])
    assert caught.value.exit_status == 2


def test_every_job_refuses_them_on_a_target_that_is_no_provider(tmp_path, digits):
    model = null_graph(tmp_path / "m.onnx")
    options = {"provider_options": GIVEN}
    jobs = [
        lambda: api.compile(model, target="null", **options),
        lambda: api.evaluate(model, data=digits, target="null", **options),
        lambda: api.bench(model, targets=("null",), **options),
        lambda: api.bench_against(model, model, targets=("null",), **options),
        lambda: api.debug_parity(model, target="null", **options),
        lambda: api.deploy(model, tmp_path / "b", targets=("null",), **options),
    ]
    for job in jobs:
        with pytest.raises(BadInput, match="null:cpu is none"):
            job()


def test_they_are_part_of_what_an_engine_is_cached_by(tmp_path):
    graph = tmp_path / "m.onnx"
    null_graph(graph)
    probe = Probe(target=str(QNN), usable=True, computes=("fp32",))

    def key(**options):
        return engine_stage(graph, "main", QNN, probe, CompileOptions(**options)).parts["options"]

    assert key() != key(provider_options=(("a", "1"),)) != key(provider_options=(("a", "2"),))
    with pytest.raises(BadInput, match="and onnxruntime:cpu is none"):
        engine_stage(graph, "main", CPU, probe, CompileOptions(provider_options=(("a", "1"),)))


def test_an_engine_of_before_there_were_any_is_still_read():
    old = b'{"compute":"fp32","threads":2,"allow_fallback":false}'
    assert msgspec.json.decode(old, type=CompileOptions).provider_options == ()


def test_the_recipe_repeats_them(tmp_path):
    request = DeployRequest(
        source="edgekit:digits",
        output=tmp_path / "b",
        targets=("ort:ep=QNN",),
        provider_options={"backend_path": "a=b.so", "cores": "2"},
    )
    write_recipe(tmp_path / "recipe.yaml", request)
    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    assert recipe["provider-option"] == ["backend_path=a=b.so", "cores=2"]


def told(folder):
    """What the provider of every engine below a folder was told."""
    described = [json.loads(path.read_bytes()) for path in folder.rglob("compiled.json")]
    return [one["options"]["provider_options"] for one in described if one["target"] == AZURE]


def test_a_fall_back_is_refused_and_with_leave_it_is_told_and_never_valid(
    tmp_path, azure, monkeypatch
):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    model = null_graph(tmp_path / "m.onnx")
    with pytest.raises(CheckFailed, match="1 of 1 nodes are left to the CPU, 'add'"):
        api.compile(model, target=AZURE)
    options = {"provider_options": {"a": "1"}, "allow_fallback": True}
    compiled = api.compile(model, target="ort:ep=azure", **options)
    assert (compiled.target, compiled.devices) == (AZURE, {"cpu": 1.0})
    assert told(tmp_path / "cache") == [[["a", "1"]]]
    options["provider_options"] = {"a": "2"}
    document = api.bench(model, targets=(AZURE, "ort:cpu"), time=0.2, store=False, **options)
    fell_back, own = document.entries
    assert document.provider_options == {"a": "2"}
    assert [["a", "2"]] in told(tmp_path / "cache")
    assert not fell_back.valid
    assert "It fell back: 100.0% of the arithmetic ran on cpu" in " ".join(fell_back.reasons)
    assert "fell back" not in " ".join(own.reasons)


def test_deploy_fails_an_entry_that_falls_back_unless_it_may(tmp_path, azure, digits_onnx):
    asked = {"targets": (AZURE,), "precision": ("fp32",), "time": 0.2}
    document = api.deploy(str(digits_onnx), tmp_path / "b", **asked)
    (entry,) = document.entries
    assert entry.verdict == "FAIL"
    assert "nodes are left to the CPU" in entry.error
    assert document.recommended[0].variant is None
    options = {"provider_options": {"a": "1"}, "limits": Limits(allow_fallback=True)}
    (entry,) = api.deploy(str(digits_onnx), tmp_path / "c", **asked, **options).entries
    assert entry.checks["placement"].verdict == "PASS"
    assert "100.0% of the arithmetic ran on cpu" in entry.checks["placement"].reason
    assert told(tmp_path / "c") == [[["a", "1"]]]


def test_a_measurement_does_not_go_on_with_other_options(tmp_path, azure):
    model = null_graph(tmp_path / "m.onnx")
    shared = {
        "targets": (AZURE,),
        "allow_fallback": True,
        "time": 0.1,
        "output": tmp_path / "out",
        "store": False,
    }
    api.bench(model, **shared)
    with pytest.raises(BadInput, match="with other provider options"):
        api.bench(model, **shared, resume=True, provider_options={"a": "1"})
