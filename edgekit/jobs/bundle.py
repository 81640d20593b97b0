"""The bundle on disk: its manifest, its paths, its checksums."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file, write_bytes
from edgekit.core.manifest import Manifest, ManifestFile

__all__ = ["MANIFEST", "damage", "entry_name", "is_bundle", "read_manifest", "seal"]

MANIFEST = "manifest.json"


def entry_name(target: str, variant: str, compute: str) -> str:
    """The name of an entry's files in a bundle."""
    return f"{target.replace(':', '-')}_{variant}_{compute}"


def is_bundle(path: Path) -> bool:
    """Whether a folder is a bundle."""
    return (path / MANIFEST).is_file()


def read_manifest(bundle: Path) -> Manifest:
    """Read the manifest.

    Raises:
        BadInput: No manifest, or not one that this version reads.
    """
    path = bundle / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise BadInput(
            f"{bundle} is not a bundle: it holds no {MANIFEST}.",
            hint="A bundle is made by: edgekit deploy",
        ) from error
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"{path} is damaged or of another version: {error}.",
            hint="Take a fresh copy of the bundle.",
        ) from error
    for name in _paths(manifest):
        # A bundle comes from elsewhere: nothing it says may reach outside its folder.
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BadInput(
                f"{path} names {name!r}, which lies outside the bundle.",
                hint="Do not trust this bundle.",
            )
    return manifest


def seal(bundle: Path, manifest: Manifest) -> None:
    """Write the manifest with the sha256 of every other file of the bundle."""
    files = {
        path.relative_to(bundle).as_posix(): ManifestFile(sha256_file(path), path.stat().st_size)
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    sealed = msgspec.structs.replace(manifest, files=files)
    write_bytes(bundle / MANIFEST, msgspec.json.format(msgspec.json.encode(sealed)))


def damage(bundle: Path, manifest: Manifest) -> list[str]:
    """Return what is missing, changed or extra, each as a sentence."""
    found: list[str] = []
    for name, expected in manifest.files.items():
        path = bundle / name
        if not path.is_file():
            found.append(f"{name} is missing.")
        elif path.stat().st_size != expected.size_bytes:
            found.append(
                f"{name} holds {path.stat().st_size} bytes instead of {expected.size_bytes}."
            )
        elif sha256_file(path) != expected.sha256:
            found.append(f"{name} was changed: its sha256 differs.")
    known = {*manifest.files, MANIFEST}
    found += [
        f"{name} does not belong to the bundle."
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and (name := path.relative_to(bundle).as_posix()) not in known
    ]
    return found


def _paths(manifest: Manifest) -> list[str]:
    graphs = [path for variant in manifest.variants for path in variant.graphs.values()]
    engines = [name for engine in manifest.engines for name in (engine.folder, engine.graph)]
    return [*graphs, *engines, *manifest.golden.values(), *manifest.files]
