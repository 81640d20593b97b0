"""A process that runs many inputs: `edgekit`'s own command line, called in it, closely watched.

Children that edgekit would start run in it as well, so that torch and the engines are imported
once. What fails here is tried again by the real command line; that alone counts.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

from bases import command_line
from kinds import kind
from kinds.stream import SECRET

ROOT = Path(importlib.util.find_spec("edgekit").origin).parents[1].resolve()
MEMORY_LIMIT = 1 << 30
SENTENCE_LIMIT = 2000
# CPU seconds by verb; torch is imported within the first.
CPU_LIMIT_S = {"deploy": 90, "export": 40, "quantize": 40}
CPU_ELSE_S = 20
CANARY = "CANARY-CONTENT"
# Programs that edgekit asks about the machine.
ASKED = {"lscpu", "nvidia-smi", "ldconfig", "uname", "fc-list"}
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
PLANTED = "open('EXECUTED.' + __name__, 'w').close()\nraise ImportError('planted')\n"


class Guard:
    """An audit hook that notes what no input may bring about."""

    def __init__(self, place: Path) -> None:
        self.place, self.seen, self.armed = str(place), [], False

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.armed:
            return
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            self.seen.append(("network", f"{event} {arguments[-1]!r:.100}"))
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            if Path(os.fsdecode(arguments[0])).name not in ASKED:
                self.seen.append(("code", f"{event} {arguments!r:.200}"))
        elif event == "exec":
            name = getattr(arguments[0], "co_filename", "")
            if name.startswith(f"{self.place}/w/"):
                self.seen.append(("code", f"exec of {name}"))
        elif event == "open" and isinstance(arguments[0], str | bytes):
            name = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100
            mine = name.startswith((self.place, "/dev/null", "/dev/shm", "/proc/self"))
            writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if writes and not mine and "__pycache__" not in name:
                self.seen.append(("written", f"open {name} for writing"))


class Here:
    """Stands for edgekit's child process: the same calls, in this process."""

    def __init__(self, factory, *args, what, progress=None, seconds=None, **_) -> None:
        from edgekit.core.progress import Silent

        self._progress = progress or Silent()
        self._object = self._answer(factory, args, {})

    def call(self, method, *args, **kwargs):
        from edgekit.jobs.process.child import _wants_progress

        function = getattr(self._object, method)
        if _wants_progress(function):
            kwargs.setdefault("progress", self._progress)
        return self._answer(function, args, kwargs)

    def _answer(self, function, args, kwargs):
        from edgekit.core.errors import EdgekitError

        try:
            return function(*args, **kwargs)
        except EdgekitError:
            raise
        except Exception as error:
            raise RuntimeError("".join(traceback.format_exception(error))) from error

    def close(self) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def tree(folder: Path) -> dict[str, tuple]:
    """What lies in a folder, links not followed."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            full = os.path.join(path, name)  # noqa: PTH118
            about = os.lstat(full)
            size = 0 if name in folders else about.st_size
            changed = 0 if name in folders else about.st_mtime_ns
            found[os.path.relpath(full, folder)] = (about.st_mode, size, changed, about.st_ino)
    return found


def where(error: BaseException) -> str:
    """Type and place of an exception's root: the deepest line of edgekit's own."""
    while error.__cause__ is not None and not hasattr(error, "exit_status"):
        error = error.__cause__
    last = "?"
    for frame in traceback.extract_tb(error.__traceback__):
        name = frame.filename.removeprefix(f"{ROOT}/")
        if name.startswith(("edgekit/", "export/", "runtimes/", "benchmarks/")):
            last = f"{name}:{frame.lineno}"
    return f"{type(error).__name__} at {last}"


class Worker:
    """Runs inputs in a place of its own."""

    def __init__(self, place: Path, base: Path) -> None:
        self.place, self.base, self.work = place, base, place / "w"
        self.error: BaseException | None = None
        self.limit = resource.RLIM_INFINITY

    def enter(self) -> None:
        """Set the process up; from here on edgekit is imported."""
        for name in ("tmp", "cache", "results", "home"):
            shutil.rmtree(self.place / name, ignore_errors=True)
            (self.place / name).mkdir(parents=True)
        os.environ.update(OMP_NUM_THREADS="1", COLUMNS="80", MPLCONFIGDIR=str(self.place / "home"))
        os.environ.update(TMPDIR=str(self.place / "tmp"), HOME=str(self.place / "home"))
        os.environ.update(EDGEKIT_CACHE=str(self.place / "cache"))
        os.environ.update(EDGEKIT_RESULTS=str(self.place / "results"))
        self.guard = Guard(self.place)
        sys.addaudithook(self.guard)

    def prepare(self, name: str, seed: int) -> list[str]:
        """Write an input and what it must leave alone."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        (self.place / "canary.txt").write_text(f"{CANARY}\n")
        os.chdir(self.work)
        arguments = kind(name)(Random(f"{name}:{seed}"), self.base, self.work)
        for module in ("traceback", "json", "numpy", "evil"):
            if not (self.work / f"{module}.py").exists():
                (self.work / f"{module}.py").write_text(PLANTED)
        if not os.path.lexists("fifo.txt"):
            os.mkfifo("fifo.txt")
        for link, target in (("link.txt", "../canary.txt"), ("loop", "loop")):
            if not os.path.lexists(link):
                Path(link).symlink_to(target)
        Path("folder").mkdir(exist_ok=True)
        return [*arguments, "--quiet"] if Random(seed).random() < 0.7 else arguments

    def run(self, name: str, arguments: list[str], real: bool) -> dict[str, Any]:
        """Run one command; return what it did and what it must not have done."""
        before = tree(self.work)
        temporary = self._temporary()
        began = time.process_time() + _children_s()
        self.guard.seen.clear()
        self.error = None
        if real:
            status, memory = self._real(arguments)
        else:
            status, memory = self._here(arguments)
        said = {n: (self.place / n).read_bytes().decode(errors="replace") for n in ("out", "err")}
        problems = list(dict.fromkeys(self.guard.seen if name != "stream" else ()))
        problems += self._judged(name, status, said, before)
        # A graph is parsed, made plain, optimised and compiled: some copies of a large one.
        largest = max((size for _, size, _, _ in before.values()), default=0)
        if memory > MEMORY_LIMIT + 8 * largest:
            problems.append(("memory", f"{memory >> 20} MB"))
        left = self._temporary() - temporary
        if left:
            problems.append(("left", f"in the folder of temporary files: {min(left)}"))
        return {
            "status": status,
            "problems": problems,
            "cpu_s": round(time.process_time() + _children_s() - began, 2),
            "memory": memory,
            "said": _sentence(said["err"])[:300],
        }

    def _temporary(self) -> set[str]:
        """Temporary files, but for what libraries keep for themselves."""
        found = {entry.name for entry in (self.place / "tmp").iterdir()}
        return found - {".ses", "torchinductor_root"}

    def _here(self, arguments: list[str]) -> tuple[int | str, int]:
        from edgekit.cli.main import run

        base = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        with self._output():
            self.guard.armed = True
            try:
                status: int | str = run(arguments)
            except BaseException as error:
                self.error, status = error, f"{type(error).__name__} left the command line"
            finally:
                self.guard.armed = False
        os.chdir(self.work)
        return status, max(0, _memory("VmHWM") - base)

    @contextlib.contextmanager
    def _output(self):
        kept = os.dup(1), os.dup(2), sys.stdout, sys.stderr
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(self.place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, number)
            os.close(file)
        sys.stdout = os.fdopen(1, "w", closefd=False, encoding="utf-8")
        sys.stderr = os.fdopen(2, "w", closefd=False, encoding="utf-8")
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            sys.stdout, sys.stderr = kept[2:]
            os.dup2(kept[0], 1), os.dup2(kept[1], 2)
            os.close(kept[0]), os.close(kept[1])

    def _real(self, arguments: list[str]) -> tuple[int, int]:
        with open(self.place / "out", "wb") as out, open(self.place / "err", "wb") as err:
            call = command_line(*arguments)
            process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            _, code, used = os.wait4(process.pid, 0)
        # What this very process took counts as its child's until that is another program.
        peak = used.ru_maxrss << 10
        return os.waitstatus_to_exitcode(code), peak if peak > _memory("VmHWM") else 0

    def _judged(self, name, status, said, before) -> list[tuple[str, str]]:
        found = []
        whole = said["out"] + said["err"]
        if self.error is not None:
            found.append(("bug", where(self.error)))
        if "This is a bug in edgekit" in whole or "Traceback (most recent call last)" in whole:
            text = re.sub(r"\d+", "N", _sentence(said["err"]))[:140]
            found.append(("bug", where(self.error) if self.error else text))
        if isinstance(status, int) and status < 0:
            found.append(("crash", signal.Signals(-status).name))
        elif status not in (0, 1, 2, 3):
            found.append(("bug", f"status {status}"))
        if status in (2, 3) and not _sentence(said["err"]):
            found.append(("sentence", "there is none"))
        for line in said["err"].splitlines():
            if not line.startswith("edgekit: "):
                continue
            if len(line.encode()) > SENTENCE_LIMIT:
                found.append(("sentence", f"longer than {SENTENCE_LIMIT} bytes: {line[:90]}"))
            hidden = [str(self.place / n) for n in ("tmp", "cache", "results")]
            if any(path in line for path in (*hidden, "/tmp/tmp")):
                text = _nameless(line, self.place)
                found.append(("sentence", f"names a path of edgekit's own: {text}"))
        if bad := _CONTROLS.search(said["out"] + _sentence(said["err"])):
            found.append(("sentence", f"holds the control character {bad[0]!a}"))
        if SECRET in whole:
            found.append(("leak", "a secret of an address"))
        if CANARY in whole and name not in ("paths", "setting"):
            found.append(("leak", "a file outside of its folder"))
        after = tree(self.work)
        for path in sorted(set(after) ^ set(before)):
            mine = path.startswith("out")
            if "EXECUTED" in path:
                found.append(("code", f"{path} was written"))
            elif path in before or not mine:
                found.append(("written", f"{'lost' if path in before else 'new'}: {path[:60]}"))
            elif status in (2, 3):
                found.append(("written", f"status {status}, and {path[:60]} is there"))
        changed = [path for path in before if path in after and before[path] != after[path]]
        found += [("written", f"changed: {path[:60]}") for path in changed]
        if (self.place / "canary.txt").read_text() != f"{CANARY}\n":
            found.append(("written", "changed: the canary"))
        return list(dict.fromkeys(found))


def _sentence(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.startswith("edgekit: ")), "")


def _nameless(line: str, place: Path) -> str:
    return re.sub(r"[0-9a-f]{8,}|tmp\w+|\d+", "N", line.replace(str(place), ""))[:160]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) << 10 if found else 0


def main() -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Whoever ends a worker that hangs asks first where it stands.
    faulthandler.register(signal.SIGUSR1, file=os.dup(2), all_threads=False)
    worker = Worker(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
    worker.enter()
    child = importlib.import_module("edgekit.jobs.process.child")
    child.Child = Here
    main = importlib.import_module("edgekit.cli.main")
    describe = main.describe

    def noted(error):
        if describe(error).kind == "bug":
            worker.error = error
        return describe(error)

    main.describe = noted
    size = _memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (size + (5 << 30),) * 2)
    for line in requests:
        name, seed, real = json.loads(line)
        arguments = worker.prepare(name, seed)
        limit = CPU_LIMIT_S.get(arguments[0], CPU_ELSE_S)
        for part in ({"arguments": arguments, "limit_s": limit}, None):
            part = part or worker.run(name, arguments, real)
            answers.write(json.dumps(part) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
