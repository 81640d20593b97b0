"""How far a build is, from TensorRT's progress monitor."""

from __future__ import annotations

from typing import Any

from edgekit.core.progress import Progress

__all__ = ["monitor_of"]


def monitor_of(module: Any, progress: Progress) -> Any:
    """Return a progress monitor of TensorRT that tells of its outermost phases.

    Args:
        module: tensorrt or tensorrt_rtx.
        progress: Hears the name of each phase.
    """

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if not parent:
                progress.stage(f"{phase.lower()} ({steps} steps)")

        def step_complete(self, phase: str, step: int) -> bool:
            # False would cancel the build. Ctrl-C ends the process that builds.
            return True

        def phase_finish(self, phase: str) -> None:
            pass

    return Monitor()
