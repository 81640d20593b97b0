"""A file of PyTorch's that takes its process over can read, write, connect and start nothing."""

from __future__ import annotations

import os
import socket
import tracemalloc

import hostile
import pytest

from edgekit import api
from edgekit.core.confinement import Confinement, isolation
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.source import Source
from edgekit.jobs.process import child
from edgekit.jobs.process.child import ChildDied, run_in_child
from edgekit.jobs.process.confined import checked, confinement_of, open_confined

whole = pytest.mark.skipif(
    "Landlock" not in isolation() or "seccomp" not in isolation(),
    reason="the kernel or the container has no Landlock or no seccomp",
)


def confined(function, *args, reads=(), writes=()):
    allowed = Confinement(tuple(map(str, reads)), tuple(map(str, writes)))
    return run_in_child(function, *args, what="a hostile file", confined=allowed)


@whole
def test_it_reaches_nothing(tmp_path):
    secret, outside, own = tmp_path / "secret", tmp_path / "outside", tmp_path / "own"
    secret.write_text("mine")
    outside.mkdir()
    own.mkdir()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        local.bind(str(outside / "socket"))
        local.listen()
        datagrams.bind(str(outside / "datagrams"))
        port = server.getsockname()[1]
        ended = confined(hostile.attempts, secret, outside, port, own, writes=[own])
    # The last is how Python says that a limit was not raised.
    refused = {"PermissionError", "OSError", "ValueError"}
    assert {name: how for name, how in ended.items() if how not in refused} == {}
    assert secret.read_text() == "mine"
    assert sorted(one.name for one in outside.iterdir()) == ["datagrams", "socket"]
    assert [one.name for one in own.iterdir()] == ["large"]


@whole
def test_the_mode_of_a_file_stays(tmp_path):
    """Landlock does not watch modes, owners and times."""
    path = tmp_path / "mine"
    path.touch(0o600)
    confined(hostile.modes, path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_does_its_work(tmp_path):
    own, path = tmp_path / "own", tmp_path / "model"
    own.mkdir()
    path.write_text("read, ")
    (tmp_path / "link").symlink_to(path)
    text, process = confined(hostile.useful, own, path, reads=[path], writes=[own])
    assert text == "read, ran"
    assert process != os.getpid()


def test_it_inherits_no_secret(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = confined(hostile.inherited)
    assert "hidden" not in str(found)
    assert found["OMP_NUM_THREADS"] == "1"


def test_memory_is_limited():
    with pytest.raises(BadInput, match="not enough memory"):
        confined(hostile.much_memory)


@pytest.mark.parametrize("whole_message", [False, True])
def test_a_pickle_is_no_answer(tmp_path, whole_message):
    """The parent unpickled what a child answered."""
    marker = tmp_path / "ran"
    with pytest.raises(ChildDied):
        confined(hostile.forged, str(marker), whole_message)
    assert not marker.exists()


@pytest.mark.parametrize(
    "function", [hostile.another_type, hostile.endless, hostile.many_records, hostile.reports]
)
def test_only_what_was_announced_is_read(function):
    """The parent took eight times the message, and drew a bar of 2**62 steps to its end."""
    with pytest.raises(ChildDied, match="no answer"):
        confined(function)


@pytest.mark.parametrize("function", [hostile.closes, hostile.sleeps])
def test_it_is_not_waited_for_without_end(function, monkeypatch):
    monkeypatch.setenv("EDGEKIT_TIMEOUT", "6")
    with pytest.raises(ChildDied):
        confined(function)


def test_what_it_prints_is_not_read_whole():
    tracemalloc.start()
    try:
        with pytest.raises(ChildDied, match="last words"):
            confined(hostile.prints)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("role", "code", "case"),
    [
        ("{outside}/mine", child.__file__, "main"),
        ("../mine", child.__file__, "main"),
        ("main", "/proc/kcore", "main"),
        ("main", "{outside}/code.py", "main"),
        ("main", child.__file__, "other"),
    ],
)
def test_an_export_names_its_own_files(tmp_path, role, code, case):
    """The mode of the user's graph changed, and it was delivered; any file was read as code."""
    own, mine = tmp_path / "own", tmp_path / "mine.onnx"
    own.mkdir()
    mine.touch(0o600)
    (tmp_path / "code.py").touch()
    said = [text.format(outside=tmp_path) for text in (role, code, case)]
    outcome = confined(hostile.exports, own, *said, writes=[own])
    with pytest.raises(CheckFailed, match="no export"):
        checked(outcome, own)
    assert mine.stat().st_mode & 0o777 == 0o600
    good = confined(hostile.exports, own, "main", child.__file__, "main", writes=[own])
    assert checked(good, own) == good


def test_a_folder_lets_it_read_no_other(tmp_path):
    """A link in a download may lead to any folder."""
    download, secret = tmp_path / "download", tmp_path / "secret"
    download.mkdir()
    secret.mkdir()
    (download / "more").symlink_to(secret)
    (tmp_path / "blob").touch()
    (download / "encoder.pt2").symlink_to(tmp_path / "blob")
    source = Source.parse(str(download))
    allowed = confinement_of(source, trust_code=False, trust_pickle=False)
    assert set(allowed.reads) == {str(download), str(tmp_path / "blob")}


def test_a_system_without_it_is_said(monkeypatch, capsys):
    from rich.console import Console

    from edgekit.cli.show.machine import show_doctor
    from edgekit.core import confinement
    from edgekit.core.documents import DoctorDocument, Environment

    monkeypatch.setattr(confinement, "_landlock_version", lambda: 0)
    monkeypatch.setattr(confinement, "_seccomp_machine", lambda: None)
    document = DoctorDocument(
        targets=(),
        problems=(),
        environment=Environment(identity={}, observed={}),
        isolation=isolation(),
    )
    assert document.isolation == ""
    show_doctor(document, Console())
    assert "none: no Landlock" in capsys.readouterr().out


def test_trusted_code_is_not_confined(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    source = Source.parse(str(path))
    assert confinement_of(source, trust_code=True, trust_pickle=False) is None
    assert confinement_of(source, trust_code=False, trust_pickle=True) is None
    assert confinement_of(source, trust_code=False, trust_pickle=False).reads == (str(path),)


def test_a_program_is_exported_and_run_in_it(tmp_path, monkeypatch):
    """The file is a link out of its folder, as in a cache of downloads."""
    import torch

    real = tmp_path / "blobs" / "0123"
    real.parent.mkdir()
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    axes = ({0: torch.export.Dim("batch", min=1, max=8)},)
    program = torch.export.export(net, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=axes)
    torch.export.save(program, real)
    (tmp_path / "model.pt2").symlink_to(real)
    monkeypatch.chdir(tmp_path)
    document = api.export("model.pt2", tmp_path / "model.onnx")
    assert document.verdict == "PASS"
    from edgekit.export.metadata import card_of
    from edgekit.export.onnx_file import read_onnx

    card = card_of(read_onnx(tmp_path / "model.onnx"), "model.onnx")
    with open_confined(Source.parse("model.pt2"), card)["main"] as session:
        name = session.inputs[0].name
        (answer,) = session.run({name: torch.ones(1, 3, 8, 8).numpy()}).values()
        assert answer.shape == (1, 4, 6, 6)
        with pytest.raises(BadInput, match="no input"):
            session.run({"other": answer})
