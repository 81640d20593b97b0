"""The certified entries of a bundle: which are meant, which comes first, what may be opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.core.certificate import Verdict
from edgekit.core.documents import DeployDocument, DeployEntry
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.json_text import parse_json, read_json
from edgekit.core.manifest import Engine, Manifest
from edgekit.core.names import closest
from edgekit.core.runtime import Compiled, CompileOptions, Probe
from edgekit.jobs.model.bundle import read_manifest, sealed_content, unshared_bundle

__all__ = ["Certified", "EntrySelection", "built_for", "entry_text"]

_DEPLOYED = "deploy.json"
# The best first.
_RANK: dict[Verdict, int] = {"PASS": 0, "UNVERIFIED": 1, "FAIL": 2}


@dataclass(frozen=True)
class EntrySelection:
    """Which entries the user means; what is empty or None is left open.

    Attributes:
        targets: In their full form, "openvino:cpu".
        variant: Id; "int8" means either dialect.
        compute: Float precision.
    """

    targets: tuple[str, ...]
    variant: str
    compute: str | None

    def matches(self, entry: DeployEntry) -> bool:
        """Whether an entry is one of them."""
        int8 = self.variant == "int8" and entry.variant.startswith("int8-")
        return (
            (not self.targets or entry.target in self.targets)
            and (int8 or self.variant in ("", entry.variant))
            and self.compute in (None, entry.compute)
        )

    def __str__(self) -> str:
        place = " on ".join(filter(None, (self.variant, ", ".join(self.targets))))
        return " in ".join(filter(None, (place, self.compute)))


@dataclass(frozen=True)
class Certified:
    """A bundle, and what deploy found of its entries.

    Attributes:
        folder: Of the bundle, or of the copy of it that nobody else can change.
    """

    folder: Path
    manifest: Manifest
    document: DeployDocument

    @classmethod
    def read(cls, bundle: Path) -> Certified:
        """Read manifest.json and deploy.json.

        Raises:
            BadInput: No bundle, or one of the two is damaged.
        """
        folder = unshared_bundle(bundle)
        manifest = read_manifest(folder)
        content = sealed_content(folder, manifest, _DEPLOYED)
        hint = "Deploy the model again with this version of edgekit."
        document = parse_json(content, folder / _DEPLOYED, DeployDocument, hint=hint)
        return cls(folder, manifest, document)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that it was deployed for."""
        return tuple(dict.fromkeys(entry.target for entry in self.document.entries))

    def candidates(self, wanted: EntrySelection) -> list[DeployEntry]:
        """Return the entries that are meant, the best first: by verdict, as recommended, by p50."""
        firsts = [
            (one.target, one.variant, one.compute)
            for one in (self.document.best, *self.document.recommended)
            if one is not None
        ]

        def rank(entry: DeployEntry) -> tuple[int, int, float]:
            key = (entry.target, entry.variant, entry.compute)
            place = (key != firsts[0]) + (key not in firsts) if firsts else 0
            p50 = entry.latency.p50_ms if entry.latency is not None else None
            return _RANK[entry.verdict], place, float("inf") if p50 is None else p50

        return sorted(filter(wanted.matches, self.document.entries), key=rank)

    def allowed(self, wanted: EntrySelection) -> list[DeployEntry]:
        """Return the entries that are meant and may be used, the best first.

        One that failed its certificate is used only where its variant is named.

        Raises:
            BadInput: The bundle holds nothing that is meant.
            CheckFailed: All that is meant failed its certificate.
        """
        found = self.candidates(wanted)
        if not found:
            raise self._nothing(wanted)
        if wanted.variant:
            return found
        allowed = [entry for entry in found if entry.verdict != "FAIL"]
        if not allowed:
            failed = ", ".join(entry_text(entry) for entry in found)
            raise CheckFailed(
                f"{failed} of {self.folder} failed the certificate.",
                hint=f"Name it to use it all the same: {self.folder}@{found[0].variant}",
            )
        return allowed

    def _nothing(self, wanted: EntrySelection) -> BadInput:
        """Say what of it is not there, and the closest that is."""
        if wanted.targets and not set(wanted.targets) & set(self.targets):
            return BadInput(
                f"{self.folder} holds nothing for {', '.join(wanted.targets)}.",
                hint=closest(wanted.targets[0], self.targets),
            )
        there = self.candidates(EntrySelection(wanted.targets, "", None))
        variants = sorted({entry.variant for entry in there})
        if not any(EntrySelection((), wanted.variant, None).matches(entry) for entry in there):
            return BadInput(
                f"{self.folder} holds no variant {wanted.variant!r}.",
                hint=closest(wanted.variant, variants),
            )
        held = ", ".join(entry_text(entry) for entry in there)
        return BadInput(f"{self.folder} holds nothing for {wanted}.", hint=f"It holds: {held}.")

    def engines(self, entry: DeployEntry) -> dict[str, Engine]:
        """Return an entry's compiled graphs by role; empty where the bundle holds none."""
        key = (entry.target, entry.variant, entry.compute)
        return {
            engine.role: engine
            for engine in self.manifest.engines
            if (engine.target, engine.variant, engine.compute) == key
        }


def built_for(bundle: Path, engine: Engine, probe: Probe, options: CompileOptions) -> bool:
    """Whether a bundle's own engine is what compiling its graph here would make.

    Args:
        bundle: Its folder.
        engine: As its manifest describes it; compiled.json beside the engine must say the same.
        probe: Of the target on this machine: its version and device.
        options: As it would be compiled.
    """
    try:
        described = read_json(bundle / engine.folder / "compiled.json", Compiled)
    except BadInput:
        return False
    made = engine.compiled
    here = (probe.version, probe.device, options)
    return described == made and (made.runtime_version, made.device, made.options) == here


def entry_text(entry: DeployEntry) -> str:
    """Return "int8-u8s8 on openvino:cpu in fp32"."""
    return f"{entry.variant} on {entry.target} in {entry.compute}"
