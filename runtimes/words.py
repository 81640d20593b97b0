"""Figures as words, for sentences about a machine."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgekit.runtimes.compatibility import dotted

__all__ = ["ENGINES_UNTRIED", "UNTRIED", "architecture", "gib", "listed"]

# No machine of NVIDIA's was at hand. Whoever reads one for the first time takes this out.
UNTRIED = "read from documented formats, never tried on this hardware"
ENGINES_UNTRIED = f"{UNTRIED}; TensorRT's engines were built by tests and run on no GPU"
_SM = re.compile(r"\bsm(\d+)\b")


def architecture(device: str) -> str:
    """Name the architecture in a device's identity: "SM 8.9", or an instruction set.

    Args:
        device: As a probe has it: parts with " | " between, the architecture last.
    """
    last = device.rpartition(" | ")[2]
    return _SM.sub(lambda found: f"SM {dotted(int(found[1]))}", last).replace(",", ", ")


def gib(count: int) -> str:
    """Format bytes as GiB, in which memory is sold: "7.4 GiB"."""
    return f"{count / (1 << 30):.1f} GiB"


def listed(names: Sequence[str]) -> str:
    """Join names: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
