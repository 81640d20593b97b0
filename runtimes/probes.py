"""What `doctor` asks every target of this machine: is it usable, and if not, why.

Reads metadata and device files only; no engine is imported.
"""

from __future__ import annotations

from edgekit.core.runtime import Probe
from edgekit.core.target import Target
from edgekit.runtimes.catalogue import load_runtime, targets
from edgekit.runtimes.installed import installed
from edgekit.runtimes.ort_offered import listed
from edgekit.runtimes.ort_providers import FLAVOURS

__all__ = ["probe_all"]


def probe_all(*, providers: bool = False) -> list[Probe]:
    """Probe every target of the catalogue, third parties' too.

    Args:
        providers: The execution providers of the installed onnxruntime as well. Only it can tell
            them, so it is imported, in a process of its own.
    """
    probes = []
    places = targets()
    if providers and installed(FLAVOURS):
        places += [Target("onnxruntime", f"ep={name}") for name in listed()]
    for target in places:
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
