"""A packed folder holds what the device needs, runs without edgekit, and answers as edgekit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from packed import own_answer, run_script, script_answer

from edgekit import api
from edgekit.core.documents import PackDocument
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.files import sha256_file
from edgekit.jobs.model.bundle import read_manifest, seal

ORT, OV = "onnxruntime:cpu", "openvino:cpu"
MODELS = Path(__file__).parent.parent / "models"
ARCH = f"{MODELS / 'toy_seq.py'}:toy_seq"


@pytest.fixture(scope="module")
def folders(deployed, tmp_path_factory):
    """Target to (document, folder) of what is recommended there."""
    _, bundle = deployed
    made = {}
    for target in (ORT, OV):
        folder = tmp_path_factory.mktemp("packed") / target.replace(":", "-")
        made[target] = api.pack(bundle, folder, target=target), folder
    return made


@pytest.fixture
def copy(folders, tmp_path):
    """A packed folder of its own to damage, for ONNX Runtime."""
    folder = tmp_path / "packed"
    shutil.copytree(folders[ORT][1], folder)
    return folder


@pytest.fixture
def bundle(deployed, tmp_path):
    """A bundle of its own to damage."""
    folder = tmp_path / "bundle"
    shutil.copytree(deployed[1], folder)
    return folder


def change(path: Path, **keys):
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def let_fail(bundle: Path, target: str, variants):
    """Turn the certificates of some entries of one target into FAIL, and seal again."""
    deployed = json.loads((bundle / "deploy.json").read_text())
    for entry in deployed["entries"]:
        if entry["target"] == target and entry["variant"] in variants:
            entry["verdict"] = "FAIL"
            name = f"{target.replace(':', '-')}_{entry['variant']}_{entry['compute']}"
            path = bundle / "certificates" / f"{name}.json"
            certificate = json.loads(path.read_text())
            certificate["checks"]["agreement"]["verdict"] = "FAIL"
            path.write_text(json.dumps(certificate))
    (bundle / "deploy.json").write_text(json.dumps(deployed))
    seal(bundle, read_manifest(bundle))


# --- what is in the folder ---


@pytest.mark.parametrize(("target", "engine"), [(ORT, "engine.onnx"), (OV, "engine.blob")])
def test_the_folder_holds_one_variant_and_what_it_needs_and_nothing_else(
    folders, deployed, target, engine
):
    document, folder = folders[target]
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "card.json", "card.yaml", "certificate.json", engine, "golden.npz", "guard.py",
        "model.onnx", "pack.json", "requirements.txt", "run.py",
    }  # fmt: skip
    (best,) = (one for one in deployed[0].recommended if one.target == target)
    assert (document.variant, document.compute) == (best.variant, best.compute)
    bundle = deployed[1]
    same = bundle / "variants" / document.variant / "main.onnx"
    assert sha256_file(folder / "model.onnx") == sha256_file(same)


@pytest.mark.parametrize("target", [ORT, OV])
def test_pack_json_is_the_document_and_lists_every_other_file(folders, target):
    document, folder = folders[target]
    assert msgspec.json.decode((folder / "pack.json").read_bytes(), type=PackDocument) == document
    assert set(document.files) == {path.name for path in folder.iterdir()} - {"pack.json"}
    for name, file in document.files.items():
        assert file.sha256 == sha256_file(folder / name)
    assert document.size_bytes == sum(file.size_bytes for file in document.files.values())
    assert document.verdict == "PASS"
    assert document.notes == ()


@pytest.mark.parametrize(("target", "library"), [(ORT, "onnxruntime"), (OV, "openvino")])
def test_requirements_are_the_certified_versions_and_three_lines(
    folders, deployed, target, library
):
    _, folder = folders[target]
    versions = deployed[0].environment.identity["versions"]
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines[0] == f"{library}=={versions[library]}"
    assert lines[1] == f"numpy=={versions['numpy']}"
    assert lines[2].startswith("opencv-python-headless==")
    assert len(lines) == 3


@pytest.mark.parametrize("target", [ORT, OV])
def test_the_script_is_short_and_imports_nothing_of_edgekit(folders, target):
    _, folder = folders[target]
    lines = (folder / "run.py").read_text().splitlines()
    code = [line for line in lines if line.strip()]
    assert len(code) < 60
    assert max(len(line) for line in lines) <= 100
    for name in ("run.py", "guard.py"):
        text = (folder / name).read_text()
        assert "import edgekit" not in text
        assert "from edgekit" not in text
        compile(text, name, "exec")


def test_the_settings_are_the_certified_ones(folders):
    document, folder = folders[OV]
    text = (folder / "run.py").read_text()
    hint = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[document.compute]
    assert f'"INFERENCE_PRECISION_HINT": "{hint}"' in text
    assert f'"INFERENCE_NUM_THREADS": {document.threads}' in text
    assert '"NUM_STREAMS": 1' in text


# --- it runs ---


@pytest.mark.parametrize("target", [ORT, OV])
def test_check_passes_and_tells_the_figure(folders, target):
    document, folder = folders[target]
    ended = run_script(folder, "--check")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    reached = float(ended.stdout.split()[1])
    assert reached == pytest.approx(document.sqnr_db, abs=0.1)
    assert f"limit {document.sqnr_limit_db:.1f} dB" in ended.stdout


@pytest.mark.parametrize("target", [ORT, OV])
def test_its_answers_are_edgekits_own_bit_for_bit(folders, deployed, digits, tmp_path, target):
    document, folder = folders[target]
    for index in (100, 250, 599):
        image = next(digits.glob(f"images/*-{index:04d}.png"))
        expected = own_answer(deployed[1], document, image)
        (found,) = script_answer(folder, image, tmp_path / "answer.npz")
        assert np.array_equal(found, expected.probabilities)


def test_the_best_five_classes_are_printed(folders, deployed, digits):
    document, folder = folders[ORT]
    image = next(digits.glob("images/*-0321.png"))
    ended = run_script(folder, image)
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines()]
    probabilities = own_answer(deployed[1], document, image).probabilities
    best = np.argsort(-probabilities)[:5]
    assert [row[2] for row in rows] == [str(index) for index in best]
    assert [float(row[1]) for row in rows] == [round(float(probabilities[i]), 4) for i in best]


def test_it_runs_from_a_folder_that_cannot_be_written(folders, digits, tmp_path):
    """As on a read-only disk: nothing is written beside the script but Python's own cache."""
    folder = tmp_path / "packed"
    shutil.copytree(folders[ORT][1], folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "__pycache__").write_text("a file where the cache would go")
    ended = run_script(folder, next(digits.glob("images/*-0321.png")))
    assert ended.returncode == 0, ended.stderr


