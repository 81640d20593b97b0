"""OpenVINO: openvino:cpu, openvino:gpu[:INDEX] and openvino:npu."""

from __future__ import annotations

import functools
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.cores import usable_cores
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.files import atomic_path
from edgekit.core.requires import requires
from edgekit.core.runtime import (
    Array,
    Compiled,
    CompileOptions,
    Feeds,
    NodePlacement,
    Placement,
    Probe,
    TensorInfo,
)
from edgekit.core.subject import reason_of
from edgekit.core.target import Target
from edgekit.core.telemetry import without_telemetry
from edgekit.runtimes import flops
from edgekit.runtimes.catalogue import parse_target
from edgekit.runtimes.cpu import cpu_device, cpu_flags
from edgekit.runtimes.engines import checked_engine, content_of, finish, read_tensors
from edgekit.runtimes.feeds import check_feeds, checked_run, closed
from edgekit.runtimes.graph import read_graph
from edgekit.runtimes.installed import files_present, installed
from edgekit.runtimes.ov_queue import OpenVinoQueue

__all__ = ["DISTRIBUTIONS", "RUNTIME", "OpenVino", "OpenVinoBinding", "OpenVinoSession"]

DISTRIBUTIONS = ("openvino",)

_RENDER_NODES = Path("/sys/class/drm")
_ACCELERATORS = Path("/dev/accel")
_INTEL = "0x8086"

# OpenVINO's word for each compute, and ours for each of its precisions.
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_PRECISIONS = {
    "f32": "fp32",
    "f16": "fp16",
    "bf16": "bf16",
    "f64": "fp64",
    "u8": "int8",
    "i8": "int8",
    "boolean": "bool",
    "i32": "int32",
    "i64": "int64",
}
# Not work: values that are there before the first run, and the two ends of the graph.
_checked = functools.partial(checked_run, "OpenVINO")
_NOT_RUN = frozenset({"Const", "Input", "Output"})


class OpenVino:
    """The runtime; see edgekit.core.runtime.Runtime."""

    def probe(self, target: Target) -> Probe:
        """What this machine offers, from metadata and device files; never raises."""
        version = installed(DISTRIBUTIONS).get("openvino", "")
        reason, fix = _why_not(target, version)
        computes = _computes(target)
        return Probe(
            target=str(target),
            usable=not reason,
            reason=reason,
            fix=fix,
            version=version,
            device=_device_identity(target),
            # A graph of fp16 weights is worth its loss only where fp16 is computed too.
            precisions=("fp32", "fp16", "int8") if "fp16" in computes else ("fp32", "int8"),
            computes=computes,
            # In OpenVINO 2026.4.1 on a CPU, int8 graphs with their float remainder in fp16 lost all
            # accuracy on five of six real models, and one took seconds an image. Whoever wants to
            # see it asks for it: --precision int8 --compute fp16.
            int8_computes=tuple(name for name in computes if name != "fp16"),
            dialect="u8s8",
        )

    def compile(
        self, graph: Path, target: Target, options: CompileOptions, folder: Path
    ) -> Compiled:
        """Write OpenVINO's exported blob as the engine; see edgekit.core.runtime.Runtime."""
        probe = _require(self.probe(target))
        if options.compute not in probe.computes:
            raise BadInput(
                f"{target} computes in {', '.join(probe.computes)} here, not in {options.compute}.",
                hint="Leave --compute out, or choose another target.",
            )
        if not options.optimize:
            raise BadInput(
                "OpenVINO cannot switch its graph optimizations off.",
                hint="Use onnxruntime:cpu for a graph as it is written.",
            )
        core = _core(target)
        facts = read_graph(graph, why=f"to compile for {target}")
        began = time.perf_counter_ns()
        try:
            model = core.read_model(str(graph))
            compiled = core.compile_model(model, _device(target), _settings(target, options))
            blob = compiled.export_model()
        except Exception as error:
            raise BadInput(
                f"OpenVINO refuses {graph}: {reason_of(error)}.",
                hint="Export the model again, or with another opset.",
            ) from error
        engine = folder / "engine.blob"
        with atomic_path(engine) as temporary:
            temporary.write_bytes(blob.getvalue())
        return finish(
            engine,
            facts,
            target=target,
            version=probe.version,
            device=_device_identity(target),
            options=options,
            began_ns=began,
        )

    def open(self, compiled: Compiled, folder: Path) -> OpenVinoSession:
        """Open what `compile` wrote; see edgekit.core.runtime.Runtime."""
        target = parse_target(compiled.target)
        probe = _require(self.probe(target))
        engine = checked_engine(
            compiled,
            folder,
            library="OpenVINO",
            version=probe.version,
            device=_device_identity(target),
        )
        content = content_of(engine, compiled)
        tensors = read_tensors(folder)
        # A blob does not carry its settings: imported without them, an fp32 engine runs in bf16.
        settings = _settings(target, compiled.options)
        try:
            model = _core(target).import_model(content, _device(target), settings)
        except Exception as error:
            raise BadInput(
                f"OpenVINO refuses {engine}: {reason_of(error)}.",
                hint=f"Compile it again for {target}.",
            ) from error
        hint = model.get_property("INFERENCE_PRECISION_HINT").to_string()
        if hint != settings["INFERENCE_PRECISION_HINT"]:
            raise BadInput(
                f"{engine} was to compute in {compiled.options.compute}, but OpenVINO says {hint}.",
                hint=f"Compile it again for {target}.",
            )
        return OpenVinoSession(model, target, tensors.inputs, tensors.outputs)


