"""What the user named to be written: refused before any work, put in place whole at its end.

Every command and every call that writes where the user says makes one `Destination` first. What it
refuses is the same everywhere:

- a folder is replaced only with `force`, and only where every file in it is as edgekit wrote it;
- a file is replaced only with `force`, and only a regular one;
- nothing is written through a symbolic link, over an input, into a folder that is read, or into a
  sealed bundle;
- a suffix that promises another form;
- a place where nothing can be written.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

from edgekit.core.errors import BadInput, Unwritable
from edgekit.core.files import (
    aside_of,
    atomic_folder,
    atomic_path,
    pretty_json,
    restore_folder,
    sha256_file,
    unwritable,
    write_bytes,
    writing,
)
from edgekit.core.json_text import JSON_LIMIT, parse_json
from edgekit.core.manifest import ManifestFile, is_whole
from edgekit.core.reading import read_bytes
from edgekit.core.temporary import held

__all__ = [
    "CODE",
    "CSV",
    "FOLDER",
    "GRAPH",
    "JSON",
    "LINES",
    "MARKDOWN",
    "MARKER",
    "PAGE",
    "VIDEO",
    "Destination",
    "Form",
]


@dataclass(frozen=True)
class Form:
    """What is written, and the suffixes that promise it.

    Attributes:
        name: As in "is written as …".
        suffixes: Lower case; the first one is the usual one. A folder has none.
        needs_suffix: Whether the suffix says how it is written, so that one must be there.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    needs_suffix: bool = False


FOLDER = Form("a folder")
GRAPH = Form("ONNX", (".onnx",))
PAGE = Form("HTML", (".html", ".htm"))
JSON = Form("JSON", (".json",))
LINES = Form("lines of JSON", (".jsonl", ".ndjson"))
CODE = Form("Python", (".py",))
CSV = Form("CSV", (".csv", ".txt"))
MARKDOWN = Form("Markdown", (".md", ".markdown", ".txt"))
VIDEO = Form("a video", (".mp4", ".mkv"), needs_suffix=True)

# A folder may have any suffix but one that promises a file, or another tool's folder.
_PROMISES = frozenset({
    *GRAPH.suffixes, *PAGE.suffixes, *JSON.suffixes, *LINES.suffixes, *CSV.suffixes,
    *MARKDOWN.suffixes, *VIDEO.suffixes,
    ".bin", ".blob", ".caffemodel", ".circle", ".ckpt", ".data", ".dlc", ".engine", ".gguf", ".h5",
    ".hdf5", ".hef", ".joblib", ".keras", ".mar", ".mlmodel", ".mlmodelc", ".mlpackage", ".mnn",
    ".ncnn", ".npy", ".npz", ".om", ".ort", ".param", ".parquet", ".pb", ".pdmodel", ".pickle",
    ".pkl", ".plan", ".pmml", ".prototxt", ".pt", ".pt2", ".pte", ".pth", ".ptl", ".rknn",
    ".safetensors", ".so", ".tflite", ".torchscript", ".trt", ".uff", ".xml",
    ".7z", ".bz2", ".gz", ".tar", ".tgz", ".whl", ".xz", ".zip", ".zst",
    ".avi", ".bmp", ".gif", ".jpeg", ".jpg", ".log", ".mov", ".pdf", ".png", ".svg", ".tif",
    ".tiff", ".toml", ".tsv", ".webm", ".webp", ".xlsx", ".db", ".py", ".sqlite", ".yaml", ".yml",
})  # fmt: skip

# Lists every file that edgekit put into a folder; what has a list of its own needs no marker.
MARKER = ".edgekit.json"
_LISTS = (MARKER, "manifest.json", "pack.json")
_BESIDE_LISTS = ("manifest.json.sig",)
# Files that programs leave behind in folders that they look at.
_LITTER = re.compile(r"(?:.*/)?(?:\.DS_Store|Thumbs\.db|desktop\.ini|__pycache__/[^/]*\.pyc)")
_BUNDLE = "edgekit.bundle/"
_COUNTED = 1000
_NAMED = 3


class _List(msgspec.Struct, frozen=True):
    """What the marker, the manifest of a bundle and pack.json have in common."""

    schema: str
    files: dict[str, ManifestFile]
    seal: str = ""


