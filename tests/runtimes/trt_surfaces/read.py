"""Writes the public names of TensorRT's Python bindings, read from their own wheels, without a GPU.

The bindings are one extension module that links against TensorRT's libraries, which the registry
does not have. It looks nine functions up in them and calls none while it is imported, so that stubs
will do. Needs a C compiler, and the Python that a wheel is for:

    pip download --no-deps tensorrt-cu12-bindings==10.3.0
    python tests/runtimes/trt_surfaces/read.py tensorrt_cu12_bindings-10.3.0-*.whl
"""

from __future__ import annotations

import ctypes
import importlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

# What edgekit touches, or hands on.
CLASSES = (
    "Builder",
    "BuilderFlag",
    "DataType",
    "EngineInspector",
    "ErrorCode",
    "HardwareCompatibilityLevel",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILayer",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "ITensor",
    "ITimingCache",
    "LayerInformationFormat",
    "LayerType",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "ProfilingVerbosity",
    "Runtime",
)
FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")


def names(of: Any) -> list[str]:
    return [name for name in dir(of) if not name.startswith("_")]


def surface(folder: Path, major: str) -> dict[str, list[str]]:
    """Public names of the bindings in a folder: "" of the module, and of each of CLASSES."""
    source = folder / "stub.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
    for library in LIBRARIES:
        stub = folder / f"lib{library}.so.{major}"
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{stub.name}", "-o", stub, source]
        subprocess.run(command, check=True)
        ctypes.CDLL(str(stub), ctypes.RTLD_GLOBAL)
    sys.path.insert(0, str(folder))
    module = importlib.import_module("tensorrt_bindings.tensorrt")
    found = {"": names(module)}
    for name in CLASSES:
        found[name] = names(getattr(module, name))
    found["ILogger.Severity"] = names(module.ILogger.Severity)
    return found


def write(wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        found = surface(Path(folder), version.partition(".")[0])
    lines = [f"{json.dumps(name)}: {json.dumps(' '.join(found[name]))}" for name in found]
    output = Path(__file__).with_name(f"{version}.json")
    output.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        write(Path(sys.argv[1]))
    else:
        # A process holds one version of the bindings.
        for given in sys.argv[1:]:
            subprocess.run([sys.executable, __file__, given], check=True)