# --- it says what is in the way ---


def test_another_instruction_set_falls_back_to_the_portable_graph(copy, digits, tmp_path):
    change(copy / "pack.json", instruction_set="avx2 avx512f amx_int8")
    (copy / "engine.onnx").write_bytes(b"code for another CPU")
    image = next(digits.glob("images/*-0321.png"))
    ended = run_script(copy, image)
    assert ended.returncode == 0, ended.stderr
    assert "was compiled for avx2 avx512f amx_int8 and this CPU has" in ended.stderr
    assert "using the portable graph model.onnx" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert len(ended.stdout.splitlines()) == 5


@pytest.mark.parametrize("target", [ORT, OV])
def test_the_portable_graph_answers_within_the_limit_too(folders, tmp_path, target):
    folder = tmp_path / "packed"
    shutil.copytree(folders[target][1], folder)
    change(folder / "pack.json", version="0.1")
    ended = run_script(folder, "--check")
    assert ended.returncode == 0, ended.stderr
    assert "was compiled by version 0.1 and" in ended.stderr


def test_an_older_python_is_a_3_in_one_sentence(copy):
    change(copy / "pack.json", python="3.99")
    ended = run_script(copy, "--check")
    assert ended.returncode == 3
    assert ended.stderr.startswith("Python 3.99 or later is needed, and this is 3.")
    assert ended.stderr.count("\n") == 1


