"""A bundle on arrival: whatever was changed is named, and what is sound proves itself."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import validate

from edgekit import api
from edgekit.benchmarks.environment import instruction_set
from edgekit.benchmarks.schemas import load_schema
from edgekit.cli.main import run as command
from edgekit.core.errors import BadInput
from edgekit.core.manifest import encode_manifest, is_whole
from edgekit.jobs.model.bundle import damage, read_manifest, seal
from edgekit.jobs.process.golden import read_golden, write_golden

replace = msgspec.structs.replace
SCHEMA = "edgekit.bundle/1"


@pytest.fixture
def copy(deployed, tmp_path):
    """A bundle to break."""
    _, bundle = deployed
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def shared_copy(deployed, tmp_path_factory):
    """A bundle to break and to mend again."""
    _, bundle = deployed
    return Path(shutil.copytree(bundle, tmp_path_factory.mktemp("flip") / "bundle"))


@pytest.fixture
def letter(deployed, tmp_path):
    """A bundle that is nothing but its manifest, which is refused before anything else is read."""
    _, bundle = deployed
    (tmp_path / "bundle").mkdir()
    shutil.copyfile(bundle / "manifest.json", tmp_path / "bundle" / "manifest.json")
    return tmp_path / "bundle"


def files(bundle):
    return sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file())


def edit(bundle, change):
    """Pass the manifest through `change` as plain data, without sealing it again."""
    path = bundle / "manifest.json"
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def reseal(bundle, **changes):
    seal(bundle, replace(read_manifest(bundle), **changes))


def checks(document):
    return [set(entry.checks) for entry in document.entries]


# What is sound.


def test_a_sound_bundle_passes(deployed):
    _, bundle = deployed
    document = api.verify(bundle)
    assert document.verdict == "PASS"
    assert (document.damaged, document.differences, document.notes) == ((), (), ())
    assert document.files == len(files(bundle))
    assert document.signature.state == "unsigned"
    assert document.instruction_set.same
    assert list(document.instruction_set.here) == instruction_set()
    for names in checks(document):
        assert names == {"opens", "finite", "parity", "placement", "repeatable", "shapes"}
    validate(json.loads(msgspec.json.encode(document)), load_schema("verify"))


@pytest.mark.parametrize("trust_engine", [False, True])
def test_a_bundle_on_a_read_only_disk_passes(deployed, tmp_path, tool, mounted, trust_engine):
    _, bundle = deployed
    place = mounted(tmp_path / "disk", "--bind", "-o", "ro", bundle)
    # Older kernels take the flag of a bind mount only the second time.
    subprocess.run([tool("mount"), "-o", "remount,bind,ro", place], check=True)
    with pytest.raises(OSError, match="Read-only"):
        (place / "x").write_text("")
    assert api.verify(place, trust_engine=trust_engine).verdict == "PASS"


def test_verifying_leaves_a_bundle_as_it_is(copy):
    def state():
        return {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (copy, *copy.rglob("*"))}

    before = state()
    assert api.verify(copy, trust_engine=True).verdict == "PASS"
    assert state() == before


def test_a_bundle_may_be_reached_by_a_link(deployed, tmp_path):
    _, bundle = deployed
    (tmp_path / "latest").symlink_to(bundle)
    assert api.verify(tmp_path / "latest", targets=["onnxruntime:cpu"]).damaged == ()


# What was changed.


def named(bundle):
    """The sentences that name what is wrong with a bundle."""
    try:
        return damage(bundle, read_manifest(bundle, refuse_links=False))
    except BadInput as error:
        return [error.message.removeprefix(f"{bundle}/")]


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_flipped_byte_anywhere_is_named(shared_copy, data):
    # Half of them in the manifest, where it is hardest.
    name = data.draw(st.sampled_from(files(shared_copy)) | st.just("manifest.json"))
    path = shared_copy / name
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(flipped)
    try:
        (sentence,) = named(shared_copy)
    finally:
        path.write_bytes(content)
    assert sentence.startswith(f"{name} ")


def test_every_byte_of_the_seal_is_sealed(shared_copy):
    path = shared_copy / "manifest.json"
    content = path.read_bytes()
    manifest = read_manifest(shared_copy)
    assert is_whole(content, manifest.seal)
    at = content.index(manifest.seal.encode())
    for place in range(at - 12, at + 66):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        (sentence,) = named(shared_copy)
        assert sentence.startswith("manifest.json ")
    path.write_bytes(content)
    assert named(shared_copy) == []


@pytest.mark.parametrize("name", ["variants/int8-u8s8/main.onnx", "golden/main.npz", "card.yaml"])
def test_a_changed_file_fails_and_nothing_is_opened(copy, name, capsys):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    assert command(["verify", str(copy), "--json", "--quiet"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "FAIL"
    assert document["damaged"] == [f"{name} was changed: its sha256 differs."]
    assert document["entries"] == []


def test_a_space_in_the_manifest_is_found(copy):
    path = copy / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")
    document = api.verify(copy)
    assert document.verdict == "FAIL"
    (sentence,) = document.damaged
    assert sentence.startswith("manifest.json was changed")


def test_a_signature_that_was_cut_is_named_without_a_key(copy):
    for size in (0, 63, 65):
        (copy / "manifest.json.sig").write_bytes(bytes(size))
        assert named(copy) == [f"manifest.json.sig holds {size} bytes instead of 64."]
    (copy / "manifest.json.sig").write_bytes(bytes(64))
    assert named(copy) == []


@pytest.mark.parametrize(
    "command_line",
    ["bench {}@fp32 --target ort:cpu", "compile {}@fp32 --target ort:cpu", "predict {}@fp32 x.png"],
)
def test_no_verb_runs_a_graph_that_was_changed(copy, command_line, capsys):
    path = copy / "variants" / "fp32" / "main.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert command([*command_line.format(copy).split(), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "variants/fp32/main.onnx is missing or was changed after the bundle was sealed" in said
    assert said.count("\n") == 1


def test_golden_outputs_with_a_byte_changed_are_never_a_bug(copy, tmp_path):
    """`verify` names the file before it is read; who reads it alone gets a sentence."""
    content = (copy / "golden" / "main.npz").read_bytes()
    path = tmp_path / "golden.npz"
    refused = 0
    for place in range(0, len(content), 23):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        path.write_bytes(flipped)
        try:
            read_golden(path)
        except BadInput:
            refused += 1
    assert refused > 100


def test_missing_and_foreign_files_are_named(copy):
    (copy / "recipe.yaml").unlink()
    (copy / "stowaway.txt").write_text("hello")
    (copy / "variants" / "manifest.json").write_text("{}")
    (copy / os.fsdecode(b"\xff\x1b[2J")).write_text("")
    document = api.verify(copy)
    assert document.verdict == "FAIL"
    assert sorted(document.damaged) == [
        "'\\udcff\\x1b[2J' does not belong to the bundle.",
        "recipe.yaml is missing.",
        "stowaway.txt does not belong to the bundle.",
        "variants/manifest.json does not belong to the bundle.",
    ]
    msgspec.json.encode(document)


def test_a_pipe_in_a_bundle_is_named_and_not_read(copy):
    os.mkfifo(copy / "pipe")
    assert api.verify(copy).damaged == ("pipe is neither a file nor a folder.",)


@pytest.mark.parametrize("name", ["card.yaml", "variants/fp32/main.onnx", "variants", "golden"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_link_is_named_wherever_it_leads(copy, tmp_path, name, inside):
    """Even to the very content that was sealed: it may be another tomorrow."""
    place = copy / name
    moved = copy / "moved" if inside else tmp_path / "elsewhere"
    place.rename(moved)
    place.symlink_to(moved)
    document = api.verify(copy)
    assert document.verdict == "FAIL"
    assert f"{name} is a symbolic link, and a bundle holds none." in document.damaged
    assert not any("missing" in sentence for sentence in document.damaged)
    # Every other verb refuses to follow it.
    with pytest.raises(BadInput, match=f"{name}.* is a symbolic link"):
        read_manifest(copy)


def test_a_link_that_leads_nowhere_is_named(copy):
    (copy / "x").symlink_to("nowhere")
    assert api.verify(copy).damaged == ("x is a symbolic link, and a bundle holds none.",)


def test_a_bundle_with_a_link_is_not_sealed(copy):
    (copy / "x").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="symbolic link"):
        seal(copy, read_manifest(copy))


def test_a_graph_that_the_manifest_does_not_seal_is_named(copy):
    manifest = read_manifest(copy)
    fewer = {name: file for name, file in manifest.files.items() if "fp32" not in name}
    path = copy / "manifest.json"
    path.write_bytes(encode_manifest(replace(manifest, files=fewer), path))
    assert "variants/fp32/main.onnx is named by manifest.json without a sha256." in named(copy)


# A manifest that is refused.


def refused(bundle, *words):
    with pytest.raises(BadInput) as caught:
        api.verify(bundle)
    assert caught.value.hint
    for word in words:
        assert word in str(caught.value)
    return caught.value


@pytest.mark.parametrize("number", [2, 17])
def test_a_newer_schema_says_what_to_install(letter, number):
    """As a future version would write it: sealed, and with keys that nobody knows yet."""
    content = json.loads((letter / "manifest.json").read_bytes())
    content |= {"schema": f"edgekit.bundle/{number}", "edgekit": "4.2.0", "seal": "0" * 64}
    content["engines"] = {"another": "form"}
    blank = json.dumps(content)
    digest = hashlib.sha256(blank.encode()).hexdigest()
    (letter / "manifest.json").write_text(blank.replace("0" * 64, digest, 1))
    error = refused(letter, "newer edgekit (4.2.0)", f"edgekit.bundle/{number}", SCHEMA)
    assert error.hint == "Install it with: pip install 'edgekit>=4.2.0'"


def test_a_newer_schema_cannot_put_a_command_into_the_hint(letter):
    def change(content):
        content.pop("seal")
        content |= {"schema": "edgekit.bundle/2", "edgekit": "1'; rm -rf '"}

    edit(letter, change)
    assert "rm" not in str(refused(letter, "newer edgekit"))


def test_a_flipped_schema_number_is_damage_and_no_newer_version(letter):
    path = letter / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"edgekit.bundle/1", b"edgekit.bundle/3"))
    refused(letter, "manifest.json was changed")


@pytest.mark.parametrize("schema", ["edgekit.deploy/1", "edgekit.bundle/0", None, 2])
def test_another_schema_is_no_bundle(letter, schema):
    path = letter / "manifest.json"
    path.write_text(json.dumps({"schema": schema}))
    refused(letter, "no manifest of a bundle")


@pytest.mark.parametrize("kept", [0, 1, 1000, -3])
def test_a_truncated_manifest(letter, kept):
    path = letter / "manifest.json"
    path.write_bytes(path.read_bytes()[:kept])
    refused(letter, "manifest.json is no JSON", "fresh copy")


@pytest.mark.parametrize("content", [b"[]", b"\xff\xfe", b"[" * 100_000, b'{"schema": NaN}', b"3"])
def test_what_is_no_manifest_at_all(letter, content):
    (letter / "manifest.json").write_bytes(content)
    refused(letter, "manifest.json")


def test_a_manifest_that_is_a_folder_a_link_or_not_there(letter, tmp_path):
    path = letter / "manifest.json"
    path.rename(tmp_path / "m.json")
    refused(letter, "is not a bundle: it holds no manifest.json")
    path.mkdir()
    refused(letter, "manifest.json cannot be read: it is a folder")
    path.rmdir()
    path.symlink_to(tmp_path / "m.json")
    refused(letter, "manifest.json cannot be read: it is a symbolic link")
    refused(tmp_path / "nowhere", "does not exist")
    refused(tmp_path / "m.json", "is a file and not a bundle")


PLACES = {
    "graph": ("variants", 0, "graphs", "main"),
    "folder": ("engines", 0, "folder"),
    "engine's graph": ("engines", 0, "graph"),
    "engine": ("engines", 0, "compiled", "engine"),
    "golden": ("golden", "main"),
}
OUTSIDE = ["../x", "a/../../x", "/etc/passwd", "C:/x"]
ODD = ["", "a\\b", "..\\x", "a//b", "./a", "a/", "a\0b", "a\x1b[2Jb"]


@pytest.mark.parametrize("place", [*PLACES, "files"])
@pytest.mark.parametrize("name", [*OUTSIDE, *ODD])
def test_a_path_that_could_lead_out_is_refused(letter, place, name):
    def change(content):
        if place == "files":
            content["files"][name] = {"sha256": "0" * 64, "size_bytes": 1}
        else:
            *above, last = PLACES[place]
            for key in above:
                content = content[key]
            content[last] = name

    edit(letter, change)
    words = ("outside the bundle",) if name in OUTSIDE else ()
    # A NUL is no text, wherever it stands; the reader of JSON refuses it.
    error = refused(
        letter, "manifest.json holds" if "\0" in name else "manifest.json names", *words
    )
    assert "\x1b" not in str(error)
    with pytest.raises(BadInput):
        read_manifest(letter)


@pytest.mark.parametrize("key", ["target", "variant", "compute", "role"])
def test_a_name_that_becomes_a_path_is_refused_too(letter, key):
    edit(letter, lambda content: content["engines"][0].__setitem__(key, "../../x"))
    refused(letter, "manifest.json names")


def test_an_engine_file_stays_in_its_folder(letter):
    edit(letter, lambda content: content["engines"][0]["compiled"].update(engine="a/b"))
    refused(letter, "'a/b', which is not a plain name")


def test_a_decoder_stays_in_the_bundle(letter):
    edit(letter, lambda content: content["card"]["postprocess"].update(decode="../x.py:head"))
    refused(letter, "'../x.py', which lies outside the bundle")


def test_a_name_that_stands_twice(letter):
    path = letter / "manifest.json"
    path.write_text(path.read_text().replace('"card.yaml": {', '"recipe.yaml": {', 1))
    refused(letter, "'recipe.yaml' twice")


def test_two_names_that_are_one_file_on_other_disks(copy):
    (copy / "Card.yaml").write_text("")
    with pytest.raises(BadInput, match="one file on some disks"):
        seal(copy, read_manifest(copy))


def test_an_engine_of_no_variant(letter):
    edit(letter, lambda content: content["engines"][0].update(variant="fp8"))
    refused(letter, "belongs to no variant")


def test_a_refused_manifest_is_a_2_in_one_sentence(letter, capsys):
    edit(letter, lambda content: content["golden"].update(main="../x"))
    assert command(["verify", str(letter), "--quiet"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


# The engines.


def test_another_golden_output_fails_parity_alone(copy):
    """The reference's outputs decide: an engine that answers otherwise is found out."""
    feeds, outputs = read_golden(copy / "golden" / "main.npz")
    broken = [
        [{name: array[..., ::-1] for name, array in step.items()} for step in case]
        for case in outputs
    ]
    write_golden(copy / "golden" / "main.npz", feeds, broken)
    reseal(copy)
    document = api.verify(copy)
    assert document.damaged == ()
    for entry in document.entries:
        failed = {name for name, check in entry.checks.items() if check.verdict == "FAIL"}
        assert failed == {"parity"}


