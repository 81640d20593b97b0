"""An Ed25519 signature over a bundle's manifest, and with it over every file of the bundle.

The signature is 64 bytes, with nothing around them, over the bytes of manifest.json; OpenSSL makes
and checks the same without edgekit.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.core.documents import BundleSignature
from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.manifest import Manifest, is_whole
from edgekit.core.opening import TEXT_BYTES, read_file
from edgekit.core.requires import requires
from edgekit.jobs.model.bundle import MANIFEST, SIGNATURE, manifest_bytes, read_manifest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "PASSPHRASE",
    "check_signature",
    "read_private_key",
    "read_public_key",
    "sign_bundle",
]

# The passphrase of a private key; in the environment, because a build server has nobody to ask.
PASSPHRASE = "EDGEKIT_SIGN_PASSPHRASE"  # noqa: S105  (the variable's name)

_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MAKE_KEY = "Make a pair with: ssh-keygen -t ed25519 -f NAME"


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key; call it before long work to refuse early what sign_bundle would refuse.

    Args:
        path: PEM (openssl genpkey -algorithm ed25519) or OpenSSH (ssh-keygen -t ed25519). The
            passphrase of a protected key is taken from EDGEKIT_SIGN_PASSPHRASE.

    Raises:
        BadInput: Not there, no private key, of another kind, or its passphrase is missing or wrong.
        MissingLibrary: cryptography is not installed.
    """
    content = _read(path)
    with requires("cryptography", extra="sign", why="to sign a bundle"):
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            load_pem_private_key,
            load_ssh_private_key,
        )
    load = load_ssh_private_key if content.startswith(_OPENSSH) else load_pem_private_key
    try:
        try:
            key = load(content, None)
        except TypeError:  # protected by a passphrase
            key = load(content, _passphrase(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(
            f"{path} cannot be read as a private key: {str(error).rstrip('.')}.", hint=_MAKE_KEY
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path} holds a private key that is not Ed25519.", hint=_MAKE_KEY)
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Args:
        path: PEM (openssl pkey -pubout) or OpenSSH (NAME.pub of ssh-keygen).

    Raises:
        BadInput: Not there, no public key, a private one, or of another kind.
        MissingLibrary: cryptography is not installed.
    """
    content = _read(path)
    if b"PRIVATE KEY-----" in content:
        raise BadInput(
            f"{path} is a private key; a signature is checked with the public one.",
            hint="Give the .pub file, and keep the private key where bundles are signed.",
        )
    with requires("cryptography", extra="sign", why="to check a signature"):
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import (
            load_pem_public_key,
            load_ssh_public_key,
        )
    load = load_pem_public_key if content.startswith(b"-----BEGIN") else load_ssh_public_key
    try:
        key = load(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(
            f"{path} cannot be read as a public key: {str(error).rstrip('.')}.",
            hint="Give the .pub file that belongs to the key that signed the bundle.",
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput(f"{path} holds a public key that is not Ed25519.", hint=_MAKE_KEY)
    return key


def sign_bundle(bundle: Path, key_file: Path) -> None:
    """Write manifest.json.sig beside the manifest; a signature that is there is replaced.

    The bundle must be sealed: what `seal` writes is what is signed.

    Args:
        bundle: The bundle's folder.
        key_file: The private key, see read_private_key.

    Raises:
        BadInput: No bundle, no key (see read_private_key), or the signature cannot be written.
        MissingLibrary: cryptography is not installed.
    """
    read_manifest(bundle)
    key = read_private_key(key_file)
    write_bytes(bundle / SIGNATURE, key.sign(manifest_bytes(bundle)))


def check_signature(
    bundle: Path, public_key_file: Path | None, manifest: Manifest | None = None
) -> BundleSignature:
    """Say whether a bundle is signed, and by whom where a key is given.

    Args:
        bundle: The bundle's folder.
        public_key_file: The key that must have signed it; None looks only whether a signature is
            there, and needs no cryptography.
        manifest: As it was read: the signature must be over those very bytes. None takes what is
            there.

    Raises:
        BadInput: The key file is no key, see read_public_key.
        MissingLibrary: cryptography is not installed and a key was given.
    """
    path = bundle / SIGNATURE
    signed = os.path.lexists(path)
    if public_key_file is None:
        return BundleSignature(
            state="not-checked" if signed else "unsigned",
            reason="It is signed; the signature was not checked."
            if signed
            else "It is not signed.",
        )
    key = read_public_key(public_key_file)
    name = str(public_key_file)
    if not signed:
        return BundleSignature(
            state="unsigned", key=name, reason=f"It is not signed, and {name} must have signed it."
        )
    from cryptography.exceptions import InvalidSignature

    try:
        content = manifest_bytes(bundle)
        if manifest is not None and not is_whole(content, manifest.seal):
            raise InvalidSignature
        key.verify(read_file(path, TEXT_BYTES, follow=False), content)
    except (InvalidSignature, OSError):
        return BundleSignature(
            state="invalid",
            key=name,
            reason=f"Its signature is not that of {name} over this {MANIFEST}.",
        )
    return BundleSignature(state="valid", key=name, reason=f"It is signed by {name}.")


def _read(path: Path) -> bytes:
    try:
        return read_file(path, TEXT_BYTES)
    except OSError as error:
        raise BadInput(
            f"The key file {path} cannot be read: {(error.strerror or str(error)).lower()}.",
            hint=_MAKE_KEY,
        ) from error


def _passphrase(path: Path) -> bytes:
    passphrase = os.environ.get(PASSPHRASE)
    if not passphrase:
        raise BadInput(
            f"The private key {path} is protected by a passphrase.",
            hint=f"Put the passphrase into the environment variable {PASSPHRASE}.",
        )
    return passphrase.encode()