def test_a_missing_package_is_a_3_with_the_command(copy):
    change(copy / "pack.json", requirements={"no_such_module": "no-such==1.0"})
    ended = run_script(copy, "--check")
    assert ended.returncode == 3
    assert ended.stderr.startswith("no-such==1.0 is not installed. Run: pip install -r ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["engine.onnx", "model.onnx", "golden.npz", "card.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    ended = run_script(copy, "--check")
    assert ended.returncode == 2
    assert name in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["engine.onnx", "golden.npz", "certificate.json"])
def test_a_flipped_byte_is_named_by_check(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    ended = run_script(copy, "--check")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"FAIL  {name} was changed")


def test_an_answer_below_the_limit_is_a_1(copy):
    change(copy / "pack.json", sqnr_limit_db=200.0)
    ended = run_script(copy, "--check")
    assert ended.returncode == 1
    assert "FAIL" in ended.stderr
    assert "limit 200.0 dB" in ended.stderr


@pytest.mark.parametrize("kind", ["missing", "text"])
def test_an_image_that_cannot_be_read_is_a_2(copy, tmp_path, kind):
    image = tmp_path / "image.png"
    if kind == "text":
        image.write_text("no image")
    ended = run_script(copy, image)
    assert ended.returncode == 2
    assert ended.stderr == f"{image} is not an image that OpenCV can read.\n"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_an_image_it_says_how_it_is_used(copy, arguments):
    ended = run_script(copy, *arguments)
    assert ended.returncode == 2
    assert "python run.py IMAGE..." in ended.stderr
    assert "Certificate: PASS" in ended.stderr


# --- what is packed, and what is refused ---


def test_a_variant_is_named_after_the_bundle_and_int8_finds_its_dialect(deployed, tmp_path):
    document = api.pack(f"{deployed[1]}@int8", tmp_path / "packed", target=OV)
    assert document.variant == "int8-u8s8"
    assert run_script(tmp_path / "packed", "--check").returncode == 0


def test_aliases_of_a_target_are_known(deployed, tmp_path):
    assert api.pack(deployed[1], tmp_path / "packed", target="ort").target == ORT


def test_what_failed_is_not_packed_unless_it_is_named(bundle, tmp_path):
    let_fail(bundle, ORT, ["fp32", "int8-u8s8"])
    with pytest.raises(CheckFailed, match="failed the certificate") as caught:
        api.pack(bundle, tmp_path / "packed", target=ORT)
    assert f"{bundle}@fp32" in caught.value.hint
    assert not (tmp_path / "packed").exists()
    document = api.pack(f"{bundle}@fp32", tmp_path / "packed", target=ORT)
    assert (document.verdict, document.failed) == ("FAIL", ("agreement",))
    assert "FAILED its certificate: agreement." in document.notes[0]
    assert "Certificate: FAIL (agreement)" in (tmp_path / "packed" / "run.py").read_text()


def test_a_failed_recommendation_gives_way_to_what_holds(bundle, tmp_path):
    let_fail(bundle, OV, ["fp32"])
    document = api.pack(bundle, tmp_path / "packed", target=OV)
    assert (document.variant, document.verdict) == ("int8-u8s8", "PASS")


def test_a_certificate_that_says_otherwise_is_refused(bundle, tmp_path):
    change(bundle / "deploy.json", note="")
    deployed = json.loads((bundle / "deploy.json").read_text())
    for entry in deployed["entries"]:
        entry["verdict"] = "UNVERIFIED"
    (bundle / "deploy.json").write_text(json.dumps(deployed))
    seal(bundle, read_manifest(bundle))
    with pytest.raises(BadInput, match="says PASS, but deploy.json says UNVERIFIED"):
        api.pack(f"{bundle}@fp32", tmp_path / "packed", target=ORT)


def test_a_damaged_bundle_is_refused(bundle, tmp_path):
    path = bundle / "variants" / "fp32" / "main.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(BadInput, match="damaged and is not packed"):
        api.pack(bundle, tmp_path / "packed", target=ORT)
    assert list(tmp_path.glob("*packed*")) == []


