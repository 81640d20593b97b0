"""A child process that holds one object and answers calls on it.

Engines run in children, so that a crash in native code costs one entry and not the whole job, one
model's export cannot spoil another's, and peak memory belongs to one engine. A plain subprocess is
used because multiprocessing would import the caller's own script again.

Protocol: pickles over two private pipes. Parent sends (name, args, kwargs); the child answers any
number of ("progress", …) messages and then ("result", value) or ("error", exception). Where a child
inherits no other pipes (Windows), they are its stdin and stdout, which nothing in it may then use.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack
from functools import partial
from types import FunctionType
from typing import Any, BinaryIO, TypeVar, get_type_hints

from edgekit.core.confinement import Confinement, confine, environment_of
from edgekit.core.errors import BadInput, CheckFailed, EdgekitError
from edgekit.core.interpreter import command, environment
from edgekit.core.progress import Position, Progress, Silent
from edgekit.core.reading import environment_error
from edgekit.core.subject import SUBJECT_VARIABLE, subject
from edgekit.core.temporary import scratch
from edgekit.core.texts import number, shown

__all__ = ["Child", "ChildDied", "ChildTimedOut", "run_in_child", "serve"]

T = TypeVar("T")
# Sends a kind and a content.
Answer = Callable[[str, object], None]

_OVER_STDIO = os.name == "nt"
# Instead of the numbers of pipes: they are stdin and stdout.
_STDIO = "stdio"
# Names the seconds that a process may compute without a report, and their number where it does not.
_PATIENCE = "EDGEKIT_TIMEOUT"
_PATIENCE_S = 3600.0
# A child that nobody holds any more is forgotten after so long, in seconds.
_LOOK_S = 60.0
_CALLED = "edgekit.jobs.process.child:serve"


# Those of this process, which may be a child itself.
_open: weakref.WeakSet[Child] = weakref.WeakSet()


class ChildDied(CheckFailed):
    """The child process ended before it answered; the message says how."""

    kind = "crash"


class ChildTimedOut(ChildDied):
    """The child process did not answer within its time and was ended."""

    kind = "timeout"


class Child:
    """One object, made by `factory(*args)` in a process of its own.

    Args:
        factory: A function or class at the top level of a module.
        args: Its arguments; they travel by pickle.
        what: What the child does, for error messages: "int8 on openvino:cpu".
        progress: Receives what the child reports.
        seconds: From now on until it has answered its last call, at most; then it is killed. With
            None, it is killed after EDGEKIT_TIMEOUT seconds (an hour where that is not set) of work
            without a report.
        confined: What it may touch, beside a temporary folder of its own; None for everything.

    Raises:
        BadInput: EDGEKIT_TIMEOUT is no number of seconds.
    """

    def __init__(
        self,
        factory: Callable[..., object],
        *args: object,
        what: str,
        progress: Progress | None = None,
        seconds: float | None = None,
        confined: Confinement | None = None,
    ) -> None:
        self._what = what
        self._called = args[0] if factory is _Function else factory
        self._confined = confined
        self._stack = ExitStack()
        # OpenMP's threads (torch has them) would spin while they wait, and on a busy machine that
        # made the reference four times slower.
        self._environment = {
            "OMP_WAIT_POLICY": "PASSIVE",
            **environment(),
            SUBJECT_VARIABLE: subject(),
        }
        if confined is not None:
            folder = self._stack.enter_context(scratch("child"))
            self._environment = environment_of(self._environment, folder)
            confined = Confinement(confined.reads, (*confined.writes, str(folder)))
        self._seconds = seconds
        self._patience = _patience()
        # When it reported last, or got the request that it works on; None while it has none.
        self._heard: float | None = None
        self._overdue = False
        self._closed = threading.Event()
        self._progress = progress or Silent()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed in close)
        self._lifeline: BinaryIO | None = None
        self._process = self._started_over_stdio() if _OVER_STDIO else self._started()
        self._until = None if seconds is None else time.monotonic() + seconds
        watched = (weakref.ref(self), self._closed)
        threading.Thread(target=_watch, args=watched, daemon=True).start()
        _open.add(self)
        try:
            pickle.dump(confined, self._requests, protocol=5)
            self._ask((factory, args, {}), None)
        except BaseException:
            self.close()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        to_child, self._requests = _pipe(write_end=True)
        self._answers, from_child = _pipe(write_end=False)
        # Nothing is ever written here: it ends when the parent does, however it ends.
        lifeline, self._lifeline = _pipe(write_end=True)
        ends = (to_child, from_child, lifeline)
        process = subprocess.Popen(
            command(_CALLED, *map(str, ends)),
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            pass_fds=ends,
            env=self._environment,
        )
        for end in ends:
            os.close(end)
        return process

    def _started_over_stdio(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command(_CALLED, _STDIO, str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=self._environment,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests, self._answers = process.stdin, process.stdout
        return process

    def call(self, method: str, *args: object, **kwargs: object) -> Any:
        """Call a method of the object in the child and return what it returns.

        Raises:
            EdgekitError: Raised again as the child raised it.
            ChildDied: The child crashed or was killed.
            ChildTimedOut: Its time was up.
        """
        if self._confined is None:
            return self._ask((method, args, kwargs), None)
        own = self._called if isinstance(self._called, FunctionType) else None
        wanted = get_type_hints(own or getattr(self._called, method))["return"]
        return self._ask((method, args, kwargs), wanted)

    def close(self) -> None:
        """End the child; calling it twice is allowed."""
        self._closed.set()
        _open.discard(self)
        for stream in (self._requests, self._answers):
            stream.close()
        self._ended()
        if self._lifeline is not None:
            self._lifeline.close()
        self._errors.close()
        self._stack.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:
            self._process.kill()
        self.close()

    def _ask(self, request: object, wanted: Any) -> Any:
        tracks: dict[int, Iterator[int]] = {}
        self._heard = time.monotonic()
        try:
            pickle.dump(request, self._requests, protocol=5)
            self._requests.flush()
            while True:
                kind, content = self._answer(wanted)
                self._heard = time.monotonic()
                if kind == "result":
                    return content
                if kind == "error":
                    raise content
                self._report(content, tracks)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            if self._overdue:
                raise self._timed_out() from error
            raise ChildDied(
                f"The process for {self._what} {self._death()}.",
                hint="Other results are kept; --debug shows what it printed.",
            ) from error
        finally:
            self._heard = None

    def _timed_out(self) -> ChildTimedOut:
        if self._seconds is None:
            return ChildTimedOut(
                f"The process for {self._what} computed for {self._patience:g} s without a report "
                "and was ended.",
                hint=f"Set the environment variable {_PATIENCE} to more seconds.",
            )
        return ChildTimedOut(
            f"The process for {self._what} was not done after {self._seconds:g} s and was ended.",
            hint="Allow it more with --timeout.",
        )

    def _answer(self, wanted: Any) -> tuple[str, Any]:
        if self._confined is None:
            kind, content = pickle.load(self._answers)  # noqa: S301  (our own child)
            return kind, content
        from edgekit.jobs.process import wire

        try:
            return wire.read(self._answers, wanted)
        except wire.Unexpected as error:
            self._process.kill()
            raise ChildDied(
                f"The process for {self._what} answered what no answer is, and was ended.",
                hint="The file that it opened may be hostile.",
            ) from error

    def _left(self) -> float:
        """Seconds until it is overdue."""
        now = time.monotonic()
        heard = self._heard
        due = (now if heard is None else heard) + self._patience
        return (due if self._until is None else self._until) - now

    def _kill(self) -> None:
        self._overdue = True
        self._process.kill()

    def _ended(self) -> int:
        """Wait for the process, which has closed its pipes or lost them, and not for long."""
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _death(self) -> str:
        code = self._ended()
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - 4000))
        lines = self._errors.read(4000).decode(errors="replace").strip().splitlines()
        return f"{how}, its last words being: {lines[-1].strip()}" if lines else how

    def _report(self, content: tuple[str, Any], tracks: dict[int, Iterator[int]]) -> None:
        event, value = content
        if event == "stage":
            self._progress.stage(*value)
        elif event == "note":
            self._progress.note(value)
        elif event == "track":
            number, label, total = value
            length = total if total is not None else sys.maxsize
            tracks[number] = self._progress.track(iter(range(length)), label, total)
            next(tracks[number], None)
        elif event == "step":
            next(tracks.get(value, iter(())), None)
        elif event == "tracked":
            for _ in tracks.pop(value, ()):
                pass


class _PipeProgress:
    """A Progress in the child that speaks to the parent's."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._tracks = 0

    def stage(self, name: str, position: Position | None = None) -> None:
        self._send("stage", (name, position))

    def note(self, message: str) -> None:
        self._send("note", message)

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        if total is None and isinstance(items, Sized):
            total = len(items)
        if total is None:
            # Without a length there is no bar to draw, and the parent could not end its own.
            yield from items
            return
        self._tracks += 1
        number = self._tracks
        self._send("track", (number, label, total))
        for item in items:
            yield item
            self._send("step", number)
        self._send("tracked", number)

    def _send(self, event: str, value: object) -> None:
        self._answer("progress", (event, value))