RUNTIME = OpenVino()


class OpenVinoBinding:
    """One inference request of its own with its input tensors set once.

    Attributes:
        run: Runs once. From the second run on it is OpenVINO's own call with its argument and
            nothing around it.
    """

    run: Callable[[], Any]

    def __init__(
        self, model: Any, feeds: Feeds, inputs: tuple[TensorInfo, ...], names: list[str]
    ) -> None:
        self._request = model.create_infer_request()
        self._names = names
        self._infos = inputs
        self._inputs: dict[str, Array] = {}
        for place, info in enumerate(inputs):
            # The tensor shares this memory and keeps it alive.
            buffer = np.array(feeds[info.name], order="C")
            self._request.set_input_tensor(place, _tensor(buffer))
            self._inputs[info.name] = buffer
        self.run = self._first_run

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The bound input buffers; write new values into them in place."""
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Array]:
        """Views of the request's own output buffers, valid until the next run."""
        return {
            name: self._request.get_output_tensor(place).data
            for place, name in enumerate(self._names)
        }

    def device_ns(self) -> int:
        """Nanoseconds of the last run inside OpenVINO, without Python's call around it.

        Its clock counts microseconds.
        """
        return round(float(self._request.latency) * 1e6)

    def _first_run(self) -> None:
        # Called without inputs it neither looks at nor copies any; sharing the outputs leaves them
        # in the request, from where `outputs` takes them.
        run = functools.partial(self._request.infer, share_outputs=True)
        # The request knows the buffers by address: who holds the call alone keeps them alive.
        run.binding = self  # type: ignore[attr-defined]
        _checked(run, inputs=self._infos, feeds=self._inputs)
        self.run = run