@pytest.mark.parametrize(
    ("text", "options", "kind", "words"),
    [
        ("{0}", {"target": "openvino:gpu"}, BadInput, "Did you mean 'openvino:cpu'"),
        ("{0}", {"target": "openvini:cpu"}, BadInput, "there is no runtime 'openvini'"),
        ("{0}", {"target": "tensorrt"}, BadInput, "holds nothing for tensorrt:cuda"),
        ("{0}@fp23", {"target": ORT}, BadInput, "Did you mean 'fp32'"),
        (
            "{0}",
            {"target": ORT, "compute": "bf16"},
            BadInput,
            "nothing for onnxruntime:cpu in bf16",
        ),
        ("{0}", {"target": ORT, "layout": "tritom"}, BadInput, "Did you mean 'triton'"),
        ("{0}/variants", {"target": ORT}, BadInput, "not a bundle"),
        ("{0}/nope", {"target": ORT}, BadInput, "does not exist"),
    ],
)
def test_what_is_not_there_is_said_with_the_closest(deployed, tmp_path, text, options, kind, words):
    with pytest.raises(kind) as caught:
        api.pack(text.format(deployed[1]), tmp_path / "packed", **options)
    assert words in str(caught.value)
    assert not (tmp_path / "packed").exists()


def test_an_output_that_holds_something_is_kept_and_replaced_with_force(deployed, tmp_path):
    output = tmp_path / "packed"
    api.pack(deployed[1], output, target=ORT)
    with pytest.raises(BadInput, match="--force"):
        api.pack(deployed[1], output, target=ORT)
    # Running it leaves what Python compiled.
    (output / "__pycache__").mkdir()
    (output / "__pycache__" / "guard.cpython-311.pyc").write_bytes(b"compiled")
    api.pack(deployed[1], output, target=ORT, force=True)
    assert (output / "run.py").is_file()
    (output / "answers.json").write_text("mine")
    with pytest.raises(BadInput, match=r"answers\.json"):
        api.pack(deployed[1], output, target=ORT, force=True)
    assert (output / "answers.json").read_text() == "mine"


def test_an_output_that_cannot_be_written_is_one_sentence(deployed, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        api.pack(deployed[1], tmp_path / "file" / "packed", target=ORT)


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (".", "is an input"),
        ("packed", "lies in .*bundle, which is read"),
        ("..", "holds .*bundle, which is used|does not name"),
    ],
)
def test_the_bundle_is_never_overwritten(bundle, inside, why):
    with pytest.raises(BadInput, match=why):
        api.pack(bundle, bundle / inside, target=ORT, force=True)
    assert (bundle / "manifest.json").is_file()


def test_what_goes_wrong_half_way_leaves_nothing(deployed, tmp_path, monkeypatch):
    from edgekit.jobs import pack

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pack, "script", broken)
    with pytest.raises(KeyboardInterrupt):
        api.pack(deployed[1], tmp_path / "packed", target=ORT)
    assert list(tmp_path.iterdir()) == []


# --- several graphs, and models of arrays ---


@pytest.fixture(scope="module")
def arrays(toy, tmp_path_factory):
    """A bundle of two graphs, the second with state."""
    output = tmp_path_factory.mktemp("bundle") / "toy"
    api.deploy(
        str(toy / "toy.pth"), output, targets=(ORT, OV), arch=ARCH, trust_code=True,
        data=toy / "data", precision=("fp32",), compute=("fp32",), time=0.1,
    )  # fmt: skip
    return output


@pytest.mark.parametrize("target", [ORT, OV])
def test_several_graphs_are_checked_with_their_state_looped(arrays, tmp_path, target):
    folder = tmp_path / "packed"
    document = api.pack(arrays, folder, target=target)
    assert set(document.graphs) == {"encoder", "step"}
    assert set(document.requirements) == {target.partition(":")[0], "numpy"}
    assert "is UNVERIFIED: nothing proves its accuracy." in document.notes[0]
    ended = run_script(folder, "--check")
    assert ended.returncode == 0, ended.stderr
    change(folder / "pack.json", graphs=_without_state(folder))
    assert run_script(folder, "--check").returncode == 1