def test_golden_outputs_are_judged_by_the_limit_of_the_certificate(copy):
    """A bundle of `deploy --min-parity 30` would fail on arrival by the 80 dB of fp32."""
    feeds, outputs = read_golden(copy / "golden" / "main.npz")
    off = [[{n: a * np.float32(1.003) for n, a in s.items()} for s in case] for case in outputs]
    write_golden(copy / "golden" / "main.npz", feeds, off)
    for path in (copy / "certificates").glob("*.json"):
        certificate = json.loads(path.read_bytes())
        certificate["checks"]["parity"]["limit"] = 30.0
        path.write_text(json.dumps(certificate))
    reseal(copy, golden_sqnr_db={})

    def parity(**options):
        return {entry.checks["parity"].verdict for entry in api.verify(copy, **options).entries}

    assert parity() == {"PASS"}
    assert parity(min_parity=70.0) == {"FAIL"}


def test_a_graph_that_no_engine_takes_fails_opens_with_the_reason(copy):
    (copy / "variants" / "fp32" / "main.onnx").write_bytes(b"no graph")
    reseal(copy)
    document = api.verify(copy)
    assert document.verdict == "FAIL"
    fp32 = [entry for entry in document.entries if entry.variant == "fp32"]
    assert len(fp32) == 2
    for entry in fp32:
        assert set(entry.checks) == {"opens"}
        assert "main.onnx" in entry.checks["opens"].reason