class OpenVinoSession:
    """An engine opened; see edgekit.core.runtime.Session. Threads take turns in `run`."""

    def __init__(
        self,
        model: Any,
        target: Target,
        inputs: tuple[TensorInfo, ...],
        outputs: tuple[TensorInfo, ...],
    ) -> None:
        self._model: Any = model
        self._target = target
        self._inputs = inputs
        self._outputs = outputs
        self._names = [info.name for info in outputs]
        self._request: Any = model.create_infer_request()
        self._turn = threading.Lock()
        self._bindings: weakref.WeakSet[OpenVinoBinding] = weakref.WeakSet()

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Inputs, in the graph's order."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Outputs, in the graph's order."""
        return self._outputs

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Run once on arrays by input name; the outputs belong to the caller.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        with self._turn:
            if self._request is None:
                closed()
            check_feeds(self._inputs, feeds)
            request = self._request
            for place, info in enumerate(self._inputs):
                array = np.asarray(feeds[info.name], order="C")
                request.set_input_tensor(
                    place, _tensor(array if array.flags.writeable else array.copy())
                )
            infer = functools.partial(request.infer, share_outputs=True)
            _checked(infer, inputs=self._inputs, feeds=feeds)
            return {
                name: np.array(request.get_output_tensor(place).data)
                for place, name in enumerate(self._names)
            }

    def bind(self, feeds: Feeds) -> OpenVinoBinding:
        """Copy the feeds into buffers of their own and return the reusable binding.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        if self._model is None:
            closed()
        check_feeds(self._inputs, feeds)
        binding = OpenVinoBinding(self._model, feeds, self._inputs, self._names)
        self._bindings.add(binding)
        return binding

    def queue(self, feeds: Feeds, depth: int | None = None) -> OpenVinoQueue:
        """Copy the feeds into the buffers of `depth` requests and return OpenVINO's own queue.

        Args:
            feeds: Every request runs on these.
            depth: Requests in flight at most; None means what OpenVINO holds best.

        Raises:
            BadInput: A name, dtype or shape is wrong, or the session is closed.
        """
        if self._model is None:
            closed()
        check_feeds(self._inputs, feeds)
        wanted = depth or int(self._model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        queue = _library(f"to run on {self._target}").AsyncInferQueue(self._model, wanted)
        buffers = [
            [np.array(feeds[info.name], order="C") for info in self._inputs] for _ in range(wanted)
        ]
        return OpenVinoQueue(queue, buffers, _tensor, _checked)

    def placement(self) -> Placement:
        """What runs where and in which precision, from the graph that OpenVINO executes.

        Dynamic axes count as 1.

        Raises:
            BadInput: The session is closed.
        """
        if self._model is None:
            closed()
        return Placement(
            nodes=tuple(
                _node(operation, self._target.device)
                for operation in self._model.get_runtime_model().get_ordered_ops()
                if _said(operation, "layerType") not in _NOT_RUN
            )
        )

    def close(self) -> None:
        """Free the engine; calling it twice is allowed, running afterwards raises BadInput."""
        with self._turn:
            self._model = None
            self._request = None
            for binding in self._bindings:
                binding.run = closed
            self._bindings.clear()

    def __enter__(self) -> OpenVinoSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _library(why: str) -> Any:
    """Import openvino without its telemetry."""
    with requires("openvino", extra="cpu", why=why), without_telemetry():
        import openvino

    return openvino


@functools.cache
def _shared_core() -> Any:
    return _library("to run on openvino").Core()


def _core(target: Target) -> Any:
    """OpenVINO's core, with the device of the target in it.

    Raises:
        MissingLibrary: openvino is not installed.
        Unavailable: OpenVINO does not see the device.
    """
    _library(f"to run on {target}")
    core = _shared_core()
    if target.device != "cpu":
        device = _device(target)
        seen = list(core.available_devices)
        # A single device has no number in the list.
        if device not in seen and f"{device}.0" not in seen:
            raise Unavailable(
                f"{target} is not available: OpenVINO sees {', '.join(seen)} only.",
                hint="Install the device's driver and its compute runtime.",
            )
    return core


def _device(target: Target) -> str:
    name = target.device.upper()
    return name if target.index is None else f"{name}.{target.index}"


def _device_identity(target: Target) -> str:
    return cpu_device() if target.device == "cpu" else f"Intel {_device(target)} | {target.device}"


def _settings(target: Target, options: CompileOptions) -> dict[str, Any]:
    """Everything that decides speed or precision, said aloud."""
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[options.compute],
        "PERFORMANCE_HINT": options.hint.upper(),
        "EXECUTION_MODE_HINT": "PERFORMANCE",
    }
    if target.device == "cpu":
        settings["INFERENCE_NUM_THREADS"] = options.threads or usable_cores()
    # Under "throughput" the number of streams is OpenVINO's to choose, unless it is asked for.
    if target.device != "npu" and (options.hint == "latency" or options.streams is not None):
        settings["NUM_STREAMS"] = options.streams or 1
    return settings


