"""A frame with what the model says of it, and where its time went."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgekit.pipeline.frame import Frame
from edgekit.tasks.results import Result

__all__ = ["STAGES", "Answer"]

# Stages of a frame until its answer, in order. "read" is the source's, "wait" the time in the slot
# until somebody took it, "queue" the time laid out and ready until the engine was free, and
# then inferred until somebody read it. Together they are the frame's age.
STAGES = ("read", "wait", "preprocess", "queue", "inference", "postprocess")


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the model says of one frame.

    Attributes:
        frame: The picture.
        result: In pixels of the frame.
        stages_ns: Nanoseconds by the name of a stage, in order.
        done_ns: When the result was there, by `time.perf_counter_ns`; less `frame.captured_ns` it
            is the frame's age.
    """

    frame: Frame
    result: Result
    stages_ns: dict[str, int] = field(default_factory=dict)
    done_ns: int = 0

    @property
    def age_ns(self) -> int:
        """From the capture to the result, nanoseconds."""
        return self.done_ns - self.frame.captured_ns
