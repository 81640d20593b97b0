"""The JSON documents that commands print and other tools may rely on.

Every document begins with `schema`. The JSON Schemas in edgekit/benchmarks/schemas are made from
these records (`make schemas`), and a test holds the two together. Keys may be added, never removed.
"""

from __future__ import annotations

from edgekit.core.documents.answers import (
    PredictDocument,
    PredictedClass,
    PredictedImage,
    PredictedObject,
    PredictedRegion,
    StageTime,
)
from edgekit.core.documents.arrival import (
    BundleSignature,
    InstructionSets,
    PackDocument,
    PackedFile,
    PackedGraph,
    VerifyDocument,
    VerifyEntry,
)
from edgekit.core.documents.comparing import (
    Change,
    DiffDocument,
    EntryDiff,
    GraphDiff,
    NodeChange,
    WeightChange,
)
from edgekit.core.documents.debugging import (
    DebugParityDocument,
    ParityNode,
    ParityValue,
    TappedTensor,
)
from edgekit.core.documents.demo import (
    DemoDocument,
    DemoEvent,
    DemoFrame,
    DemoRates,
    DemoSource,
    Distribution,
)
from edgekit.core.documents.demo_page import DemoFound, DemoHealthDocument, DemoStateDocument
from edgekit.core.documents.deployment import (
    DeployDocument,
    DeployEntry,
    DeployStage,
    PlanDocument,
    PlannedStage,
    Recommendation,
    StreamShape,
)
from edgekit.core.documents.document import Document, Environment, ErrorDocument, OutputParity
from edgekit.core.documents.engines import EngineFacts, EngineLayer
from edgekit.core.documents.explaining import (
    AxisFacts,
    GraphFacts,
    InspectDocument,
    NodeWork,
    OperatorWork,
    RoundTrip,
    RuntimeLimit,
)
from edgekit.core.documents.machine import (
    CacheDocument,
    CacheEntry,
    DataDocument,
    DoctorDocument,
    DoctorTarget,
)
from edgekit.core.documents.making import CompileDocument, ExportDocument, QuantizeDocument
from edgekit.core.documents.measuring import (
    BenchDocument,
    BenchEntry,
    EvalDocument,
    Outliers,
    StageLatency,
)
from edgekit.core.documents.nvidia import CudaLibrary, Gpu, JetsonFacts, NvidiaFacts
from edgekit.core.documents.ratio import ComparedEntry, CompareDocument
from edgekit.core.documents.reporting import ReportChoice, ReportDocument
from edgekit.core.documents.results import (
    EnvironmentDocument,
    ExportedDocument,
    ResultRun,
    ResultsDocument,
)

__all__ = [
    "DOCUMENTS",
    "AxisFacts",
    "BenchDocument",
    "BenchEntry",
    "BundleSignature",
    "CacheDocument",
    "CacheEntry",
    "Change",
    "CompareDocument",
    "ComparedEntry",
    "CompileDocument",
    "CudaLibrary",
    "DataDocument",
    "DebugParityDocument",
    "DemoDocument",
    "DemoEvent",
    "DemoFound",
    "DemoFrame",
    "DemoHealthDocument",
    "DemoRates",
    "DemoSource",
    "DemoStateDocument",
    "DeployDocument",
    "DeployEntry",
    "DeployStage",
    "DiffDocument",
    "Distribution",
    "DoctorDocument",
    "DoctorTarget",
    "Document",
    "EngineFacts",
    "EngineLayer",
    "EntryDiff",
    "Environment",
    "EnvironmentDocument",
    "ErrorDocument",
    "EvalDocument",
    "ExportDocument",
    "ExportedDocument",
    "Gpu",
    "GraphDiff",
    "GraphFacts",
    "InspectDocument",
    "InstructionSets",
    "JetsonFacts",
    "NodeChange",
    "NodeWork",
    "NvidiaFacts",
    "OperatorWork",
    "Outliers",
    "OutputParity",
    "PackDocument",
    "PackedFile",
    "PackedGraph",
    "ParityNode",
    "ParityValue",
    "PlanDocument",
    "PlannedStage",
    "PredictDocument",
    "PredictedClass",
    "PredictedImage",
    "PredictedObject",
    "PredictedRegion",
    "QuantizeDocument",
    "Recommendation",
    "ReportChoice",
    "ReportDocument",
    "ResultRun",
    "ResultsDocument",
    "RoundTrip",
    "RuntimeLimit",
    "StageLatency",
    "StageTime",
    "StreamShape",
    "TappedTensor",
    "VerifyDocument",
    "VerifyEntry",
    "WeightChange",
]

# Kind to record: what `make schemas` writes and `--json` prints.
DOCUMENTS: dict[str, type[Document]] = {
    "bench": BenchDocument,
    "cache": CacheDocument,
    "compare": CompareDocument,
    "compile": CompileDocument,
    "data": DataDocument,
    "demo": DemoDocument,
    "demo-health": DemoHealthDocument,
    "demo-state": DemoStateDocument,
    "deploy": DeployDocument,
    "diff": DiffDocument,
    "doctor": DoctorDocument,
    "error": ErrorDocument,
    "environment": EnvironmentDocument,
    "eval": EvalDocument,
    "export": ExportDocument,
    "exported": ExportedDocument,
    "demo-frame": DemoFrame,
    "inspect": InspectDocument,
    "plan": PlanDocument,
    "parity": DebugParityDocument,
    "pack": PackDocument,
    "predict": PredictDocument,
    "quantize": QuantizeDocument,
    "report": ReportDocument,
    "results": ResultsDocument,
    "verify": VerifyDocument,
}