def _computes(target: Target) -> tuple[str, ...]:
    if target.device == "gpu":
        return ("fp32", "fp16")
    if target.device == "npu":
        return ("fp16",)
    flags = cpu_flags()
    computes = ["fp32"]
    if flags & {"avx512_bf16", "amx_bf16"}:
        computes.append("bf16")
    if flags & {"avx512_fp16", "amx_fp16", "asimdhp"}:
        computes.append("fp16")
    return tuple(computes)


def _why_not(target: Target, version: str) -> tuple[str, str]:
    """Reason and fix where a target cannot be used; two empty strings where it can."""
    if not version:
        return "openvino is not installed.", "pip install 'edgekit[cpu]'"
    if not files_present("openvino"):
        return (
            f"openvino {version} is registered, but its files are gone.",
            "pip install --force-reinstall openvino",
        )
    if target.device == "gpu" and not _intel_gpus():
        return (
            f"This machine has no Intel GPU (looked for render nodes in {_RENDER_NODES}).",
            "Run it on a machine with an Intel GPU, its driver and intel-opencl-icd.",
        )
    if target.device == "npu" and not any(_ACCELERATORS.glob("accel*")):
        return (
            f"This machine has no NPU (looked in {_ACCELERATORS}).",
            "Run it on a machine with an Intel NPU and its driver, intel-npu-driver.",
        )
    return "", ""


def _intel_gpus() -> list[Path]:
    """Render nodes whose vendor is Intel."""
    found = []
    for vendor in sorted(_RENDER_NODES.glob("renderD*/device/vendor")):
        try:
            if vendor.read_text().strip() == _INTEL:
                found.append(vendor)
        except OSError:
            continue
    return found


def _require(probe: Probe) -> Probe:
    if not probe.usable:
        # Without the library, opening says the same as every other optional library.
        if not probe.version:
            _library(f"to run on {probe.target}")
        raise Unavailable(f"{probe.target} is not available: {probe.reason}", hint=probe.fix)
    return probe


def _tensor(array: Array) -> Any:
    return _library("to run on openvino").Tensor(array, shared_memory=True)


def _said(operation: Any, key: str) -> str:
    """One entry of what OpenVINO notes about a node of the graph it executes."""
    information = operation.get_rt_info()
    return str(information[key].astype(str)) if key in information else ""


def _node(operation: Any, device: str) -> NodePlacement:
    kind = _said(operation, "layerType")
    precision = _said(operation, "runtimePrecision")
    return NodePlacement(
        name=operation.get_friendly_name(),
        op=kind,
        device=device,
        precision=_PRECISIONS.get(precision, precision),
        flops=_flops(kind, operation),
    )


def _flops(kind: str, operation: Any) -> int:
    inputs = [_shape(port) for port in operation.inputs()]
    outputs = [_shape(port) for port in operation.outputs()]
    if kind == "Convolution":
        # Grouped weights have the groups in an axis of their own.
        weight = inputs[1][1:] if len(inputs[1]) > len(outputs[0]) else inputs[1]
        return flops.convolution(outputs[0], weight)
    if kind == "Deconvolution":
        weight = inputs[1][1:] if len(inputs[1]) > len(outputs[0]) else inputs[1]
        return flops.transposed_convolution(inputs[0], weight)
    if kind in ("FullyConnected", "MatMul"):
        return flops.matmul(inputs[0], outputs[0])
    if kind in ("RNNSeq", "RNNCell"):
        # …, weights, recurrence, bias are the last three.
        return flops.recurrent(inputs[0], inputs[-3], inputs[-2])
    if kind == "ScaledDotProductAttention":
        return flops.attention(inputs[0], inputs[1])
    return 0


def _shape(port: Any) -> list[int]:
    return [axis.get_length() if axis.is_static else 1 for axis in port.get_partial_shape()]
