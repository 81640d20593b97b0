"""Any number of damaged inputs for the commands: `make fuzz N=20000 [SEED=…] [KIND=…]`.

An input is drawn by (kind, seed) alone. It has to end with status 0 to 3 and one sentence at most:
no bug, no crash, no hang, no foreign code, bounded memory, nothing written but the output.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import queue
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random

import psutil
from bases import make_bases
from kinds import KINDS

HERE = Path(__file__).resolve().parent
# A worker is replaced after so many inputs: what libraries keep must not add up.
INPUTS_A_WORKER = 300
# One input in so many goes through the real command line.
REAL_EVERY = 50
# Seconds in which nothing of an input's processes ran or wanted to run.
STILL_S = 25
COLUMNS = [
    "bug",
    "hang",
    "crash",
    "memory",
    "sentence",
    "written",
    "left",
    "code",
    "network",
    "leak",
]


class Process:
    """A worker, started when it is needed and again when it has ended."""

    def __init__(self, place: Path, base: Path) -> None:
        self.place, self.base, self.inputs = place, base, 0
        self.read = b""
        self.process: subprocess.Popen | None = None

    def _started(self) -> subprocess.Popen:
        if self.process is None or self.inputs >= INPUTS_A_WORKER:
            self.close()
            self.place.mkdir(parents=True, exist_ok=True)
            call = [sys.executable, HERE / "worker.py", self.place, self.base]
            with open(self.place / "worker.err", "ab") as errors:
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
                self.process = subprocess.Popen(call, bufsize=0, start_new_session=True, **pipes)
            self.inputs = 0
        self.inputs += 1
        return self.process

    def close(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process, self.read = None, b""

    def run(self, kind: str, seed: int, real: bool) -> dict:
        """One input; what kills the worker is a result too."""
        process = self._started()
        process.stdin.write(json.dumps([kind, seed, real]).encode() + b"\n")
        line = self._line(None)
        if not line:
            self.close()
            why = (self.place / "worker.err").read_text()[-2000:]
            raise RuntimeError(f"{kind} {seed} could not be made: {why}")
        about = json.loads(line)
        began, ran, still_since = _cpu_s(process.pid), 0.0, time.monotonic()
        while (line := self._line(0.2)) is None:
            now = _cpu_s(process.pid) - began
            if now > ran + 0.05 or _wants_to_run(process.pid):
                ran, still_since = max(now, ran), time.monotonic()
            if now > about["limit_s"] or time.monotonic() - still_since > STILL_S:
                busy = f"{about['limit_s']} s of CPU time"
                how = busy if now > about["limit_s"] else "waits for nothing"
                return self._ended(about, "hang", f"{how} at {self._stands()}")
        if not line:
            code = process.wait()
            how = signal.Signals(-code).name if code < 0 else f"status {code}"
            return self._ended(about, "crash", how)
        return {**about, **json.loads(line)}

    def _line(self, seconds: float | None) -> bytes | None:
        """The worker's next line; empty where it has ended, None where there is none in time."""
        while b"\n" not in self.read:
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                return None
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                return b""
            self.read += part
        line, _, self.read = self.read.partition(b"\n")
        return line

    def _stands(self) -> str:
        """The line of edgekit's at which a worker hangs."""
        before = (self.place / "worker.err").stat().st_size
        os.kill(self.process.pid, signal.SIGUSR1)
        time.sleep(1)
        stack = (self.place / "worker.err").read_text(errors="replace")[before:]
        line = r'File ".*?/((?:edgekit|export|runtimes|benchmarks)/[^"]*)", line (\d+)'
        return ":".join(next(iter(re.findall(line, stack)), ("?", "")))

    def _ended(self, about: dict, what: str, how: str) -> dict:
        self.close()
        problems = [(what, f"{about['arguments'][0]}: {how}")]
        return {**about, "status": what, "cpu_s": 0, "memory": 0, "said": "", "problems": problems}


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu_s(pid: int) -> float:
    total = 0.0
    for process in _family(pid):
        try:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        except psutil.NoSuchProcess:
            pass
    return total


def _wants_to_run(pid: int) -> bool:
    """Whether a thread runs, waits for a processor or for a disk: a busy machine is no hang."""
    for process in _family(pid):
        for path in Path(f"/proc/{process.pid}/task").glob("*/stat"):
            try:
                if path.read_text().rpartition(")")[2].split()[0] in "RD":
                    return True
            except OSError:
                pass
    return False


def drawn(count: int, seed: int, kinds: list[str]) -> list[tuple[str, int, bool]]:
    """(kind, seed, through the real command line) of every input."""
    weights = [KINDS[name] for name in kinds]
    chosen = Random(seed).choices(kinds, weights, k=count)
    return [(name, seed + n, n % REAL_EVERY == REAL_EVERY - 1) for n, name in enumerate(chosen)]


