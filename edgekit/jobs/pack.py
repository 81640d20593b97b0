"""`edgekit pack`: one entry of a bundle in a folder that runs without edgekit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgekit.benchmarks import rows
from edgekit.core.destination import FOLDER, Destination
from edgekit.core.documents import PackDocument, PackedGraph
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.core.subject import works_on
from edgekit.jobs.packing.alignment import ALIGNMENT
from edgekit.jobs.packing.answers import DECODER, answers
from edgekit.jobs.packing.chosen import Chosen, choose_entry
from edgekit.jobs.packing.contents import copy_graph, copy_papers, describe, golden_name
from edgekit.jobs.packing.engines import Scripted, scripted
from edgekit.jobs.packing.guard import GUARD
from edgekit.jobs.packing.repository import Served, model_name, openvino_config, triton_config
from edgekit.jobs.packing.requirements import requirements
from edgekit.jobs.packing.script import script
from edgekit.jobs.process.golden import read_golden
from edgekit.jobs.steps.delivery import read_for
from edgekit.tasks.decoders import decoder_file

__all__ = ["LAYOUTS", "run"]

_PACKED = "pack.json"


@works_on
def run(
    bundle: str,
    output: Path,
    *,
    target: str,
    compute: str | None,
    layout: str,
    force: bool,
    progress: Progress,
) -> PackDocument:
    """See edgekit.api.pack."""
    if layout not in LAYOUTS:
        raise BadInput(f"There is no layout {layout!r}.", closest(layout, LAYOUTS))
    place = Destination(output, FOLDER, force=force, inputs=read_for(bundle))
    progress.stage("checksums")
    chosen = choose_entry(bundle, target=target, compute=compute)
    engine = scripted(chosen.entry.target)
    progress.stage(str(chosen))
    with place.writing() as folder:
        document = LAYOUTS[layout](folder, place.path, chosen, engine)
        text = msgspec.json.format(msgspec.json.encode(document))
        (folder / _PACKED).write_bytes(text + b"\n")
    for note in document.notes:
        progress.note(note)
    return document


def _folder(folder: Path, output: Path, chosen: Chosen, engine: Scripted) -> PackDocument:
    """Graphs, engines, the script and what it checks itself by."""
    graphs: dict[str, PackedGraph] = {}
    for role, made in chosen.engines.items():
        file = made.compiled.engine
        graph = "model.onnx" if role == "main" else f"{role}.onnx"
        graphs[role] = _graph(chosen, role, graph, file if role == "main" else f"{role}.{file}")
        copy_graph(folder, chosen, role, graph)
        shutil.copyfile(chosen.bundle / made.folder / file, folder / graphs[role].engine)
    copy_papers(folder, chosen)
    notes = _copy_decoder(folder, chosen)
    _, outputs = read_golden(folder / golden_name(next(iter(graphs))))
    head = answers(chosen.card, outputs[0][0], list(graphs))
    needed = requirements(
        (engine.distribution, chosen.version, engine.module),
        chosen.versions,
        images=chosen.card.preprocess is not None,
    )
    texts = {
        "guard.py": GUARD,
        "requirements.txt": "".join(f"{one.text}\n" for one in needed),
        "run.py": script(chosen, engine, head),
    }
    rules = chosen.card.postprocess
    if rules is not None and rules.decode == "end2end":
        texts["alignment.py"] = ALIGNMENT
    if any(one.rows for one in graphs.values()):
        # The module itself: it imports nothing of edgekit.
        texts["rows.py"] = Path(rows.__file__).read_text("utf-8")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return describe(folder, output, chosen, "folder", graphs=graphs, notes=notes, needed=needed)


def _triton(folder: Path, output: Path, chosen: Chosen, engine: Scripted) -> PackDocument:
    """A repository of Triton Inference Server in `models`."""
    served = _served(chosen, engine)
    for role, one in served.items():
        copy_graph(folder / "models" / one.name / "1", chosen, role)
        config = folder / "models" / one.name / "config.pbtxt"
        config.write_text(triton_config(one, engine), encoding="utf-8")
    notes = []
    if chosen.entry.compute == "fp32" and "bf16" in engine.precisions:
        notes.append(
            "Triton's openvino backend cannot be told to compute in fp32: on a CPU with bf16 it "
            "computes in bf16, which is not what was certified."
        )
    return _repository(folder, output, chosen, "triton", served, notes)


def _openvino(folder: Path, output: Path, chosen: Chosen, engine: Scripted) -> PackDocument:
    """A repository of OpenVINO Model Server in `models`, with its config.json."""
    if engine.server != "openvino":
        raise BadInput(
            f"OpenVINO Model Server runs OpenVINO, and {chosen} was not certified on it.",
            hint="Pack an entry of openvino:cpu, or use --layout triton.",
        )
    served = _served(chosen, engine)
    for role, one in served.items():
        copy_graph(folder / "models" / one.name / "1", chosen, role)
    config = openvino_config(list(served.values()))
    (folder / "models" / "config.json").write_text(config, encoding="utf-8")
    return _repository(folder, output, chosen, "openvino-model-server", served, [])


LAYOUTS: dict[str, Callable[[Path, Path, Chosen, Scripted], PackDocument]] = {
    "folder": _folder,
    "triton": _triton,
    "openvino-model-server": _openvino,
}


def _served(chosen: Chosen, engine: Scripted) -> dict[str, Served]:
    """The graphs by role, as a server knows them."""
    name = model_name(chosen.name)
    served = {}
    for role in chosen.variant.graphs:
        tensors = chosen.tensors(role)
        served[role] = Served(
            name=name if role == "main" else f"{name}-{model_name(role)}",
            graph=chosen.card.graph(role),
            inputs=tensors.inputs,
            outputs=tensors.outputs,
            threads=chosen.threads,
            precision=engine.precisions[chosen.entry.compute],
        )
    return served


def _repository(
    folder: Path,
    output: Path,
    chosen: Chosen,
    layout: str,
    served: dict[str, Served],
    notes: list[str],
) -> PackDocument:
    """Add what lies beside a server's repository, for whoever asks the server."""
    copy_papers(folder, chosen)
    notes = [*notes, "The server itself was not run: the files follow its documents."]
    if chosen.card.preprocess is not None:
        notes.append(
            "The server takes the network's input and returns its outputs: pre- and postprocessing "
            "are the client's, as card.json says."
        )
    graphs = {
        role: _graph(chosen, role, f"models/{one.name}/1/model.onnx", "")
        for role, one in served.items()
    }
    return describe(folder, output, chosen, layout, graphs=graphs, notes=notes, needed=[])


def _graph(chosen: Chosen, role: str, graph: str, engine: str) -> PackedGraph:
    tensors = chosen.tensors(role)
    rules = chosen.card.postprocess
    lists = rules is not None and rules.decode == "end2end"  # for alignment.py
    return PackedGraph(
        graph=graph,
        engine=engine,
        golden=golden_name(role),
        inputs=tuple(tensor.name for tensor in tensors.inputs),
        outputs=tuple(tensor.name for tensor in tensors.outputs),
        state=chosen.card.graph(role).state,
        rows=() if lists else chosen.card.graph(role).rows,
    )


def _copy_decoder(folder: Path, chosen: Chosen) -> list[str]:
    """Copy the user's decoder, if the card names one, and say what that means."""
    head = chosen.card.postprocess
    file = decoder_file(head.decode, chosen.bundle) if head is not None else None
    if file is None:
        return []
    shutil.copyfile(file, folder / DECODER)
    note = f"run.py imports {DECODER}, the model's own code: read it before you run it."
    return [f"{note} What else it imports is not in requirements.txt."]