def run_in_child(
    function: Callable[..., T],
    *args: object,
    what: str,
    progress: Progress | None = None,
    seconds: float | None = None,
    confined: Confinement | None = None,
    **kwargs: object,
) -> T:
    """Call a top-level function in a process of its own and return what it returns.

    Where `function` has an argument called `progress`, it gets one that reports to `progress`. It
    is killed after `seconds`; `confined` says what it may touch; see Child.

    Raises:
        EdgekitError: Raised again as the function raised it.
        ChildDied: The process crashed or was killed.
        ChildTimedOut: Its time was up.
    """
    with Child(
        _Function, function, what=what, progress=progress, seconds=seconds, confined=confined
    ) as child:
        result: T = child.call("call", *args, **kwargs)
        return result


def _patience() -> float:
    chosen = os.environ.get(_PATIENCE)
    seconds = number(chosen) if chosen else _PATIENCE_S
    if seconds is None or seconds <= 0:
        raise BadInput(
            f"{_PATIENCE} is {shown(chosen)}, and no number of seconds above 0.",
            hint="Unset it, or set it to 3600, for instance.",
        )
    return seconds


def _watch(watched: weakref.ref[Child], closed: threading.Event) -> None:
    """End a child that is overdue. It holds none, so that one that is forgotten ends."""
    left = 0.0
    while not closed.wait(min(left, _LOOK_S)):
        child = watched()
        if child is None:
            return
        left = child._left()
        if left <= 0:
            child._kill()
            return
        del child


