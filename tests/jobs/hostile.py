"""What a taken-over process would try; runs in a confined child."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.export.worker import ExportOutcome
from edgekit.jobs.process import wire


def attempts(secret: Path, outside: Path, port: int, own: Path) -> dict[str, str]:
    """Try everything; return by name how it ended: "done", or the name of the error."""
    unix = str(outside / "socket")
    tries: dict[str, Callable[[], object]] = {
        "read": secret.read_text,
        "read through /proc": lambda: Path(f"/proc/self/root{secret}").read_text(),
        "read the parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        "read the system's": lambda: Path("/etc/passwd").read_text(),
        "list": lambda: list(outside.iterdir()),
        "write": lambda: (outside / "new").write_text("x"),
        "overwrite": lambda: secret.write_text("x"),
        "remove": secret.unlink,
        "move": lambda: secret.rename(own / "moved"),
        "link": lambda: (own / "link").hardlink_to(secret),
        "leave a symlink": lambda: (own / "way").symlink_to(secret),
        "leave a fifo": lambda: os.mkfifo(own / "fifo"),
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 2),
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "unix socket": lambda: socket.socket(socket.AF_UNIX).connect(unix),
        "send to a socket": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(
            b"x", str(outside / "datagrams")
        ),
        "watch": lambda: _called("inotify_init"),
        "queue": lambda: _called("msgctl", 0, 0, None),
        "a call of later years": lambda: os.pidfd_open(os.getppid()),
        "program": lambda: subprocess.run(["/bin/true"], check=True),
        "replace itself": lambda: os.execv("/bin/true", ["true"]),
        "fork": lambda: os.fork() or os._exit(0),
        "signal": lambda: os.kill(os.getppid(), 0),
        "trace": lambda: _called("ptrace", 16, os.getppid(), 0, 0),
        "raise a limit": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, 1 << 40)),
        "write much": lambda: os.truncate(_file(own / "large"), 1 << 40),
    }
    return {name: _ended(one) for name, one in tries.items()}


def modes(path: Path) -> None:
    """Change the mode of a file of the user's."""
    path.chmod(0o777)


def useful(own: Path, read: Path) -> tuple[str, int]:
    """What an export needs: its file, a folder of its own, threads, limits that can be read."""
    ran = threading.Thread(target=(own / "thread").write_text, args=("ran",))
    ran.start()
    ran.join()
    (own / "folder").mkdir()
    (own / "thread").rename(own / "folder" / "thread")
    resource.getrlimit(resource.RLIMIT_NOFILE)
    return read.read_text() + (own / "folder" / "thread").read_text(), os.getpid()


def inherited() -> dict[str, str]:
    """Its environment, as the process and the system have it."""
    held = Path("/proc/self/environ").read_bytes().decode(errors="replace")
    return {**os.environ, "as the system has it": held}


def much_memory() -> int:
    """Take twice the memory of the machine."""
    size = 2 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return len(bytearray(size))


def another_type() -> int:
    """Answer with what was not announced."""
    return "text"  # type: ignore[return-value]


class Runs:
    """A pickle of it writes a file where it is read."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return open, (self.marker, "w")


def forged(marker: str, whole: bool) -> int:
    """Write a pickle that runs code to the parent, as it is or as a message."""
    data = pickle.dumps(("result", Runs(marker)))
    framed = len(data).to_bytes(8, "little") + data
    os.write(int(sys.argv[2]), framed if whole else data)
    os._exit(0)


def endless() -> int:
    """Announce a message of a petabyte."""
    os.write(int(sys.argv[2]), (1 << 50).to_bytes(8, "little"))
    os._exit(0)


def many_records() -> list[str]:
    """Answer with a message whose every byte is eight in memory."""
    return [""] * (17 << 20)


def reports() -> int:
    """Report progress, of which a parent that drew the bar would never see the end."""
    for event in (("track", (1, "x", 2**62)), ("tracked", 1)):
        wire.write(os.fdopen(os.dup(int(sys.argv[2])), "wb"), "progress", event)
    return 1


def closes() -> int:
    """Close the pipe, and stay."""
    os.close(int(sys.argv[2]))
    time.sleep(600)
    return 1


def sleeps() -> int:
    """Say nothing."""
    time.sleep(600)
    return 1


def prints() -> int:
    """Print 64 MiB."""
    for _ in range(64):
        os.write(2, b"x" * (1 << 20))
    os._exit(1)


def exports(folder: Path, role: str, code: str, case: str) -> ExportOutcome:
    """Answer as an export does."""
    (folder / "main.onnx").write_bytes(b"")
    graphs = {role: folder / f"{role}.onnx"}
    card, reference = ModelCard(), {case: [({}, {})]}
    return ExportOutcome(graphs, "torch.export", 20, 10, card, reference, (), (), (code,))


def _ended(one: Callable[[], object]) -> str:
    try:
        one()
    except BaseException as error:
        return type(error).__name__
    return "done"


def _called(name: str, *arguments: int | None) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def _file(path: Path) -> Path:
    path.write_text("x")
    return path
