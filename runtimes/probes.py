"""What `doctor` asks every target of this machine: is it usable, and if not, why.

Reads metadata and device files only; no engine is imported.
"""

from __future__ import annotations

from edgekit.core.runtime import Probe
from edgekit.runtimes.catalogue import load_runtime, targets

__all__ = ["probe_all"]


def probe_all() -> list[Probe]:
    """Probe every target of the catalogue, third parties' too."""
    probes = []
    for target in targets():
        try:
            probes.append(load_runtime(target.runtime).probe(target))
        except Exception as error:  # a stranger's probe must not take doctor down
            probes.append(
                Probe(
                    target=str(target),
                    usable=False,
                    reason=f"Its runtime fails: {error}",
                    fix="Ask the one who made it.",
                )
            )
    return probes