class Run:
    """All inputs of a run, what they did, and the failing ones kept."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base = folder, base
        self.results: list[dict] = []
        self.tried: collections.Counter = collections.Counter()
        self.lock = threading.Lock()
        self.log = open(folder / "results.jsonl", "a")  # noqa: SIM115  (for the whole run)

    def work(self, number: int, todo: queue.SimpleQueue) -> None:
        process = Process(self.folder / f"run{number}", self.base)
        try:
            while True:
                kind, seed, real = todo.get_nowait()
                self.one(process, kind, seed, real)
        except queue.Empty:
            pass
        finally:
            process.close()

    def one(self, process: Process, kind: str, seed: int, real: bool) -> None:
        result = {"kind": kind, "seed": seed, "real": real, **process.run(kind, seed, real)}
        if result["problems"]:
            group = str(result["problems"][0])
            with self.lock:
                self.tried[group] += 1
                again = self.tried[group] <= 2
            if again and not real:
                # Children run within the worker, and libraries keep state there: what counts is
                # what the command itself does. Code that ran, ran.
                outcome = process.run(kind, seed, True)
                result["confirmed"] = bool(outcome["problems"])
                result["again"] = outcome["problems"]
            self._keep(process, result)
        with self.lock:
            self.results.append(result)
            self.log.write(json.dumps(result) + "\n")
            self.log.flush()
            for what, text in result["problems"]:
                mark = "" if result.get("confirmed", True) else " (not by the command itself)"
                print(f"{what}: {kind} {seed}: {text[:150]}{mark}", flush=True)
            if len(self.results) % 500 == 0:
                print(f"… {len(self.results)} inputs", flush=True)

    def _keep(self, process: Process, result: dict) -> None:
        folder = self.folder / f"{result['kind']}-{result['seed']}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(process.place / "w", folder, symlinks=True, ignore=_no_part)
        result["replay"] = f"python tests/fuzz/fuzz.py --replay {result['kind']} {result['seed']}"
        (folder / "fuzz.json").write_text(json.dumps(result, indent=1))


def _no_part(at: str, names: list[str]) -> list[str]:
    """What a kept input does without: FIFOs, which cannot be copied, and what a command wrote."""
    paths = [Path(at, name) for name in names]
    mine = [path for path in paths if path.name.startswith(("out", "EXECUTED"))]
    return [path.name for path in {*mine, *(path for path in paths if path.is_fifo())}]


def counts(results: list[dict]) -> str:
    """The table: a row a kind."""
    head = ["kind", "inputs", "accepted", "failed", "refused", *COLUMNS, "peak MB", "slowest s"]
    rows = [head]
    for name in [*sorted({result["kind"] for result in results}), "all"]:
        those = [result for result in results if name in (result["kind"], "all")]
        sure = [result for result in those if result.get("confirmed", True)]
        by = [sum(result["status"] in which for result in those) for which in ((0,), (1,), (2, 3))]
        bad = [sum(any(p[0] == what for p in r["problems"]) for r in sure) for what in COLUMNS]
        peak, slow = (max((r[key] for r in those), default=0) for key in ("memory", "cpu_s"))
        rows.append([name, len(those), *by, *bad, int(peak) >> 20, round(slow, 1)])
    line = "| " + " | ".join("{:>8}" for _ in head) + " |"
    written = [line.format(*map(str, row)) for row in rows]
    return "\n".join([written[0], "|" + " ---: |" * len(head), *written[1:]])


def groups(results: list[dict]) -> str:
    """Failures by what and where, the most frequent first."""
    found = collections.defaultdict(list)
    for result in results:
        for problem in result["problems"]:
            found[tuple(problem)].append(result)
    lines = []
    for (what, text), those in sorted(found.items(), key=lambda item: -len(item[1])):
        sure = any(r.get("confirmed", True) for r in those)
        mark = "" if sure else " [not by the command itself]"
        kinds = ", ".join(sorted({r["kind"] for r in those}))
        lines.append(f"- {len(those)} × {what}: {text}{mark} ({kinds})\n  `{those[0]['replay']}`")
    return "\n".join(lines)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-n", type=int, default=2000, help="inputs")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--kind", action="append", choices=[*KINDS], help="repeatable")
    options.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    options.add_argument("--folder", type=Path, default=HERE.parents[1] / "build/fuzz")
    options.add_argument("--bases", type=Path, help="sound files, made where they are missing")
    options.add_argument("--replay", nargs=2, metavar=("KIND", "SEED"), help="one input")
    given = options.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    base = (given.bases or folder / "bases").resolve()
    if not (base / "signed.bundle").exists():
        shutil.rmtree(base, ignore_errors=True)
        make_bases(base)
    todo: queue.SimpleQueue = queue.SimpleQueue()
    run = Run(folder, base)
    if given.replay:
        process = Process(folder / "replay", base)
        result = process.run(given.replay[0], int(given.replay[1]), True)
        process.close()
        print(f"cd {folder / 'replay/w'}\nedgekit {shlex.join(result.pop('arguments'))}")
        print(json.dumps(result, indent=1))
        return int(bool(result["problems"]))
    for item in drawn(given.n, given.seed, given.kind or [*KINDS]):
        todo.put(item)
    threads = [threading.Thread(target=run.work, args=(n, todo)) for n in range(given.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(counts(run.results))
    failed = [result for result in run.results if result["problems"]]
    print(groups(failed))
    sure = [result for result in failed if result.get("confirmed", True)]
    return int(bool(sure) or len(run.results) < given.n)


if __name__ == "__main__":
    sys.exit(main())