class _Function:
    """A function as an object with one method."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.call = function


def _pipe(*, write_end: bool) -> tuple[Any, Any]:
    """Return (read, write) of a pipe; the parent's end as a file, the child's as a number."""
    read, write = os.pipe()
    if write_end:
        return read, os.fdopen(write, "wb")
    return os.fdopen(read, "rb"), write


def _pickled(stream: BinaryIO, kind: str, content: object) -> None:
    pickle.dump((kind, content), stream, protocol=5)
    stream.flush()


def _serve(requests: BinaryIO, answer: Answer) -> None:
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    progress = _PipeProgress(answer)
    target: object = None
    while True:
        try:
            callee, args, kwargs = pickle.load(requests)  # noqa: S301  (our own parent)
        except EOFError:
            return
        except Exception as error:
            answer("error", _portable(error))
            continue
        try:
            if target is None:
                target = callee(*args)
                answer("result", None)
                continue
            method = getattr(target, callee)
            if _wants_progress(method):
                kwargs.setdefault("progress", progress)
            answer("result", method(*args, **kwargs))
        except BrokenPipeError:
            return
        except Exception as error:
            answer("error", _portable(error))


def _wants_progress(function: Any) -> bool:
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return (
        code is not None
        and "progress" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    )


def _portable(error: Exception) -> Exception:
    """Return an exception that pickles; one that is no EdgekitError carries its traceback."""
    if isinstance(error, EdgekitError):
        return error
    refused = environment_error(error)
    if refused is not None:
        return refused
    traceback.print_exc()
    return RuntimeError("".join(traceback.format_exception(error)))


def _end_with_the_parent(gone: Callable[[], object]) -> None:
    """Wait until the parent is gone; a child in the middle of its work would work for nobody."""
    gone()
    os._exit(1)


def _parent_gone(process: int) -> None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(process).wait()


def serve() -> None:
    """Answer the parent until it closes its pipe: what a child process runs."""
    gone: Callable[[], object]
    if sys.argv[1] == _STDIO:
        requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        gone = partial(_parent_gone, int(sys.argv[2]))
    else:
        requests = os.fdopen(int(sys.argv[1]), "rb")
        answers = os.fdopen(int(sys.argv[2]), "wb")
        gone = partial(os.read, int(sys.argv[3]), 1)
    # Whatever a library prints goes to the parent's file, kept for the day the child dies.
    os.dup2(2, 1)
    answer = partial(_pickled, answers)
    allowed: Confinement | None = pickle.load(requests)  # noqa: S301  (our own parent)
    if allowed is not None:
        # Before there is a second thread, which would stay as it is; numpy starts some.
        confine(allowed)
        from edgekit.jobs.process import wire

        answer = partial(wire.write, answers)
    threading.Thread(target=_end_with_the_parent, args=(gone,), daemon=True).start()
    _serve(requests, answer)
    for child in list(_open):
        child.close()
    # Engines and torch sometimes crash while Python tears them down; everything was answered.
    sys.stderr.flush()
    os._exit(0)