@dataclass(eq=False)
class Destination:
    """A file or folder that the user named to be written.

    Making one checks it, so it is made before any work; it is checked again when it is put in
    place.

    Args:
        path: As the user gave it.
        form: What is written.
        force: Replace what edgekit may replace.
        option: That the user gave it with.
        inputs: Files and folders that are read, and other outputs; None and what does not exist
            are skipped.
        keep: Add to a folder that is there, with `adding`, instead of replacing it.

    Raises:
        BadInput: It exists and must stay, it is an input, or its suffix promises another form.
        Unwritable: It cannot be made.
    """

    path: Path
    form: Form
    force: bool = False
    option: str = "-o"
    inputs: Iterable[Path | None] = ()
    keep: bool = False
    _grows: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        self.inputs = tuple(one for one in self.inputs if one is not None)
        self.check()

    def check(self) -> None:
        """Refuse what must not be written.

        Raises:
            BadInput: See Destination.
            Unwritable: See Destination.
        """
        try:
            self._refuse_word()
            there = self._there()
            self._refuse_suffix()
            self._refuse_inputs()
            self._refuse_bundle()
            if self.form is FOLDER:
                self._refuse_folder(there)
            else:
                self._refuse_file(there)
            self._try()
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error
        except ValueError as error:  # a NUL, or characters that the disk's encoding lacks
            raise self._unwritable(str(error)) from error

    def reads(self, files: Iterable[Path]) -> None:
        """Refuse a folder that holds some of the files which a list that was read names.

        Raises:
            BadInput: It does.
        """
        path = _resolved(self.path)
        if self.form is not FOLDER or not os.path.lexists(path):
            return
        for folder in {_resolved(file).parent for file in files}:
            if folder == path or _holds(path, folder):
                raise self._refused(f"holds files that are read here, in {folder}")

    @contextmanager
    def writing(self, *, private: bool = False) -> Iterator[Path]:
        """Yield a temporary file or folder; put it in place when the block succeeds.

        On any error nothing is left behind, and what was there stays as it was.

        Args:
            private: Whether only its user may look into a folder.

        Raises:
            BadInput: Something came into its place meanwhile.
            Unwritable: It cannot be written.
        """
        if self.form is not FOLDER:
            with atomic_path(self.path) as temporary:
                yield temporary
                self.check()
            return
        with atomic_folder(self.path, private=private) as temporary:
            yield temporary
            if not any((temporary / name).exists() for name in _LISTS):
                _mark(temporary, _contents_of(temporary))
            self.check()

    def write(self, content: bytes) -> None:
        """Write a whole file; see `writing`."""
        with self.writing() as temporary:
            temporary.write_bytes(content)

    @contextmanager
    def adding(self) -> Iterator[Path]:
        """Yield an empty folder whose files go into this one; the first time in place of the old.

        For a folder that grows: each file of an addition is whole or not there.

        Raises:
            BadInput: Something came into its place meanwhile.
            Unwritable: It cannot be written.
        """
        if not self._grows and not (self.keep and self.path.is_dir()):
            with self.writing() as temporary:
                yield temporary
            self._grows = True
            return
        self._grows = True
        with (
            writing(self.path),
            held(self.path.parent, f".{self.path.name}.", folder=True) as temporary,
        ):
            yield temporary
            made = _contents_of(temporary)
            written = _written_in(self.path)
            for file in sorted(made.keys() - written.keys()):
                if os.path.lexists(self.path / file):
                    raise self._refused(f"has a {file} that did not come from edgekit")
            # A file in its place without its name in the list would pass for the user's.
            self.path.mkdir(parents=True, exist_ok=True)
            _mark(self.path, {**written, **made})
            # What a document names is there before the document.
            for file in sorted(made, key=lambda one: (-one.count("/"), one)):
                (self.path / file).parent.mkdir(parents=True, exist_ok=True)
                (temporary / file).replace(self.path / file)

    def create(self) -> io.FileIO:
        """Open a new file that grows and can be read meanwhile; with `force` the old one goes.

        Raises:
            BadInput: Something came into its place meanwhile.
            Unwritable: It cannot be written.
        """
        self.check()
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Another name of the same file keeps its content.
            self.path.unlink(missing_ok=True)
            return io.FileIO(self.path, "xb")

    def _there(self) -> os.stat_result | None:
        """What stands at the path; a folder that a killed run moved aside comes back first.

        Raises:
            BadInput: A link, or a folder for a file and the reverse.
        """
        if self.form is FOLDER and self.path.name:
            restore_folder(self.path)
        try:
            there = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(there.st_mode):
            raise self._refused("is a symbolic link, and nothing is written through one")
        if stat.S_ISDIR(there.st_mode) != (self.form is FOLDER):
            if self.form is FOLDER:
                raise self._refused("exists and is not a folder")
            raise self._refused("is a folder", f"Name a file with {self.option}.")
        return there

    def _refuse_word(self) -> None:
        """What means something to a shell, or to other programs, is the name of no file."""
        text = str(self.path)
        if text == "-":
            raise self._refused("stands for standard output, and this is not written there")
        meant = os.path.expanduser(text)  # noqa: PTH111 - Path's raises for an unknown user
        if meant != text:
            raise self._refused(
                "begins with ~, which a shell would have replaced",
                f"For instance {self.option} {meant}",
            )

    def _refuse_suffix(self) -> None:
        suffix, wanted = self.path.suffix.lower(), self.form.suffixes
        bare = self.path
        while bare.suffix.lower() in _PROMISES:
            bare = bare.with_suffix("")
        if self.form is FOLDER:
            if suffix in _PROMISES:
                raise self._refused(
                    f"ends in {self.path.suffix}, and what is written is a folder",
                    f"For instance {self.option} {bare}",
                )
        elif suffix not in wanted and (suffix or self.form.needs_suffix):
            known = " or ".join(wanted)
            raise self._refused(
                f"ends in {self.path.suffix or 'no suffix'}, and what is written is "
                f"{self.form.name} ({known})",
                f"For instance {self.option} {bare}{wanted[0]}",
            )

    def _refuse_inputs(self) -> None:
        """The output is no input, holds none, and lies in none, by any name."""
        path = _resolved(self.path)
        for given in filter(None, self.inputs):
            read = _resolved(given)
            if path == read or _same(path, read):
                name = "" if given == self.path else f", {given}"
                raise self._refused(f"is an input or another output of this command{name}")
            if not os.path.lexists(read):
                continue
            if self.form is FOLDER and _holds(path, read):
                raise self._refused(f"holds {given}, which is used here and would be replaced")
            if read.is_dir() and _holds(read, path):
                raise self._refused(f"lies in {given}, which is read here")
            for link in _links_below(read) if os.path.lexists(path) else ():
                goal = _resolved(link)
                if path == goal or (self.form is FOLDER and _holds(path, goal)):
                    raise self._refused(f"is or holds what {link} leads to, which is read here")

    def _refuse_bundle(self) -> None:
        for folder in _resolved(self.path).parents:
            found = _read_list(folder / "manifest.json")
            if found is not None and found.schema.startswith(_BUNDLE):
                raise self._refused(f"lies in the bundle {folder}, which is sealed")

    def _refuse_file(self, there: os.stat_result | None) -> None:
        if there is None:
            return
        if not stat.S_ISREG(there.st_mode):
            raise self._refused("is no regular file")
        if not self.force:
            raise self._refused("exists already", "Use --force or another path.")

    def _refuse_folder(self, there: os.stat_result | None) -> None:
        if there is None:
            return
        place = _place_of_importance(self.path, there)
        if place:
            raise self._refused(
                f"is {place}, and edgekit never replaces that",
                f"Name a new folder in it with {self.option}.",
            )
        if self.path.name in ("", ".."):
            raise self._refused("does not name the folder itself")
        if os.path.lexists(self.path / ".git"):
            raise self._refused("holds a .git: it is a repository")
        if self.keep:
            if any(_read_list(self.path / name) for name in _LISTS if name != MARKER):
                raise self._refused("is complete, and nothing is added to it")
            return
        if any(self.path.iterdir()):
            # The checksums matter only where the folder would go.
            self._refuse_foreign(self.path, sums=self.force)
            if not self.force:
                raise self._refused("exists and is not empty", "Use --force or another path.")
        self._refuse_foreign(aside_of(self.path), sums=True)

    def _refuse_foreign(self, folder: Path, *, sums: bool) -> None:
        found = list(islice(_foreign(folder, sums=sums), _COUNTED + 1))
        if not found:
            return
        number = f"More than {_COUNTED} files"
        if len(found) <= _COUNTED:
            number = "1 file" if len(found) == 1 else f"{len(found)} files"
        names = ", ".join(name if name.isprintable() else ascii(name) for name in found[:_NAMED])
        raise BadInput(
            f"{folder} is not empty: {number} in it did not come from edgekit, or changed since: "
            f"{names}{', …' if len(found) > _NAMED else ''}.",
            hint=f"Move them away, or choose another path with {self.option}.",
        )

    def _try(self) -> None:
        """Make something beside the path and remove it: permission bits stop no administrator."""
        place = self.path.absolute().parent
        missing: list[str] = []
        while not os.path.lexists(place):
            missing.append(place.name)
            place = place.parent
        for name in missing:
            try:
                (place / name).lstat()
            except FileNotFoundError:
                continue
        try:
            # The longest of the names that writing it takes.
            with held(place, f".{self.path.name}.", self.path.suffix, folder=True):
                pass
        except OSError as error:
            reason = error.strerror or str(error)
            raise self._unwritable(f"{reason} ({place})") from error

    def _refused(self, why: str, hint: str = "") -> BadInput:
        return BadInput(
            f"{self.path} {why}.", hint=hint or f"Choose another path with {self.option}."
        )

    def _unwritable(self, reason: str) -> Unwritable:
        return unwritable(self.path, reason, f"Choose another path with {self.option}.")


