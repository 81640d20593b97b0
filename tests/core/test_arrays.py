"""Arrays of anyone: nothing is allocated that a file does not hold, and every fault is named."""

from __future__ import annotations

import io
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekit.core import arrays
from edgekit.core.arrays import read_npz
from edgekit.core.errors import BadInput


def member(shape: object, descr: object = "<f4", body: bytes = b"") -> bytes:
    """An .npy file whose header says what it likes."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array_header_1_0(
            content, {"descr": descr, "fortran_order": False, "shape": shape}
        )
    return content.getvalue() + body


def archive(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that stand twice
        with zipfile.ZipFile(path, "w", method) as file:
            for name, content in members:
                file.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.float16(3),
        np.zeros((5, 0, 3)),
        np.array([True, False]),
        np.array(["é", "bc"]),
        np.arange(3, dtype=">i2"),
        np.zeros((1,) * 32, np.uint8),
        np.array([b"\1\2", b"\3\4"], "V2"),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path, save, array):
    save(tmp_path / "a.npz", **{"x": array, "ü/y": np.arange(3)})
    found = read_npz(tmp_path / "a.npz")
    assert set(found) == {"x", "ü/y"}
    assert found["x"].dtype == array.dtype
    assert found["x"].shape == array.shape
    assert (found["x"] == array).all()


def test_some_names_are_read_alone(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.arange(4))
    assert list(read_npz(tmp_path / "a.npz", only=("y", "z"))) == ["y"]


@pytest.mark.parametrize(
    "content",
    [
        member((2**31, 1, 32, 32)),
        member((2**62, 2**62)),
        member((-1, 4), body=b"\0" * 16),
        member((True, 4), body=b"\0" * 16),
        member((4,), "|O", b"\0" * 32),
        member((1,), [("a", "<f4"), ("b", "<f4")], b"\0" * 8),
        member((2,), "<M8[s]", b"\0" * 16),
        member((1,) * 65, body=b"\0" * 4),
        member((4,), body=b"\0" * 15),
        member((4,), body=b"\0" * 17),
        member("4"),
        b"x",
        b"",
        b"\x93NUMPY\1\0\xff\xff" + b"(" * 65535,
        b"\x93NUMPY\2\0\xff\xff\xff\xff",
        b"\x93NUMPY\1\0\x10\x27" + b"(" * 10000,
        b"\x93NUMPY\1\0\x10\x27" + b"-" * 10000,
        b"\x93NUMPY\1\0\x10\x27" + b"{'descr':'<f4','fortran_order':False,'shape':(" + b"9" * 9954,
        b"\x93NUMPY\x07\0\0\0",
    ],
)
def test_a_member_that_is_no_plain_array_is_named(tmp_path, content):
    path = archive(tmp_path / "a.npz", ("x.npy", content))
    tracemalloc.start()
    with pytest.raises(BadInput, match=r"a\.npz: the array 'x'|a\.npz is no ") as caught:
        read_npz(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(caught.value)) < 600
    assert peak < 64 << 20


def test_what_unpacks_to_a_thousand_times_its_size_is_refused_before_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_LARGE", 1 << 20)
    np.savez_compressed(tmp_path / "dense.npz", x=np.zeros(1 << 20))
    with pytest.raises(BadInput, match=r"'x' unpacks from .*np\.savez"):
        read_npz(tmp_path / "dense.npz")
    np.savez(tmp_path / "plain.npz", x=np.zeros(1 << 20))
    assert read_npz(tmp_path / "plain.npz")["x"].size == 1 << 20


def test_more_than_there_is_memory_for_is_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=np.zeros(1000), y=np.zeros(10))
    monkeypatch.setattr(arrays, "free_memory", lambda: 7999)
    with pytest.raises(BadInput, match="'x' takes"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("names", [("x.npy", "x.npy"), ("x.npy", "x")])
def test_a_name_that_stands_twice_is_refused(tmp_path, names):
    whole = member((1,), body=b"\0" * 4)
    path = archive(tmp_path / "a.npz", *((name, whole) for name in names))
    with pytest.raises(BadInput, match="'x' twice"):
        read_npz(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compression_is_named(tmp_path, method):
    path = archive(tmp_path / "a.npz", ("x.npy", member((1,), body=b"\0" * 4)), method=method)
    with pytest.raises(BadInput, match="compressed"):
        read_npz(path)


def test_every_changed_byte_is_a_fault_of_the_file_or_none(tmp_path):
    np.savez_compressed(tmp_path / "whole.npz", x=np.arange(40, dtype=np.float32))
    whole = (tmp_path / "whole.npz").read_bytes()
    path, said = tmp_path / "a.npz", []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_npz(path)
        except BadInput as error:
            said.append(error.message)
    assert len(said) > len(whole) // 2
    assert all("a.npz" in message for message in said)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(BadInput, match=r"a\.npz"):
            read_npz(path)