def test_an_engine_of_another_version_is_compiled_again(copy):
    old = tuple(
        replace(engine, compiled=replace(engine.compiled, runtime_version="0.0.1"))
        for engine in read_manifest(copy).engines
    )
    reseal(copy, engines=old)
    assert api.verify(copy, trust_engine=True).verdict == "PASS"


def test_an_engine_from_elsewhere_is_opened_only_on_trust(copy):
    for engine in (*copy.rglob("engine.onnx"), *copy.rglob("engine.blob")):
        engine.write_bytes(b"not what was certified")
    reseal(copy)
    assert api.verify(copy).verdict == "PASS"
    trusting = api.verify(copy, trust_engine=True)
    assert {entry.checks["opens"].verdict for entry in trusting.entries} == {"FAIL"}


def test_an_engine_that_describes_itself_otherwise_is_not_opened(copy):
    """compiled.json is what a runtime goes by: it must say what the manifest says."""
    for path in copy.rglob("compiled.json"):
        content = json.loads(path.read_bytes()) | {"engine": "../../../../card.yaml"}
        path.write_text(json.dumps(content))
    reseal(copy)
    assert api.verify(copy, trust_engine=True).verdict == "PASS"


def test_an_entry_in_a_precision_that_is_not_here_is_skipped_and_said(copy):
    """A bundle from a machine that computes in fp16, as ONNX Runtime on a CPU does not."""
    manifest = read_manifest(copy)
    first = next(e for e in manifest.engines if e.target == "onnxruntime:cpu")
    foreign = replace(first, compute="fp16")
    folder = copy / "certificates"
    shutil.copyfile(folder / f"{first.name}.json", folder / f"{foreign.name}.json")
    reseal(copy, engines=(*manifest.engines, foreign))
    document = api.verify(copy)
    assert document.verdict == "PASS"
    assert any("this machine cannot compute in fp16" in text for text in document.skipped)