def _resolved(path: Path) -> Path:
    # Path.resolve raises where links go round in a circle.
    return Path(os.path.realpath(path))


def _same(one: Path, other: Path) -> bool:
    """Whether two names are one file: by a hard link, a mount, or a disk that ignores case."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _holds(folder: Path, inner: Path) -> bool:
    return any(folder == one or _same(folder, one) for one in inner.parents)


def _place_of_importance(path: Path, there: os.stat_result) -> str:
    """What a folder is to the user or the system, by any name; empty for an ordinary one."""
    here = Path.cwd()
    if any(_same(path, one) for one in (here, *here.parents)):
        return "the current folder or one above it"
    try:
        if os.path.samestat(there, Path.home().stat()):
            return "the home folder"
    except (OSError, RuntimeError):
        pass  # a user without a home
    return "a mount point" if _is_mounted(path) else ""


def _is_mounted(path: Path) -> bool:
    if os.path.ismount(path):
        return True
    # A folder that is mounted a second time on its own disk looks like any other.
    try:
        table = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return False
    places = {line.split()[4] for line in table.splitlines()}
    return (
        re.sub(r"[ \t\n\\]", lambda one: f"\\{ord(one[0]):03o}", os.path.realpath(path)) in places
    )


def _read_list(path: Path) -> _List | None:
    """What a list says; None where there is none that can be read."""
    if not path.is_file():  # a pipe would keep the reader waiting
        return None
    try:
        content = read_bytes(path, limit=JSON_LIMIT)
        found = parse_json(content, path, _List)
    except BadInput:
        return None
    if not found.schema.startswith("edgekit.") or (
        found.seal and not is_whole(content, found.seal)
    ):
        return None
    return found


def _written_in(folder: Path) -> dict[str, ManifestFile]:
    """Relative path to size and checksum of every file that edgekit put into a folder."""
    for name in _LISTS:
        found = _read_list(folder / name)
        if found is not None:
            return found.files
    return {}


def _contents_of(folder: Path) -> dict[str, ManifestFile]:
    return {
        path.relative_to(folder).as_posix(): ManifestFile(sha256_file(path), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _mark(folder: Path, files: dict[str, ManifestFile]) -> None:
    ordered = dict(sorted(files.items()))
    write_bytes(folder / MARKER, pretty_json(_List("edgekit.folder/1", ordered)))


def _foreign(folder: Path, *, sums: bool) -> Iterator[str]:
    """Everything below a folder that is not as edgekit wrote it, by relative path.

    Args:
        folder: What edgekit wrote into it is listed in it.
        sums: Whether files must also have the content that they were written with.
    """
    written = _written_in(folder)
    lists = {name for name in _LISTS if _read_list(folder / name) is not None}
    for name, path in _files_below(folder):
        if name in lists or (lists and name in _BESIDE_LISTS):
            continue
        if not _is_as_written(path, written.get(name), sums=sums):
            yield name


def _is_as_written(path: Path, expected: ManifestFile | None, *, sums: bool) -> bool:
    if expected is None or path.is_symlink() or not path.is_file():
        return False
    if path.stat().st_size != expected.size_bytes:
        return False
    return not sums or sha256_file(path) == expected.sha256


def _links_below(folder: Path) -> Iterator[Path]:
    return (
        (path for _, path in _files_below(folder) if path.is_symlink())
        if folder.is_dir()
        else iter(())
    )


def _files_below(folder: Path, below: str = "") -> Iterator[tuple[str, Path]]:
    """Every entry but ordinary folders, in order; nothing behind a link or on another disk."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{below}{entry.name}"
        path = Path(entry.path)
        if entry.is_file(follow_symlinks=False) and _LITTER.fullmatch(name):
            continue
        if entry.is_dir(follow_symlinks=False) and not os.path.ismount(path):
            yield from _files_below(path, f"{name}/")
        else:
            yield name, path
