"""Libraries imported without the telemetry that they would start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_telemetry"]

_REPORTER = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Wrap the import of a library of the OpenVINO family (openvino, nncf).

    Importing them sends an event to their maker wherever openvino_telemetry can be imported; they
    do without where it cannot. A program that imported it already is left as it is.
    """
    if _REPORTER in sys.modules:
        yield
        return
    sys.modules[_REPORTER] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_REPORTER]