def test_a_script_without_pictures_says_how_arrays_are_fed(arrays, tmp_path):
    folder = tmp_path / "packed"
    api.pack(arrays, folder, target=ORT)
    ended = run_script(folder, "x.npz")
    assert ended.returncode == 2
    assert "load('encoder' or 'step') takes arrays by input name" in ended.stderr


def test_a_raw_model_takes_arrays_from_a_file(digits_onnx, tmp_path):
    card = tmp_path / "raw.yaml"
    card.write_text("schema: edgekit.card/1\ntask: raw\n")
    api.deploy(
        str(digits_onnx), tmp_path / "bundle", targets=(ORT,), card=card, precision=("fp32",),
        time=0.1,
    )  # fmt: skip
    folder = tmp_path / "packed"
    api.pack(tmp_path / "bundle", folder, target=ORT)
    assert run_script(folder, "--check").returncode == 0
    images = np.zeros((3, 1, 32, 32), np.float32)
    np.savez(tmp_path / "three.npz", image=images)
    ended = run_script(folder, tmp_path / "three.npz", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    with np.load(tmp_path / "three.outputs.npz") as outputs:
        assert outputs["logits"].shape == (3, 10)
    # A second run replaces nothing, whosever it is.
    (tmp_path / "three.outputs.npz").write_text("mine")
    assert run_script(folder, tmp_path / "three.npz", cwd=tmp_path).returncode == 0
    assert (tmp_path / "three.outputs.npz").read_text() == "mine"
    assert (tmp_path / "three-2.outputs.npz").is_file()


def _without_state(folder: Path):
    graphs = json.loads((folder / "pack.json").read_text())["graphs"]
    for graph in graphs.values():
        graph["state"] = {}
    return graphs


# --- real models ---


REAL = {
    "yolox_nano_original.onnx": None,
    "squeezenet1_1.pth": f"{MODELS / 'squeezenet.py'}:squeezenet1_1",
    "espnetv2_s1.0_voc.pt2": None,
    "fastestdet.pt2": None,
}


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name",
    [name if "yolox" in name else pytest.param(name, marks=pytest.mark.slow) for name in REAL],
)
def test_a_real_model_answers_as_edgekit_does(realdata, tmp_path, name):
    bundle, folder = tmp_path / "bundle", tmp_path / "packed"
    api.deploy(
        str(realdata / "models" / name), bundle, targets=(ORT,), arch=REAL[name],
        trust_code=True, precision=("fp32",), time=0.1,
    )  # fmt: skip
    document = api.pack(bundle, folder, target=ORT)
    check = run_script(folder, "--check")
    assert check.returncode == 0, check.stderr
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((50, 90, 3), 114, np.uint8))
    images = [*sorted((realdata / "samples").glob("*.jpg")), blank]
    for image in images:
        expected = own_answer(bundle, document, image)
        found = script_answer(folder, image, tmp_path / "answer.npz")
        fields = ("probabilities", "mask", "boxes", "scores", "classes")
        wanted = [getattr(expected, field) for field in fields if hasattr(expected, field)]
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert np.array_equal(one, other)
    ended = run_script(folder, *images, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


@pytest.mark.realdata
def test_a_users_decoder_travels_and_is_named(realdata, tmp_path):
    bundle, folder = tmp_path / "bundle", tmp_path / "packed"
    api.deploy(
        str(realdata / "models" / "fastestdet.pt2"), bundle, targets=(OV,), trust_code=True,
        precision=("fp32",), compute=("fp32",), time=0.1,
    )  # fmt: skip
    document = api.pack(bundle, folder, target=OV)
    decoder = (realdata / "models" / "decoders.py").read_bytes()
    assert (folder / "decoder.py").read_bytes() == decoder
    assert any("decoder.py, the model's own code" in note for note in document.notes)
    card = json.loads((folder / "card.json").read_text())
    assert card["postprocess"]["decode"] == "decoder.py:fastestdet"
