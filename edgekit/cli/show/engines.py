"""A compiled engine, as what lies beside it describes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import NOTHING, facts, grid, line, path, sentence, shares, size
from edgekit.core.documents import EngineFacts, EngineLayer
from edgekit.core.runtime import CompileOptions, ShapeProfile
from edgekit.runtimes.words import architecture

__all__ = ["show_engine"]

_MEMORY = {
    "weights_bytes": "weights",
    "activations_bytes": "activations",
    "scratch_bytes": "scratch",
}
# Of another program's metadata, what its card does not say already and a line holds.
_LEFT_OUT = frozenset({"names", "task"})
_LONGEST = 60


def show_engine(engine: EngineFacts, top: int, console: Console) -> None:
    """Print where an engine runs, what built it and what it was planned to do."""
    line(console, Text.assemble((engine.role, "bold"), "  ", path(engine.file)))
    facts(console, [*_made(engine), *_shape(engine), *_cost(engine)])
    if engine.whole is False:
        sentence(console, "It is not the file that was built: its sha256 is another.", "red")
    for warning in (*engine.notes, *engine.warnings):
        sentence(console, Text.assemble(("note  ", "bold"), warning), indent=6)
    if engine.layers and top:
        line(console)
        console.print(_kinds(engine.layers))
        line(console)
        console.print(_layers(engine.layers, top))
        if len(engine.layers) > top:
            line(
                console, f"of {len(engine.layers)} layers; see --nodes {len(engine.layers)}", "dim"
            )


def _made(engine: EngineFacts) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = []
    if engine.target is not None:
        rows.append(("target", engine.target))
        rows.append(("built for", _device(engine.device) or NOTHING))
        here = "on this machine" if engine.built_here else "elsewhere (--trust-engine)"
        rows.append(("built by", f"{engine.builder}, {here}"))
    if engine.options is not None:
        rows.append(("options", _options(engine.options)))
    for key, value in (engine.metadata or {}).items():
        if key not in _LEFT_OUT and len(str(value)) <= _LONGEST:
            rows.append((str(key), str(value)))
    if engine.target is None and engine.metadata is None:
        rows.append(("header", "none: nothing tells what it is but TensorRT itself"))
    return rows


def _device(device: str) -> str:
    name, _, _ = device.rpartition(" | ")
    return ", ".join(filter(None, (*name.split(" | "), architecture(device))))


def _shape(engine: EngineFacts) -> list[tuple[str, str | Text]]:
    tensors = [("input", one) for one in engine.inputs] + [
        ("output", one) for one in engine.outputs
    ]
    return [
        *(
            (word, f"{one.name} {one.dtype} [{', '.join(str(length) for length in one.shape)}]")
            for word, one in tensors
        ),
        *(("profile", _profile(one)) for one in engine.profiles),
    ]


def _cost(engine: EngineFacts) -> list[tuple[str, str | Text]]:
    memory = ", ".join(
        f"{size(count)} {_MEMORY.get(name, name)}" for name, count in engine.memory.items()
    )
    return [
        *([("planned", f"{shares(engine.planned)} of products")] if engine.planned else []),
        *([("memory", f"{memory}, with the largest shapes")] if memory else []),
        ("size", size(engine.size_bytes)),
        ("sha256", path(engine.sha256)),
        *([("sha256 onnx", path(engine.graph_sha256))] if engine.graph_sha256 else []),
    ]


def _options(options: CompileOptions) -> str:
    words = [
        f"compute {options.compute}",
        *([] if options.threads is None else [f"threads {options.threads}"]),
        *([] if options.optimize else ["not optimized"]),
        *(["may fall back"] if options.allow_fallback else []),
        *(
            f"portable over {'versions' if one == 'version' else 'GPUs'}"
            for one in options.portable
        ),
    ]
    return ", ".join(words)


def _profile(profile: ShapeProfile) -> str:
    return ", ".join(
        f"{name} {' to '.join(_sizes(shape) for shape in dict.fromkeys(shapes))}"
        for name, shapes in profile.items()
    )


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(str(length) for length in shape)


def _kinds(layers: Sequence[EngineLayer]) -> object:
    counts = Counter((layer.kind, layer.precision) for layer in layers)
    rows = [[kind, precision, str(count)] for (kind, precision), count in counts.most_common()]
    return grid(["kind of layer", "planned in", "layers"], rows, left=(0, 1))


def _layers(layers: Sequence[EngineLayer], top: int) -> object:
    rows = [[layer.name, layer.kind, layer.precision] for layer in layers[:top]]
    return grid(["first layers", "kind", "planned in"], rows, left=(0, 1, 2), whole=(2,))
