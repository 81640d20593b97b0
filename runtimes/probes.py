"""What `doctor` asks: every target of this machine, and what is wrong with the installation.

Reads metadata and device files only; no engine is imported.
"""

from __future__ import annotations

import sys

from edgekit.core.runtime import Probe
from edgekit.core.target import Target
from edgekit.runtimes.catalogue import broken_entries, load_runtime, targets
from edgekit.runtimes.installed import installed, older_than
from edgekit.runtimes.ort_offered import listed
from edgekit.runtimes.ort_providers import FLAVOURS

__all__ = ["probe_all", "problems"]

_OPENVINO_MINIMUM = "2024.4"
_ONNXRUNTIME_MINIMUM = "1.18"
# Older ones bring an onnxruntime of their own, newer ones are a plugin beside it.
_PLUGIN_SINCE = {"onnxruntime-qnn": "2"}


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


def problems() -> list[str]:
    """What is wrong with the installation as a whole, each with its remedy, in sentences."""
    found = []
    # All of these install into the one folder "onnxruntime", the last one over the others.
    flavours = installed(FLAVOURS)
    for name, since in _PLUGIN_SINCE.items():
        flavours |= {
            one: version for one, version in installed([name]).items() if older_than(version, since)
        }
    if len(flavours) > 1:
        keep = "onnxruntime-gpu" if "onnxruntime-gpu" in flavours else next(iter(flavours))
        found.append(
            f"{' and '.join(flavours)} are installed together and overwrite each other's files. "
            f"Run: pip uninstall -y {' '.join(flavours)} && pip install {keep}"
        )
    for name, version in flavours.items():
        if older_than(version, _ONNXRUNTIME_MINIMUM):
            found.append(
                f"{name} {version} is older than {_ONNXRUNTIME_MINIMUM}. "
                f"Run: pip install --upgrade {name}"
            )
    for name, version in installed(["openvino"]).items():
        if older_than(version, _OPENVINO_MINIMUM):
            found.append(
                f"{name} {version} is older than {_OPENVINO_MINIMUM}. "
                f"Run: pip install --upgrade {name}"
            )
    if not flavours and sys.version_info < (3, 11):
        found.append(
            "onnxruntime stopped making wheels for Python 3.10 with 1.24. "
            "Run: pip install 'onnxruntime<1.24'"
        )
    for name, reason in broken_entries().items():
        found.append(f"The runtime {name!r} of another distribution does not load: {reason}.")
    return found
