"""Which entry of a bundle is packed, with everything the bundle says about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import ModelCard, card_from_dict
from edgekit.core.certificate import Certificate
from edgekit.core.cores import usable_cores
from edgekit.core.documents import DeployEntry
from edgekit.core.errors import BadInput
from edgekit.core.json_text import read_json
from edgekit.core.manifest import Engine
from edgekit.core.runtime import Compiled
from edgekit.core.variant import Variant
from edgekit.jobs.model.bundle import damage, entry_name
from edgekit.jobs.model.certified import Certified, EntrySelection, entry_text
from edgekit.jobs.model.resolve import split_variant
from edgekit.runtimes.catalogue import among
from edgekit.runtimes.engines import Tensors, read_tensors

__all__ = ["Chosen", "choose_entry"]


@dataclass(frozen=True)
class Chosen:
    """One certified entry of a bundle.

    Attributes:
        bundle: Its folder.
        name: The bundle's own name, for files.
        card: As the bundle holds it.
        entry: What deploy found.
        variant: With paths relative to the bundle.
        engines: Compiled graphs by role.
        golden: Files of golden inputs and outputs by role, relative to the bundle.
        sqnr_db: Reached on the golden inputs when it was certified; None where that is not known.
        certificate: Path relative to the bundle.
        failed: Names of the checks that are FAIL.
        environment: Identity of the machine that certified it.
    """

    bundle: Path
    name: str
    card: ModelCard
    entry: DeployEntry
    variant: Variant
    engines: dict[str, Engine]
    golden: dict[str, str]
    sqnr_db: float | None
    certificate: str
    failed: tuple[str, ...]
    environment: dict[str, object]

    @property
    def version(self) -> str:
        """Full version of the engine's library."""
        return self._compiled.runtime_version

    @property
    def instruction_set(self) -> str:
        """What the engine was compiled for, "avx2 avx512f …"."""
        return self._compiled.device.rpartition(" | ")[2]

    @property
    def threads(self) -> int:
        """Threads that the entry was certified with."""
        measured = self.environment.get("threads")
        return self._compiled.options.threads or (
            measured if isinstance(measured, int) else usable_cores()
        )

    @property
    def versions(self) -> dict[str, object]:
        """Versions of the libraries on the machine that certified it, by distribution."""
        found = self.environment.get("versions")
        return found if isinstance(found, dict) else {}

    @property
    def _compiled(self) -> Compiled:
        return next(iter(self.engines.values())).compiled

    def tensors(self, role: str) -> Tensors:
        """Inputs and outputs of a graph, as the ONNX file names them."""
        return read_tensors(self.bundle / self.engines[role].folder)

    def __str__(self) -> str:
        return entry_text(self.entry)


def choose_entry(text: str, *, target: str, compute: str | None) -> Chosen:
    """Choose what to pack: as deploy recommends for the target, or as it is named.

    Args:
        text: BUNDLE or BUNDLE@VARIANT; "int8" means the target's dialect.
        target: One that the bundle was deployed for.
        compute: Only in this float precision; None means the recommended one.

    Raises:
        BadInput: No bundle, a damaged one, or nothing in it for that target, variant or compute.
        CheckFailed: What is not named failed its certificate.
    """
    place, variant = split_variant(text)
    bundle = Certified.read(place)
    damaged = damage(bundle.folder, bundle.manifest)
    if damaged:
        others = f" ({len(damaged) - 1} more)" if len(damaged) > 1 else ""
        raise BadInput(
            f"{place} is damaged and is not packed: {damaged[0]}{others}",
            hint="Take a fresh copy of the bundle.",
        )
    entry = bundle.allowed(EntrySelection(among(target, bundle.targets), variant, compute))[0]
    if entry.error:
        raise BadInput(
            f"{entry_text(entry)} could not be run, so there is nothing to pack: {entry.error}",
            hint="Choose another variant.",
        )
    return _chosen(bundle, entry)


def _chosen(bundle: Certified, entry: DeployEntry) -> Chosen:
    folder, manifest = bundle.folder, bundle.manifest
    name = entry_name(entry.target, entry.variant, entry.compute)
    certificate = f"certificates/{name}.json"
    variant = manifest.variant(entry.variant)
    engines = bundle.engines(entry)
    if variant is None or not engines or set(engines) != set(variant.graphs):
        raise BadInput(
            f"{folder} holds no engine of {entry_text(entry)}.",
            hint="Deploy the model again.",
        )
    proof = read_json(folder / certificate, Certificate)
    if proof.verdict != entry.verdict:
        raise BadInput(
            f"{folder / certificate} says {proof.verdict}, but deploy.json says {entry.verdict}.",
            hint="Do not trust this bundle.",
        )
    identity = manifest.environment.get("identity")
    return Chosen(
        bundle=folder,
        name=folder.resolve().name,
        card=card_from_dict(manifest.card, str(folder / "manifest.json")),
        entry=entry,
        variant=variant,
        engines=engines,
        golden=manifest.golden,
        sqnr_db=manifest.golden_sqnr_db.get(name),
        certificate=certificate,
        failed=tuple(key for key, check in proof.checks.items() if check.verdict == "FAIL"),
        environment=identity if isinstance(identity, dict) else {},
    )