# The machine.


def with_instruction_set(bundle, names):
    environment = read_manifest(bundle).environment
    identity = {**environment["identity"], "instruction_set": names}
    reseal(bundle, environment={**environment, "identity": identity})


def test_another_instruction_set_is_said_and_the_golden_outputs_decide(copy, capsys):
    with_instruction_set(copy, [*instruction_set(), "sve2"])
    document = api.verify(copy, targets=["onnxruntime:cpu"])
    sets = document.instruction_set
    assert not sets.same
    assert sets.certified == (*instruction_set(), "sve2")
    assert "this machine lacks sve2" in sets.reason
    assert "latency does not carry over" in sets.reason
    assert document.verdict == "PASS"
    arguments = ["verify", str(copy), "--target", "onnxruntime:cpu", "--quiet"]
    assert command(arguments) == 0
    assert "another instruction set" in capsys.readouterr().out
    assert command([*arguments, "--require-verified"]) == 1


def test_a_certificate_without_an_instruction_set_has_nothing_to_compare(copy):
    with_instruction_set(copy, None)
    assert api.verify(copy, targets=["onnxruntime:cpu"]).instruction_set is None


def test_the_same_instruction_set_counts_as_verified(deployed):
    _, bundle = deployed
    arguments = ["verify", str(bundle), "--target", "onnxruntime:cpu", "--quiet"]
    assert command([*arguments, "--require-verified"]) == 0


