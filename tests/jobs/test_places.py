"""Where a model runs: chosen without a target, by a device's name, and by what MODEL brings."""

from __future__ import annotations

import msgspec
import pytest

from edgekit import api
from edgekit.cli.main import run
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.progress import Silent
from edgekit.core.runtime import Probe
from edgekit.jobs.opening import places
from edgekit.runtimes.catalogue import parse_target, preferred

CPUS = ("onnxruntime:cpu", "openvino:cpu")
NVIDIA = ("tensorrt:cuda", "onnxruntime:cuda", *CPUS)


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, message):
        self.said.append(message)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Make a machine that has these targets and no others, and a model."""
    (tmp_path / "model.onnx").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)

    def made(*here):
        def usable(text):
            target = parse_target(text)
            if f"{target.runtime}:{target.device}" not in here or (target.index or 0) > 0:
                raise Unavailable(f"{text} cannot be used here: no device.", hint="Buy one.")
            return target, Probe(target=str(target), usable=True)

        monkeypatch.setattr(places, "usable", usable)
        return here

    return made


def first(text, model="model.onnx"):
    return str(places.place_of(text, model, Silent())[0])


def several(*texts, model="model.onnx"):
    return [str(target) for target, _ in places.places_of(texts, model, Silent())]


def deployed_on(*texts):
    return places.deploy_targets(texts, Silent())


def test_without_a_target_the_first_usable_of_the_order_is_taken(machine):
    machine(*NVIDIA)
    assert first(None) == "tensorrt:cuda"
    machine("onnxruntime:cuda", *CPUS)
    assert first(None) == "onnxruntime:cuda"
    machine(*CPUS)
    assert [first(None)] == [str(one) for one in preferred() if str(one) in CPUS][:1]
    assert several() == [first(None)]


def test_a_deployment_takes_the_gpus_targets_else_all_of_the_cpu(machine):
    machine(*NVIDIA)
    assert deployed_on() == ["tensorrt:cuda", "onnxruntime:cuda"]
    assert sorted(deployed_on("cpu")) == sorted(CPUS)
    assert sorted(deployed_on("all")) == sorted(NVIDIA)
    machine(*CPUS)
    assert sorted(deployed_on()) == sorted(CPUS)


def test_all_is_no_choice_to_be_compared_with_all(machine):
    machine(*CPUS)
    notes = Notes()
    places.deploy_targets(["all"], notes)
    (said,) = notes.said
    assert all(target in said for target in CPUS)
    assert "--target all" not in said


def test_a_device_is_the_first_usable_of_its_targets(machine):
    machine("onnxruntime:cuda", *CPUS)
    assert first("gpu") == "onnxruntime:cuda"
    assert first("cuda:0") == "onnxruntime:cuda:0"
    assert first("cpu") in CPUS
    assert several("cpu", "cuda") == [first("cpu"), "onnxruntime:cuda"]
    assert sorted(several("all")) == ["onnxruntime:cpu", "onnxruntime:cuda", "openvino:cpu"]


def test_a_choice_is_told_and_a_target_that_was_named_is_not(machine):
    machine(*CPUS)
    for text, told in ((None, 1), ("cpu", 1), ("openvino:cpu", 0)):
        notes = Notes()
        place = places.place_of(text, "model.onnx", notes)
        assert len(notes.said) == told
        assert all(f"target: {place[0]} (chosen" in one for one in notes.said)


@pytest.mark.parametrize("text", ["gpu", "cuda:0", "cuda:1"])
def test_a_device_that_is_not_here_is_answered_with_what_is(machine, text):
    machine(*CPUS)
    for taken in (first, several, deployed_on):
        with pytest.raises(Unavailable) as caught:
            taken(text)
        assert all(target in caught.value.hint for target in CPUS)


def test_a_machine_without_any_engine_says_so(machine):
    machine()
    for taken in (lambda: first(None), several, deployed_on, lambda: several("all")):
        with pytest.raises(Unavailable, match=r"edgekit\[cpu\]"):
            taken()


def test_all_is_refused_where_one_target_is_taken(machine):
    machine(*CPUS)
    with pytest.raises(BadInput, match="bench"):
        first("all")


def test_a_file_of_tensorrt_needs_tensorrt(machine, tmp_path):
    plan = tmp_path / "model.engine"
    plan.write_bytes(b"x" * 64)
    for here in (CPUS, ("onnxruntime:cuda", *CPUS)):
        machine(*here)
        with pytest.raises(Unavailable, match="tensorrt"):
            api.compile(str(plan), tmp_path / "engines", trust_engine=True)


def test_a_bundle_is_asked_for_targets_that_it_was_certified_for(machine, deployed, tmp_path):
    # Red where the machine's order alone decides: a GPU that the bundle knows nothing of is taken.
    document, bundle = deployed
    machine(*NVIDIA)
    best = first(None, str(bundle))
    assert best in CPUS
    assert several(model=f"{bundle}@int8") == [first(None, f"{bundle}@int8")]
    machine("tensorrt:cuda", "openvino:cpu")
    assert first(None, f"{bundle}@int8") == "openvino:cpu"
    assert first("cpu", str(bundle)) == "openvino:cpu"
    assert several("all", model=str(bundle)) == ["tensorrt:cuda", "openvino:cpu"]
    machine("tensorrt:cuda")
    with pytest.raises(Unavailable, match="tensorrt:cuda"):
        first(None, str(bundle))
    assert {entry.target for entry in document.entries} == set(CPUS)


def test_engines_run_where_they_were_compiled_for(tmp_path, digits, digits_onnx):
    folder = tmp_path / "engines"
    for target in CPUS:
        api.compile(str(digits_onnx), folder, target=target, force=True)
        document = api.evaluate(str(folder), data=digits)
        assert document.target == target
        assert first(None, str(folder)) == target


@pytest.mark.parametrize(
    "words",
    [
        ("bench", "{model}", "--time", "0.1", "--no-store"),
        ("bench", "{model}", "--against", "{model}", "--time", "0.1"),
        ("eval", "{model}", "--data", "{data}"),
        ("compile", "{model}"),
        ("predict", "{model}", "{data}"),
        ("debug", "parity", "{model}"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_names_the_target_that_it_chose(capsys, words, digits, digits_onnx):
    arguments = [word.format(model=digits_onnx, data=digits) for word in words]
    assert run([*arguments, "--json"]) in (0, 1)
    told = capsys.readouterr()
    chosen = str(next(one for one in preferred() if str(one) in CPUS))
    assert f"target: {chosen} (chosen" in told.err
    assert f'"{chosen}"' in told.out or f"on {chosen}" in told.out
    assert run([*arguments, "--quiet"]) in (0, 1)
    assert "target:" not in capsys.readouterr().err


def test_a_deployment_says_its_targets_and_its_recipe_holds_them(tmp_path, capsys):
    bundle = tmp_path / "bundle"
    words = ["deploy", "edgekit:digits", "-o", str(bundle), "--time", "0.1"]
    assert run([*words, "--precision", "fp32", "--compute", "fp32"]) == 0
    assert "target: " in capsys.readouterr().err
    recipe = (bundle / "recipe.yaml").read_text()
    deployed = msgspec.json.decode((bundle / "deploy.json").read_bytes())
    assert {entry["target"] for entry in deployed["entries"]} == set(CPUS)
    assert all(target in recipe for target in CPUS)
