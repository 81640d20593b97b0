"""The door of a file: what its parser raises becomes a sentence; a bug of ours stays one."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib

import pytest

from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.reading import environment_error, read_bytes, reading
from edgekit.core.requires import requires
from edgekit.core.texts import safe, shown


def encrypted():
    """A zip archive whose one member says that it needs a password."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"x")
    content = bytearray(file.getvalue())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    zipfile.ZipFile(io.BytesIO(bytes(content))).read("a")


def unknown_method():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"x")
    content = bytearray(file.getvalue())
    content[content.index(b"PK\x01\x02") + 10] = 98
    zipfile.ZipFile(io.BytesIO(bytes(content))).read("a")


def recursive():
    return recursive()


def memory():
    raise MemoryError


def too_large():
    raise zipfile.LargeZipFile


PARSERS = {
    "no-zip": lambda: zipfile.ZipFile(io.BytesIO(b"x")),
    "encrypted": encrypted,
    "method": unknown_method,
    "too-large": too_large,
    "zlib": lambda: zlib.decompress(b"x"),
    "struct": lambda: struct.unpack("<Q", b""),
    "unicode": lambda: b"\xff".decode(),
    "recursion": recursive,
    "memory": memory,
    "nul": lambda: open("a\0b"),  # noqa: SIM115  (it never opens)
    "folder": lambda: open("/"),  # noqa: SIM115
}


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
def test_what_a_parser_raises_names_the_file(parser):
    with pytest.raises(BadInput) as refused, reading("model.bin", "archive"):
        parser()
    assert "model.bin" in refused.value.message
    assert len(refused.value.message) < 500


@pytest.mark.parametrize("bug", [TypeError, AttributeError, KeyError, AssertionError, RuntimeError])
def test_a_bug_stays_one(bug):
    with pytest.raises(bug), reading("model.bin"):
        raise bug("of ours")


def test_an_error_of_ours_passes():
    with pytest.raises(CheckFailed), reading("model.bin"):
        raise CheckFailed("as it was")


def test_a_file_without_permission_says_so(tmp_path, monkeypatch):
    def refused(*_arguments, **_options):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    (tmp_path / "card.yaml").touch()
    monkeypatch.setattr("os.open", refused)
    with pytest.raises(BadInput, match=r"permission denied"):
        read_bytes(tmp_path / "card.yaml")


@pytest.mark.skipif(sys.platform == "win32", reason="numbers of POSIX")
def test_what_the_machine_refuses_is_no_bug():
    denied = environment_error(PermissionError(13, "Permission denied", "/a/b"))
    assert denied is not None
    assert denied.exit_status == 2
    assert "/a/b" in denied.message
    assert environment_error(MemoryError()) is not None
    assert environment_error(ImportError("x.so: failed to map segment from shared object"))
    assert environment_error(OSError(36, "File name too long", "x" * 5000)) is not None
    assert environment_error(FileNotFoundError(2, "No such file", "/a/b")) is None
    assert environment_error(ValueError("x")) is None


def test_a_message_is_bounded_and_steers_no_terminal():
    error = BadInput("The name '" + "x" * 100_000 + "\x1b[2J\u202e\ud800\n' is wrong.", "y" * 9_999)
    assert len(error.message) < 2_000
    assert len(error.hint) < 2_000
    assert error.message.startswith("The name 'xx")
    assert error.message.endswith("\\x1b[2J\\u202e\\ud800 ' is wrong.")
    error.message.encode()


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, b"x" * 10_000, list(range(1_000)), {"a": "x" * 10_000}, 10**5_000],
    ids=["text", "bytes", "list", "dict", "int"],
)
def test_a_value_is_shown_short(value):
    assert 0 < len(shown(value)) <= 310


def test_a_short_value_is_shown_whole():
    assert shown("a\nb") == "'a\\nb'"
    assert shown([1, "x"]) == "[1, 'x']"
    assert safe("a\nb\x07") == "a b\\x07"


def test_a_library_that_finds_no_memory_is_not_advised_to_be_installed():
    with pytest.raises(BadInput, match="not enough memory"), requires("torch", extra="x", why="y"):
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")
