"""Engines in a folder of their own: run as they lie, and only with trust where built elsewhere."""

from __future__ import annotations

import json
import shutil
import stat
import struct
from pathlib import Path

import msgspec
import numpy as np
import pytest
from jsonschema import validate

import edgekit
from edgekit import api
from edgekit.benchmarks.schemas import load_schema
from edgekit.core import private
from edgekit.core.destination import FOLDER, Destination
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.progress import Silent
from edgekit.core.target import Target
from edgekit.jobs.opening.foreign_plan import adopt_plan
from edgekit.jobs.steps import cache as store
from edgekit.jobs.steps import engine as engines_module
from edgekit.jobs.steps.cache import CacheUnwritable
from edgekit.runtimes.nvidia import gpus
from edgekit.tasks.cards import dump_card

TARGETS = ("onnxruntime:cpu", "openvino:cpu")
TOY = f"{Path(__file__).parent.parent / 'models' / 'toy_seq.py'}:toy_seq"
NOT_HERE = "was not built on this machine, and an engine is native code that runs unchecked"


@pytest.fixture(scope="module")
def carried(tmp_path_factory, digits_onnx) -> dict[str, Path]:
    """Engines of the digits for one thread, by target."""
    place = tmp_path_factory.mktemp("carried")
    folders = {}
    for target in TARGETS:
        folders[target] = place / target.partition(":")[0]
        api.compile(str(digits_onnx), folders[target], target=target, threads=1)
    return folders


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> None:
    """Another machine, which has built nothing."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "another cache"))


@pytest.fixture
def copied(carried, tmp_path):
    """Copy a target's folder to where it may be broken."""

    def copy(target: str = "openvino:cpu") -> Path:
        return shutil.copytree(carried[target], tmp_path / "copied")

    return copy


def bench(folder, target="openvino:cpu", **more):
    return api.bench(str(folder), targets=[target], time=0.05, store=False, **more)


def evaluate(folder, data, target="openvino:cpu", **more):
    return api.evaluate(str(folder), data=data, target=target, **more)


@pytest.mark.parametrize("target", TARGETS)
def test_engines_answer_as_the_graph_does_and_nothing_is_compiled(
    carried, target, digits, digits_onnx, monkeypatch
):
    expected = api.evaluate(str(digits_onnx), data=digits, target=target, threads=1)
    monkeypatch.setattr(engines_module, "fetch", None)
    found = evaluate(carried[target], digits, target)
    assert found.metric == expected.metric
    assert (found.variant, found.compute, found.target) == ("fp32", "fp32", target)
    (entry,) = bench(carried[target], target).entries
    assert entry.n > 0
    assert (entry.threads, entry.executed_precision) == (1, "fp32")


@pytest.mark.parametrize("target", TARGETS)
def test_pictures_are_answered_where_the_engines_run(carried, target, digits):
    images = sorted((digits / "images").iterdir())[:3] if (digits / "images").is_dir() else [digits]
    found = api.predict(str(carried[target]), images)
    assert (found.target, found.compute, found.verdict) == (target, "fp32", None)
    assert found.n >= 3
    assert found.images[0].classes


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("target", TARGETS)
def test_engines_built_elsewhere_need_trust(carried, target, digits):
    for call in (
        lambda **more: bench(carried[target], target, **more),
        lambda **more: evaluate(carried[target], digits, target, **more),
        lambda **more: edgekit.load(str(carried[target]), **more).close(),
    ):
        with pytest.raises(BadInput, match=NOT_HERE) as refused:
            call()
        assert "--trust-engine" in refused.value.hint
        call(trust_engine=True)


def without_outputs(tensors: Path) -> None:
    tensors.write_text(json.dumps({**json.loads(tensors.read_text()), "outputs": []}))


