"""Signed bundles: by keys that OpenSSL and OpenSSH make, and as OpenSSL itself checks them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit import api
from edgekit.cli.main import run as command
from edgekit.core.errors import BadInput
from edgekit.jobs.model.bundle import (
    damage,
    read_manifest,
    refuse_changed,
    seal,
    sealed_content,
)
from edgekit.jobs.model.signing import (
    PASSPHRASE,
    check_signature,
    read_private_key,
    read_public_key,
    sign_bundle,
)

PEM, SSH = serialization.Encoding.PEM, serialization.Encoding.OpenSSH
PKCS8 = serialization.PrivateFormat.PKCS8
OPENSSH = serialization.PrivateFormat.OpenSSH
INFO = serialization.PublicFormat.SubjectPublicKeyInfo
ONE_TARGET = ["onnxruntime:cpu"]


def write_private(path, key, form=PKCS8, passphrase=None):
    lock = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    path.write_bytes(key.private_bytes(PEM, form, lock))
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder of key pairs: mine in both forms, another's, and one that is not Ed25519."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        key = Ed25519PrivateKey.generate()
        write_private(folder / f"{name}.pem", key)
        write_private(folder / f"{name}_ssh", key, OPENSSH)
        write_private(folder / f"{name}_locked.pem", key, PKCS8, b"open sesame")
        write_private(folder / f"{name}_locked_ssh", key, OPENSSH, b"open sesame")
        public = key.public_key()
        (folder / f"{name}.pub.pem").write_bytes(public.public_bytes(PEM, INFO))
        ssh = public.public_bytes(SSH, serialization.PublicFormat.OpenSSH)
        (folder / f"{name}.pub").write_bytes(ssh + b" me@here\n")
    curve = generate_private_key(SECP256R1())
    write_private(folder / "curve.pem", curve)
    (folder / "curve.pub").write_bytes(curve.public_key().public_bytes(PEM, INFO))
    (folder / "text").write_text("This is no key.\n")
    (folder / "empty").write_bytes(b"")
    (folder / "bytes").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def copy(deployed, tmp_path):
    _, bundle = deployed
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def signed(deployed, keys, tmp_path_factory):
    _, bundle = deployed
    place = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("signed") / "bundle"))
    sign_bundle(place, keys / "mine.pem")
    return place


@pytest.mark.parametrize("private", ["mine.pem", "mine_ssh"])
@pytest.mark.parametrize("public", ["mine.pub", "mine.pub.pem"])
def test_a_signature_is_valid_in_every_form_of_key(copy, keys, private, public):
    sign_bundle(copy, keys / private)
    found = check_signature(copy, keys / public)
    assert found.state == "valid"
    assert str(keys / public) in found.reason
    assert check_signature(copy, keys / "other.pub").state == "invalid"


def test_a_signed_bundle_verifies_with_and_without_the_key(signed, keys):
    document = api.verify(signed, targets=ONE_TARGET)
    assert (document.verdict, document.damaged) == ("PASS", ())
    assert document.signature.state == "not-checked"
    assert document.signature.reason == "It is signed; the signature was not checked."
    document = api.verify(signed, targets=ONE_TARGET, require_signature=keys / "mine.pub")
    assert (document.verdict, document.signature.state) == ("PASS", "valid")
    assert document.entries


def test_another_key_is_a_fail_and_nothing_is_opened(signed, keys, capsys):
    arguments = ["verify", str(signed), "--require-signature", str(keys / "other.pub"), "--quiet"]
    assert command([*arguments, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "FAIL"
    assert document["signature"]["state"] == "invalid"
    assert document["entries"] == []
    assert command(arguments) == 1
    assert "Its signature is not that of" in capsys.readouterr().out


def test_a_missing_signature_is_a_fail_where_one_is_required(deployed, keys):
    _, bundle = deployed
    document = api.verify(bundle, require_signature=keys / "mine.pub")
    assert (document.verdict, document.signature.state) == ("FAIL", "unsigned")
    assert document.entries == ()
    assert "must have signed it" in document.signature.reason


def test_a_bundle_changed_and_sealed_again_is_not_what_was_signed(copy, keys):
    """Whoever can write the bundle can write its checksums, and not the signature."""
    sign_bundle(copy, keys / "mine.pem")
    signature = (copy / "manifest.json.sig").read_bytes()
    (copy / "recipe.yaml").write_text("source: another\n")
    seal(copy, read_manifest(copy))
    assert not (copy / "manifest.json.sig").exists()
    (copy / "manifest.json.sig").write_bytes(signature)
    document = api.verify(copy, require_signature=keys / "mine.pub")
    assert document.damaged == ()
    assert (document.verdict, document.signature.state) == ("FAIL", "invalid")


@pytest.mark.parametrize("again", [False, True])
def test_what_was_read_is_what_must_be_signed(copy, keys, again):
    # Whoever can write the folder shows one manifest to be read, and another to be compared.
    path = copy / "manifest.json"
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b'"created": "2', b'"created": "1', 1))
    assert path.read_bytes() != sound
    if again:
        seal(copy, read_manifest(copy))
    read = read_manifest(copy)
    path.write_bytes(sound)
    sign_bundle(copy, keys / "mine.pem")
    assert check_signature(copy, keys / "mine.pub").state == "valid"
    assert check_signature(copy, keys / "mine.pub", read_manifest(copy)).state == "valid"
    assert check_signature(copy, keys / "mine.pub", read).state == "invalid"
    assert "manifest.json" in damage(copy, read)[0]
    with pytest.raises(BadInput, match="was changed"):
        refuse_changed(copy, read, [])


def test_what_is_read_of_a_bundle_is_what_was_compared(copy):
    manifest = read_manifest(copy)
    content = (copy / "deploy.json").read_bytes()
    assert sealed_content(copy, manifest, "deploy.json") == content
    (copy / "deploy.json").write_bytes(content + b"\n")
    (copy / "recipe.yaml").unlink()
    (copy / "recipe.yaml").symlink_to(copy / "card.yaml")
    for name in ("deploy.json", "recipe.yaml", "manifest.json", "not-there", "../elsewhere"):
        with pytest.raises(BadInput, match="missing or was changed"):
            sealed_content(copy, manifest, name)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_flipped_byte_of_manifest_or_signature_is_seen(signed, keys, data):
    name = data.draw(st.sampled_from(["manifest.json", "manifest.json.sig"]))
    content = (signed / name).read_bytes()
    flipped = bytearray(content)
    flipped[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (signed / name).write_bytes(flipped)
    try:
        assert check_signature(signed, keys / "mine.pub").state == "invalid"
    finally:
        (signed / name).write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"x", bytes(64), bytes(65)])
def test_what_is_no_signature_is_not_valid(copy, keys, content):
    (copy / "manifest.json.sig").write_bytes(content)
    assert check_signature(copy, keys / "mine.pub").state == "invalid"


def test_a_signature_that_is_a_link_or_a_folder_is_not_valid(copy, keys, tmp_path):
    sign_bundle(copy, keys / "mine.pem")
    path = copy / "manifest.json.sig"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert check_signature(copy, keys / "mine.pub").state == "invalid"
    assert api.verify(copy).damaged[0].startswith("manifest.json.sig is a symbolic link")
    path.unlink()
    path.mkdir()
    assert check_signature(copy, keys / "mine.pub").state == "invalid"


def test_signing_again_replaces_the_signature(copy, keys):
    sign_bundle(copy, keys / "other.pem")
    sign_bundle(copy, keys / "mine.pem")
    assert check_signature(copy, keys / "mine.pub").state == "valid"


@pytest.mark.parametrize("private", ["mine_locked.pem", "mine_locked_ssh"])
def test_the_passphrase_comes_from_the_environment(copy, keys, private, monkeypatch):
    monkeypatch.delenv(PASSPHRASE, raising=False)
    with pytest.raises(BadInput, match="protected by a passphrase") as caught:
        read_private_key(keys / private)
    assert PASSPHRASE in caught.value.hint
    monkeypatch.setenv(PASSPHRASE, "wrong")
    with pytest.raises(BadInput, match="cannot be read as a private key"):
        read_private_key(keys / private)
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    sign_bundle(copy, keys / private)
    assert check_signature(copy, keys / "mine.pub").state == "valid"


def test_a_passphrase_that_is_not_needed_does_no_harm(keys, monkeypatch):
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    assert read_private_key(keys / "mine.pem")


@pytest.mark.parametrize(
    "name", ["nowhere", "text", "empty", "bytes", "curve.pem", "mine.pub", "."]
)
def test_what_is_no_private_key_is_refused(copy, keys, name):
    with pytest.raises(BadInput) as caught:
        sign_bundle(copy, keys / name)
    assert str(keys / name) in caught.value.message
    assert caught.value.hint
    assert not (copy / "manifest.json.sig").exists()


@pytest.mark.parametrize(
    "name", ["nowhere", "text", "empty", "bytes", "curve.pub", "mine.pem", "."]
)
def test_what_is_no_public_key_is_a_2(signed, keys, name, capsys):
    with pytest.raises(BadInput):
        read_public_key(keys / name)
    key = keys / name
    assert command(["verify", str(signed), "--require-signature", str(key), "--quiet"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert str(key) in captured.err


def test_a_private_key_is_not_taken_for_the_public_one(signed, keys):
    for name in ("mine.pem", "mine_ssh"):
        with pytest.raises(BadInput, match="is a private key"):
            check_signature(signed, keys / name)


def test_only_a_bundle_is_signed(tmp_path, keys):
    with pytest.raises(BadInput, match="is not a bundle"):
        sign_bundle(tmp_path, keys / "mine.pem")
    assert list(tmp_path.iterdir()) == []


def test_keys_and_signatures_are_those_of_openssl(tool, copy, tmp_path):
    program = tool("openssl")

    def openssl(*arguments):
        return subprocess.run([program, *map(str, arguments)], capture_output=True, cwd=tmp_path)

    made = openssl("genpkey", "-algorithm", "ed25519", "-out", "key.pem")
    assert made.returncode == 0, made.stderr
    assert openssl("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub").returncode == 0
    sign_bundle(copy, tmp_path / "key.pem")
    assert check_signature(copy, tmp_path / "key.pub").state == "valid"
    arguments = ("-pubin", "-inkey", "key.pub", "-rawin", "-in", copy / "manifest.json")
    checked = openssl("pkeyutl", "-verify", *arguments, "-sigfile", copy / "manifest.json.sig")
    assert b"Verified Successfully" in checked.stdout, checked.stderr


def test_keys_are_those_of_ssh_keygen(tool, copy, tmp_path):
    made = [tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"]
    subprocess.run(made, check=True)
    sign_bundle(copy, tmp_path / "key")
    assert check_signature(copy, tmp_path / "key.pub").state == "valid"


def test_without_cryptography_a_signature_is_seen_and_cannot_be_checked(signed, keys, tmp_path):
    (tmp_path / "cryptography").mkdir()
    absent = "raise ModuleNotFoundError(\"No module named 'cryptography'\", name='cryptography')"
    (tmp_path / "cryptography" / "__init__.py").write_text(absent)
    root = Path(__file__).resolve().parents[2]

    def edgekit(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "edgekit", *map(str, arguments), "--quiet"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])},
        )

    ended = edgekit("verify", signed, "--target", "onnxruntime:cpu")
    assert ended.returncode == 0, ended.stderr
    assert "signed; the signature was not checked" in ended.stdout
    ended = edgekit("verify", signed, "--require-signature", keys / "mine.pub")
    assert ended.returncode == 3, ended.stderr
    assert "pip install 'edgekit[sign]'" in ended.stderr
    assert ended.stderr.count("\n") == 1
