"""The bundle on disk: its manifest, its files, their checksums."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file, write_bytes
from edgekit.core.json_text import JSON_LIMIT
from edgekit.core.manifest import (
    Manifest,
    ManifestFile,
    encode_manifest,
    entry_name,
    is_whole,
    parse_manifest,
)
from edgekit.core.no_model import no_model, refuse_no_model
from edgekit.core.opening import read_file
from edgekit.core.unshared import unshared

__all__ = [
    "MANIFEST",
    "SIGNATURE",
    "damage",
    "entry_name",
    "is_bundle",
    "manifest_bytes",
    "read_manifest",
    "refuse_changed",
    "seal",
    "sealed_content",
    "unshared_bundle",
    "verify_command",
]

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
_SIGNATURE_BYTES = 64  # of Ed25519


def is_bundle(path: Path) -> bool:
    """Whether a folder is a bundle."""
    return (path / MANIFEST).is_file()


def read_manifest(bundle: Path, *, refuse_links: bool = True) -> Manifest:
    """Read the manifest.

    Args:
        bundle: The bundle's folder.
        refuse_links: Refuse the bundle where a path that the manifest names is a symbolic link,
            or leads through one. False is for who asks `damage`, which names them.

    Returns:
        What it says. Its `seal` is empty where the bytes are not those that were sealed.

    Raises:
        BadInput: No manifest, or not one that this version reads; see parse_manifest.
    """
    path = bundle / MANIFEST
    try:
        content = manifest_bytes(bundle)
    except (FileNotFoundError, NotADirectoryError):
        refuse_no_model(str(bundle), "bundle")
        raise no_model(str(bundle), "bundle") from None
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {_lower(error)}.", hint="Take a fresh copy of the bundle."
        ) from error
    manifest = parse_manifest(content, path)
    if not is_whole(content, manifest.seal):
        # Whatever lies there later is held against this, so that it is what was read here.
        manifest = msgspec.structs.replace(manifest, seal="")
    if refuse_links:
        linked = next((name for name in manifest.paths() if _through_link(bundle, name)), None)
        if linked is not None:
            raise BadInput(
                f"{linked} in {bundle} is a symbolic link, and a bundle holds none.",
                hint="Copy the bundle with its links followed (cp -rL), from who you trust.",
            )
    return manifest


def unshared_bundle(bundle: Path) -> Path:
    """Return the folder, or a copy of it where others can change it; see edgekit.core.unshared.

    What is no bundle is returned as it is: whoever reads it says what it is.
    """
    return unshared(bundle) if is_bundle(bundle) else bundle


def seal(bundle: Path, manifest: Manifest) -> None:
    """Write the manifest with the sha256 of every other file of the bundle and its own.

    Its own stands inside it, over its bytes with these digits taken as zeros. A file of checksums
    beside it would say the same, but of two files that disagree one cannot tell which was changed.
    A signature of the manifest that was there goes: it belongs to what was signed.

    Raises:
        BadInput: The bundle holds a link or another special file, or it cannot be written.
    """
    (bundle / SIGNATURE).unlink(missing_ok=True)
    files: dict[str, ManifestFile] = {}
    for name, fault in _contents(bundle):
        if fault:
            raise BadInput(f"{name} in {bundle} {fault}.", hint="Remove it, or copy what it names.")
        if name != MANIFEST:
            path = bundle / name
            files[name] = ManifestFile(sha256_file(path), path.stat().st_size)
    sealed = msgspec.structs.replace(manifest, files=files)
    write_bytes(bundle / MANIFEST, encode_manifest(sealed, bundle / MANIFEST))


def damage(bundle: Path, manifest: Manifest) -> list[str]:
    """Return what is missing, changed, extra or a link, each as a sentence that begins with it.

    Where the manifest itself was changed nothing that it says of the others is believed, and it
    alone is named.
    """
    if not is_whole(manifest_bytes(bundle), manifest.seal):
        return [f"{MANIFEST} was changed after it was sealed: its own sha256 differs."]
    there: set[str] = set()
    links: list[str] = []
    found: list[str] = []
    for name, fault in _contents(bundle):
        if fault:
            links.append(name)
            found.append(f"{_printable(name)} {fault}.")
        elif name in manifest.files:
            there.add(name)
        elif name == SIGNATURE:
            found += _cut_signature(bundle / name)
        elif name != MANIFEST:
            found.append(f"{_printable(name)} does not belong to the bundle.")
    for name, expected in manifest.files.items():
        if name in there:
            found += _changed(bundle / name, name, expected)
        elif not any(name == link or name.startswith(f"{link}/") for link in links):
            found.append(f"{name} is missing.")
    unsealed = {*manifest.paths()} - {*manifest.files, *(one.folder for one in manifest.engines)}
    return found + [f"{name} is named by {MANIFEST} without a sha256." for name in sorted(unsealed)]


def verify_command(bundle: Path) -> str:
    """Return what tells everything that is wrong with a bundle, to be pasted into a shell."""
    return f"edgekit verify {shlex.quote(str(bundle))}"


def refuse_changed(bundle: Path, manifest: Manifest, names: Sequence[str]) -> None:
    """Refuse files that are not as they were sealed, or a manifest that is not.

    `edgekit verify` looks at all of them; who uses a bundle looks at what it opens.

    Args:
        bundle: Its folder.
        manifest: Its table of contents.
        names: Relative to the bundle.

    Raises:
        BadInput: One is missing, changed, or not the bundle's.
    """
    if not is_whole(manifest_bytes(bundle), manifest.seal):
        raise _no_longer(bundle, MANIFEST)
    for name in names:
        sealed, path = manifest.files.get(name), bundle / name
        if sealed is None or not path.is_file() or sha256_file(path) != sealed.sha256:
            raise _no_longer(bundle, name)


def sealed_content(bundle: Path, manifest: Manifest, name: str) -> bytes:
    """Read a file of a bundle once; what is returned is what was sealed.

    Args:
        bundle: Its folder.
        manifest: Its table of contents.
        name: Relative to the bundle.

    Raises:
        BadInput: It is missing, changed, or not the bundle's, or the manifest was changed.
    """
    sealed = manifest.files.get(name) if manifest.seal else None
    try:
        content = read_file(bundle / name, sealed.size_bytes, follow=False) if sealed else b""
    except OSError as error:
        raise _no_longer(bundle, name) from error
    if sealed is None or hashlib.sha256(content).hexdigest() != sealed.sha256:
        raise _no_longer(bundle, name)
    return content


def _no_longer(bundle: Path, name: str) -> BadInput:
    """The error of a file that is not as it was sealed."""
    return BadInput(
        f"{bundle / name} is missing or was changed after the bundle was sealed.",
        hint=f"Take a fresh copy of the bundle; see: {verify_command(bundle)}",
    )


def manifest_bytes(bundle: Path) -> bytes:
    """Return the manifest as it stands in its file, which is no link.

    Raises:
        OSError: As of `edgekit.core.opening.open_file`.
    """
    return read_file(bundle / MANIFEST, JSON_LIMIT, follow=False)


def _cut_signature(path: Path) -> list[str]:
    """Whose a signature is only a key can tell; that it is one, its length."""
    size = path.stat().st_size
    if size == _SIGNATURE_BYTES:
        return []
    return [f"{SIGNATURE} holds {size} bytes instead of {_SIGNATURE_BYTES}."]


def _changed(path: Path, name: str, expected: ManifestFile) -> list[str]:
    try:
        size = path.stat().st_size
        if size != expected.size_bytes:
            return [f"{name} holds {size} bytes instead of {expected.size_bytes}."]
        if sha256_file(path) != expected.sha256:
            return [f"{name} was changed: its sha256 differs."]
    except OSError as error:
        return [f"{name} cannot be read: {_lower(error)}."]
    return []


def _contents(bundle: Path, below: str = "") -> Iterator[tuple[str, str]]:
    """Every file below a folder, in order: relative path, and why it is none of a bundle's."""
    try:
        entries = sorted(os.scandir(bundle / below), key=lambda entry: entry.name)
    except OSError as error:
        yield below, f"cannot be read: {_lower(error)}"
        return
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.is_symlink():
            yield name, "is a symbolic link, and a bundle holds none"
        elif entry.is_dir(follow_symlinks=False):
            yield from _contents(bundle, name)
        elif entry.is_file(follow_symlinks=False):
            yield name, ""
        else:
            yield name, "is neither a file nor a folder"


def _through_link(bundle: Path, name: str) -> bool:
    parts = name.split("/")
    return any((bundle / "/".join(parts[: end + 1])).is_symlink() for end in range(len(parts)))


def _printable(name: str) -> str:
    """The name of a file that anyone may have put there, fit for a terminal and for JSON."""
    return name if name.isprintable() else ascii(name)


def _lower(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