@pytest.mark.parametrize("ahead", [timedelta(days=400), timedelta(hours=1)])
def test_a_bundle_from_the_future_passes_and_says_so(copy, ahead):
    created = (datetime.now(timezone.utc) + ahead).isoformat(timespec="seconds")
    reseal(copy, created=created)
    document = api.verify(copy, targets=["onnxruntime:cpu"])
    assert document.verdict == "PASS"
    (note,) = document.notes
    assert created in note
    assert "one of them is wrong" in note


def test_a_date_without_a_zone_and_one_that_is_none(copy):
    reseal(copy, created="2001-02-03T04:05:06")
    assert api.verify(copy, targets=["onnxruntime:cpu"]).notes == ()
    reseal(copy, created="yesterday")
    assert "is no date" in api.verify(copy, targets=["onnxruntime:cpu"]).notes[0]


def verify_with_cache(bundle, cache):
    return subprocess.run(
        [sys.executable, "-m", "edgekit", "verify", str(bundle), "--quiet"],
        capture_output=True,
        text=True,
        env={**os.environ, "EDGEKIT_CACHE": str(cache)},
    )


@pytest.mark.parametrize("flags", ["size=64k", "ro"])
def test_a_full_or_read_only_cache_is_no_fault_of_the_bundle(deployed, tmp_path, mounted, flags):
    _, bundle = deployed
    cache = mounted(tmp_path / "cache", "-t", "tmpfs", "-o", f"{flags},mode=700", "tmpfs")
    ended = verify_with_cache(bundle, cache)
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"The cache {cache}" in ended.stderr
    assert "EDGEKIT_CACHE" in ended.stderr


def test_a_cache_that_is_a_file(deployed, tmp_path):
    _, bundle = deployed
    (tmp_path / "cache").write_text("")
    ended = verify_with_cache(bundle, tmp_path / "cache")
    assert ended.returncode == 2, ended.stderr
    assert "EDGEKIT_CACHE" in ended.stderr