def test_an_engine_is_known_by_its_content_and_not_by_what_is_said_of_it(copied):
    # Whoever changes the engine and its checksum has another one.
    folder = copied() / "main"
    changed = flip(folder / "engine.blob")
    said = json.loads((folder / "compiled.json").read_text())
    said["engine_sha256"] = changed
    (folder / "compiled.json").write_text(json.dumps(said))
    with pytest.raises(BadInput, match=NOT_HERE):
        bench(folder.parent)


@pytest.mark.parametrize("name", ["tensors.json", "compiled.json"])
def test_what_lies_beside_an_engine_is_part_of_it(copied, name):
    # The sizes of the buffers that an engine writes to are taken from there.
    file = copied() / "main" / name
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(BadInput, match=NOT_HERE):
        bench(file.parent.parent)
    bench(file.parent.parent, trust_engine=True)


def test_a_folder_of_engines_is_its_users_own(carried):
    for path in (carried["openvino:cpu"], carried["openvino:cpu"] / "main"):
        assert stat.S_IMODE(path.stat().st_mode) in (0o700, 0o755)
    assert stat.S_IMODE(carried["openvino:cpu"].stat().st_mode) == 0o700


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("place", [".", "main", "main/engine.blob", "main/tensors.json"])
def test_engines_that_others_may_change_are_not_opened(copied, digits, place, trust):
    # Neither is the sum of one that was swapped after it was compared.
    folder = copied()
    (folder / place).chmod(0o777)
    for call in (
        lambda: bench(folder, trust_engine=trust),
        lambda: evaluate(folder, digits, trust_engine=trust),
        lambda: edgekit.load(str(folder), trust_engine=trust).close(),
    ):
        with pytest.raises(BadInput, match="can be changed by others") as refused:
            call()
        assert "chmod go-w" in refused.value.hint
        assert str(folder) in refused.value.message


@pytest.fixture
def no_permissions(monkeypatch) -> None:
    """A disk that keeps none: setting them does nothing."""
    private._tried.cache_clear()
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    yield
    private._tried.cache_clear()


def test_engines_on_a_disk_without_permissions_need_trust(copied, no_permissions):
    folder = copied()
    with pytest.raises(BadInput, match="keeps no permissions") as refused:
        bench(folder)
    assert "--trust-engine" in refused.value.hint
    bench(folder, trust_engine=True)


def test_a_cache_on_a_disk_without_permissions_needs_trust(digits_onnx, no_permissions):
    with pytest.raises(CacheUnwritable, match="keeps no permissions") as refused:
        bench(digits_onnx)
    assert "--trust-engine" in refused.value.hint
    assert "EDGEKIT_CACHE" in refused.value.hint
    bench(digits_onnx, trust_engine=True)


