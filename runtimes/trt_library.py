"""TensorRT and TensorRT for RTX: which of them is installed, and what it can do.

What differs between 10, 11 and RTX is asked of the module itself (`hasattr`), never of a version
number: JetPack's 10.3 lacks what 10.13 has, and 11 lacks what both had.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from edgekit.core.requires import requires
from edgekit.runtimes.catalogue import CATALOGUE
from edgekit.runtimes.installed import files_present, installed

__all__ = ["ENGINES", "Library", "NvidiaEngine", "architectures", "load_library"]


@dataclass(frozen=True)
class NvidiaEngine:
    """One of NVIDIA's two engines.

    Attributes:
        title: As NVIDIA writes it.
        module: Python module.
        distributions: That bring it; on a Jetson it comes with JetPack, under the first name.
        extra: The extra of edgekit that installs it, or what it needs beside it.
        install: The command that installs it.
        timings: Whether its builds measure kernels and keep the timings; RTX chooses kernels on the
            device that runs the engine, and warns of every call about timings.
    """

    title: str
    module: str
    distributions: tuple[str, ...]
    extra: str
    install: str
    timings: bool = True

    def version(self) -> str:
        """Full version of what is installed, without importing it; empty where nothing is."""
        return next(iter(installed(self.distributions).values()), "")

    def present(self) -> bool:
        """Whether the module can be found."""
        return files_present(self.module)


ENGINES = {
    "tensorrt": NvidiaEngine(
        title="TensorRT",
        module="tensorrt",
        distributions=CATALOGUE["tensorrt"].distributions,
        extra=CATALOGUE["tensorrt"].extra,
        install="pip install tensorrt 'edgekit[tensorrt]' (on a Jetson it comes with JetPack)",
    ),
    "tensorrt-rtx": NvidiaEngine(
        title="TensorRT for RTX",
        module="tensorrt_rtx",
        distributions=CATALOGUE["tensorrt-rtx"].distributions,
        extra=CATALOGUE["tensorrt-rtx"].extra,
        install="pip install 'edgekit[tensorrt-rtx]'",
        timings=False,
    ),
}


@dataclass(frozen=True)
class Library:
    """An engine's Python module, imported.

    Attributes:
        engine: Which of the two.
        module: The module.
        version: Full version, as the module says it.
    """

    engine: NvidiaEngine
    module: Any
    version: str

    @property
    def network_flags(self) -> int:
        """Flags of a strongly typed network: the graph's types decide what is computed in."""
        return 1 << int(self.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def flag(self, name: str) -> Any:
        """A builder flag by name; None where this version does not know it."""
        return getattr(self.module.BuilderFlag, name, None)


def load_library(runtime: str, why: str) -> Library:
    """Import the module of a runtime.

    Args:
        runtime: "tensorrt" or "tensorrt-rtx".
        why: The purpose, as "to ...".

    Raises:
        MissingLibrary: It is not installed, or does not import.
    """
    engine = ENGINES[runtime]
    with requires(engine.module, extra=engine.extra, why=why):
        module = importlib.import_module(engine.module)
    return Library(engine, module, str(module.__version__))


def architectures(library: Library) -> tuple[int, ...]:
    """GPU architectures that the library builds for without the GPU, ascending: 89 is SM 8.9.

    Empty where it builds for the GPU of this machine only.
    """
    known = getattr(library.module, "ComputeCapability", None)
    names = getattr(known, "__members__", {})
    return tuple(sorted(int(name[2:]) for name in names if name.startswith("SM")))
