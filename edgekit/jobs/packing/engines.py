"""How the script opens an engine, by target: the same options as when it was certified."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from edgekit.core.errors import BadInput

__all__ = ["SCRIPTED", "Scripted", "scripted"]


@dataclass(frozen=True)
class Scripted:
    """One target that a script can be written for.

    Attributes:
        distribution: What pip installs.
        module: What is imported.
        load: The function `load`, with $threads and $precision.
        precisions: Ours to the library's own word, for $precision.
        imports: Of Python's own library.
        before: Lines before the library is imported.
        server: Triton's backend.
    """

    distribution: str
    module: str
    load: Template
    precisions: dict[str, str]
    server: str
    imports: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


# The session's options are those of runtimes/ort.py and runtimes/ov.py; a test holds the answers
# of the script against those of the runtimes.
_ORT = Template('''\
def load(role="main"):
    """Open a graph; what is returned takes arrays by input name and answers by output name."""
    path, compiled = guard.engine(role, onnxruntime.__version__)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = $threads, 1  # as certified
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if compiled:  # it was optimized when it was made
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds)))
''')

_OV = Template('''\
def load(role="main"):
    """Open a graph; what is returned takes arrays by input name and answers by output name."""
    path, compiled = guard.engine(role, openvino.__version__.split("-")[0])
    settings = {  # as certified
        "INFERENCE_PRECISION_HINT": "$precision",
        "INFERENCE_NUM_THREADS": $threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "EXECUTION_MODE_HINT": "PERFORMANCE",
    }
    if compiled:
        model = openvino.Core().import_model(Path(path).read_bytes(), "CPU", settings)
    else:
        model = openvino.Core().compile_model(path, "CPU", settings)
    precision = model.get_property("INFERENCE_PRECISION_HINT").to_string()
    if precision != "$precision":
        print(f"This CPU computes in {precision}, not in $precision.", file=sys.stderr)
    names = guard.PACK["graphs"][role]  # an engine keeps their order and not always their names
    request = model.create_infer_request()

    def run(feeds):
        request.infer({place: feeds[name] for place, name in enumerate(names["inputs"])})
        outputs = [request.get_output_tensor(place).data for place in range(len(names["outputs"]))]
        return {name: array.copy() for name, array in zip(names["outputs"], outputs)}

    return run
''')

SCRIPTED: dict[str, Scripted] = {
    "onnxruntime:cpu": Scripted(
        distribution="onnxruntime",
        module="onnxruntime",
        load=_ORT,
        precisions={"fp32": "f32"},
        server="onnxruntime",
    ),
    "openvino:cpu": Scripted(
        distribution="openvino",
        module="openvino",
        load=_OV,
        precisions={"fp32": "f32", "bf16": "bf16", "fp16": "f16"},
        server="openvino",
        imports=("import sys", "from pathlib import Path"),
        before=(
            "# Importing openvino would send an event to its maker.",
            'sys.modules["openvino_telemetry"] = None',
        ),
    ),
}


def scripted(target: str) -> Scripted:
    """Return how a script opens an engine of a target.

    Raises:
        BadInput: There is no script for that target.
    """
    if target not in SCRIPTED:
        raise BadInput(
            f"edgekit writes no script that runs on {target} by itself.",
            hint=f"It does for: {', '.join(SCRIPTED)}. The bundle itself runs with edgekit.load.",
        )
    return SCRIPTED[target]