def flip(path: Path) -> str:
    """Change one byte; return the sha256 of what it is then."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return store.sha256_file(path)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_byte_is_never_opened(copied, digits, target, trust):
    folder = copied(target)
    (engine,) = (folder / "main").glob("engine.*")
    flip(engine)
    for call in (
        lambda: bench(folder, target, trust_engine=trust),
        lambda: evaluate(folder, digits, target, trust_engine=trust),
        lambda: edgekit.load(str(folder), trust_engine=trust),
    ):
        with pytest.raises(BadInput, match="is damaged: its sha256 is not the one recorded"):
            call()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("runtime_version", "1.0.0", r"was compiled by .* 1\.0\.0, but .* is installed"),
        ("device", "A CPU | neon", "was compiled for the instruction set 'neon', but this machine"),
    ],
)
def test_another_version_or_device_is_said_by_the_runtime(copied, key, value, said):
    file = copied() / "main" / "compiled.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(BadInput, match=NOT_HERE):
        bench(file.parent.parent)
    with pytest.raises(BadInput, match=said):
        bench(file.parent.parent, trust_engine=True)


def test_another_target_is_refused(carried, digits):
    said = "was compiled for openvino:cpu, not for onnxruntime:cpu"
    with pytest.raises(BadInput, match=said):
        bench(carried["openvino:cpu"], "onnxruntime:cpu")
    with pytest.raises(BadInput, match=said):
        evaluate(carried["openvino:cpu"], digits, "onnxruntime:cpu")
    with pytest.raises(BadInput, match=said):
        edgekit.load(str(carried["openvino:cpu"]), target="onnxruntime:cpu")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"compute": "bf16"}, "compiled with --compute fp32, which --compute bf16 cannot change"),
        ({"threads": 2}, "compiled with --threads 1, which --threads 2 cannot change"),
    ],
)
def test_what_cannot_be_changed_any_more_is_refused(carried, digits, option, said):
    folder = carried["openvino:cpu"]
    with pytest.raises(BadInput, match=said):
        evaluate(folder, digits, **option)
    with pytest.raises(BadInput, match=said):
        edgekit.load(str(folder), **option)
    several = {"compute": [option["compute"]]} if "compute" in option else option
    with pytest.raises(BadInput, match=said):
        bench(folder, **several)
    with pytest.raises(BadInput, match="compiled without --streams, which --streams 2 cannot"):
        bench(folder, scenario="offline", streams=2)


def test_what_was_compiled_for_all_cores_has_no_threads_to_change(tmp_path, digits_onnx):
    api.compile(str(digits_onnx), tmp_path / "all", target="openvino:cpu")
    with pytest.raises(BadInput, match="compiled without --threads, which --threads 1 cannot"):
        bench(tmp_path / "all", threads=1)


def test_the_same_options_as_compiled_may_be_given(carried):
    assert bench(carried["openvino:cpu"], compute=["fp32"], threads=1).entries[0].n > 0


def test_engines_are_held_against_their_graph(carried, digits_onnx):
    document = api.bench_against(
        str(carried["openvino:cpu"]), str(digits_onnx), targets=["openvino:cpu"], time=0.3
    )
    assert document.entries[0].new_n > 0
    back = api.bench_against(
        str(digits_onnx), str(carried["openvino:cpu"]), targets=["openvino:cpu"], time=0.3
    )
    assert back.entries[0].base_n > 0


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: shutil.rmtree(folder / "main"), "holds no engine 'main'"),
        (
            lambda folder: (folder / "engines.json").write_bytes(b"\xff{"),
            "engines.json is not UTF-8",
        ),
        (lambda folder: (folder / "engines.json").write_text("[]"), "engines.json is damaged"),
        (lambda folder: edited(folder, schema="edgekit.engines/9"), "engines.json is damaged"),
        (lambda folder: edited(folder, engines={"main": "../main"}), "'../main', which leads out"),
        (lambda folder: edited(folder, engines={"main": ".."}), r"'\.\.', which leads out"),
        (lambda folder: edited(folder, engines={"main": "."}), r"holds no engine '\.'"),
        (lambda folder: edited(folder, engines={"main": "main/../main"}), "holds no engine"),
        (lambda folder: edited(folder, engines={"main": "x" * 5000}), "'xxx"),
        (lambda folder: edited(folder, engines={}), "holds no engine"),
        (lambda folder: edited(folder, card={"tsak": "raw"}), "engines.json is not a valid card"),
        (
            lambda folder: (folder / "main/compiled.json").write_text("{"),
            "compiled.json is no JSON",
        ),
        (lambda folder: (folder / "main/tensors.json").unlink(), "tensors.json cannot be read"),
        (lambda folder: without_outputs(folder / "main/tensors.json"), "names no output"),
        (lambda folder: (folder / "main/engine.blob").unlink(), r"engine\.blob is missing"),
    ],
)
def test_what_is_broken_is_one_sentence(copied, break_it, said):
    folder = copied()
    break_it(folder)
    with pytest.raises(BadInput, match=said):
        bench(folder, trust_engine=True)
    with pytest.raises(BadInput, match=said):
        edgekit.load(str(folder), trust_engine=True)
    with pytest.raises(BadInput, match=said):
        api.inspect(str(folder))


def edited(folder: Path, **changes) -> None:
    file = folder / "engines.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_takes_a_graph_names_where_there_is_one(carried, digits, digits_onnx, tmp_path):
    folder = str(carried["openvino:cpu"])
    said = "holds compiled engines, and this takes a graph"
    with pytest.raises(BadInput, match=said) as refused:
        api.compile(folder, target="openvino:cpu")
    assert str(digits_onnx) in refused.value.hint
    with pytest.raises(BadInput, match=said):
        api.quantize(folder, tmp_path / "out", data=digits)
    with pytest.raises(BadInput, match=said):
        api.inspect_diff(folder, str(digits_onnx))


def test_the_card_can_be_put_over(carried, digits):
    found = evaluate(carried["openvino:cpu"], digits, options={"mean": "[5]"})
    assert found.metric.value < 0.5


@pytest.mark.slow
def test_a_decoder_travels_with_its_engines(shapes_onnx, tmp_path):
    (tmp_path / "heads.py").write_text("def head(outputs, size):\n    raise ValueError('asked')\n")
    with edgekit.load(str(shapes_onnx), target="onnxruntime:cpu") as opened:
        card = opened.card
    head = msgspec.structs.replace(card.postprocess, decode="heads.py:head")
    shutil.copy(shapes_onnx, tmp_path / "m.onnx")
    sidecar = dump_card(msgspec.structs.replace(card, postprocess=head))
    (tmp_path / "m.card.yaml").write_text(sidecar)
    folder = tmp_path / "out" / "engines"
    api.compile(str(tmp_path / "m.onnx"), folder, target="onnxruntime:cpu")
    (tmp_path / "heads.py").unlink()
    with pytest.raises(BadInput, match="runs only with consent"):
        edgekit.load(str(folder))
    image = np.zeros((64, 64, 3), np.uint8)
    opened = edgekit.load(str(folder), trust_code=True)
    with opened, pytest.raises(BadInput, match="asked"):
        opened.predict(image)


@pytest.mark.slow
def test_a_model_of_two_graphs_is_measured_from_its_engines(toy, tmp_path):
    api.export(str(toy / "toy.pth"), tmp_path / "toy", arch=TOY, trust_code=True)
    api.compile(str(tmp_path / "toy"), tmp_path / "engines", target="onnxruntime:cpu")
    assert bench(tmp_path / "engines", "onnxruntime:cpu").entries[0].n > 0
    assert [one.role for one in api.inspect(str(tmp_path / "engines")).engines] == [
        "encoder",
        "step",
    ]


def valid(document):
    validate(json.loads(msgspec.json.encode(document)), load_schema("inspect"))
    return document


def test_a_folder_of_engines_is_explained(carried):
    document = valid(api.inspect(str(carried["openvino:cpu"]), top=3))
    assert document.card["task"] == "classification"
    assert (document.graphs, document.top) == ((), 3)
    (engine,) = document.engines
    assert (engine.role, engine.target) == ("main", "openvino:cpu")
    assert engine.builder.startswith("openvino 20")
    assert engine.options.threads == 1
    assert (engine.whole, engine.built_here) == (True, True)
    assert [one.name for one in engine.inputs] == ["image"]


@pytest.mark.usefixtures("elsewhere")
def test_an_engine_from_elsewhere_is_explained_without_trust(carried):
    (engine,) = api.inspect(str(carried["openvino:cpu"])).engines
    assert (engine.whole, engine.built_here) == (True, False)


def test_a_damaged_engine_is_explained_as_one(copied):
    folder = copied()
    flip(folder / "main" / "engine.blob")
    (engine,) = api.inspect(str(folder)).engines
    assert (engine.whole, engine.built_here) == (False, False)


def test_an_engine_in_the_cache_is_explained(digits_onnx):
    made = api.compile(str(digits_onnx), target="onnxruntime:cpu")
    document = valid(api.inspect(made.engines["main"]))
    assert document.engines[0].target == "onnxruntime:cpu"
    assert document.graphs == ()


def test_an_engine_for_a_gpu_that_is_not_here_is_explained(tmp_path, digits_onnx):
    pytest.importorskip("tensorrt_rtx")
    folder = tmp_path / "engines"
    made = api.compile(str(digits_onnx), folder, target="tensorrt-rtx", sm=[86])
    (engine,) = valid(api.inspect(str(folder))).engines
    assert (engine.target, engine.device) == ("tensorrt-rtx:cuda", "any GPU | sm86")
    assert engine.builder.startswith("TensorRT for RTX 1.")
    assert engine.profiles[0]["image"][0] == (1, 1, 32, 32)
    assert "CONVOLUTION" in {layer.kind for layer in engine.layers}
    assert engine.planned == {"fp32": 1.0}
    assert engine.memory == made.memory
    assert engine.memory["weights_bytes"] > 100_000


PLAN = b"ftrt" + bytes(64)


def plan_file(path: Path, **changes) -> Path:
    said = {
        "task": "detect", "stride": 32, "batch": 1, "imgsz": [64, 32], "version": "8.4.1",
        "names": {"0": "cat", "1": "dog"}, **changes,
    }  # fmt: skip
    text = json.dumps(said).encode()
    path.write_bytes(struct.pack("<i", len(text)) + text + PLAN)
    return path


def test_a_plan_of_another_program_is_explained_and_not_opened(tmp_path):
    path = plan_file(tmp_path / "yolo.engine")
    document = valid(api.inspect(str(path)))
    assert document.card["task"] == "detection"
    assert tuple(document.card["labels"]) == ("cat", "dog")
    assert tuple(document.card["preprocess"]["size"]) == (64, 32)
    (engine,) = document.engines
    assert (engine.sha256, engine.whole) == (store.sha256_file(path), None)
    assert engine.metadata["batch"] == 1
    assert engine.target is None


def test_a_plan_that_says_nothing_is_raw(tmp_path):
    (tmp_path / "a.plan").write_bytes(PLAN)
    document = valid(api.inspect(str(tmp_path / "a.plan")))
    assert document.card.get("task", "raw") == "raw"
    assert document.engines[0].metadata is None


@pytest.mark.parametrize("trust", [False, True])
def test_a_plan_of_another_program_is_not_run(tmp_path, digits, trust):
    path = plan_file(tmp_path / "yolo.engine")
    said = "is an engine of another program, which is not run as it lies"
    with pytest.raises(BadInput, match=said):
        bench(path, trust_engine=trust)
    with pytest.raises(BadInput, match=said):
        evaluate(path, digits, trust_engine=trust)
    with pytest.raises(BadInput, match=said):
        edgekit.load(str(path), trust_engine=trust)


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"target": "openvino:cpu", "trust_engine": True}, BadInput, "openvino:cpu runs none"),
        ({"target": "tensorrt", "trust_engine": True}, Unavailable, "cannot be used here"),
        ({"target": "tensorrt", "shapes": [{"x": "1"}]}, BadInput, "is an engine already"),
    ],
)
def test_a_plan_becomes_a_folder_only_where_its_library_and_gpu_are(tmp_path, how, error, said):
    if "shapes" not in how and how["target"] == "tensorrt" and gpus():
        pytest.skip("this machine has an NVIDIA GPU")
    path = plan_file(tmp_path / "yolo.engine")
    with pytest.raises(error, match=said):
        api.compile(str(path), tmp_path / "out", **how)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("trust", "output", "said"), [(False, "out", "native code"), (True, None, "no folder")]
)
def test_a_plan_needs_trust_and_a_folder(tmp_path, trust, output, said):
    path = plan_file(tmp_path / "yolo.engine")
    with pytest.raises(BadInput, match=said):
        adopt_plan(
            path,
            Target("tensorrt", "cuda"),
            Destination(tmp_path / output, FOLDER) if output else None,
            trust_engine=trust,
            progress=Silent(),
        )
