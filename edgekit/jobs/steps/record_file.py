"""Results kept in one file: records, dataclasses and numpy arrays, without pickle."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit.benchmarks.agreement import Agreement
from edgekit.benchmarks.certificate import Figures, Simulated
from edgekit.benchmarks.shift import Shift
from edgekit.benchmarks.summary import Summary
from edgekit.core.card import ModelCard
from edgekit.core.certificate import Check, Metric
from edgekit.core.details import (
    BoxAnswer,
    ClassAnswer,
    ClassScores,
    DifferingAnswer,
    DifferingImage,
    EntryDetails,
    MaskAnswer,
)
from edgekit.core.documents import Environment, Outliers, OutputParity, StageLatency
from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.measurement import Latency
from edgekit.core.parity import TensorParity
from edgekit.core.runtime import NodePlacement, Placement
from edgekit.jobs.process.worker import EntryFigures, Evaluation
from edgekit.jobs.steps.examine import Findings
from edgekit.tasks.results import Boxes, Classification, Detections, Raw, Segmentation

__all__ = ["read_packed", "write_packed"]

# What may be read back, by name. A file that names anything else is damaged.
_RECORDS: dict[str, type[Any]] = {
    record.__name__: record
    for record in (
        Agreement,
        BoxAnswer,
        Boxes,
        Check,
        ClassAnswer,
        ClassScores,
        Classification,
        Detections,
        DifferingAnswer,
        DifferingImage,
        EntryDetails,
        Environment,
        Evaluation,
        Figures,
        Findings,
        Latency,
        MaskAnswer,
        EntryFigures,
        Metric,
        ModelCard,
        NodePlacement,
        Outliers,
        OutputParity,
        Placement,
        Raw,
        Segmentation,
        Shift,
        Simulated,
        StageLatency,
        Summary,
        TensorParity,
    )
}
_ARRAY, _RECORD, _TUPLE = "array", "record", "tuple"


def write_packed(path: Path, value: object) -> None:
    """Write plain data, tuples, numpy arrays and the records of results as MessagePack."""
    write_bytes(path, msgspec.msgpack.encode(_plain(value)))


def read_packed(path: Path) -> Any:
    """Read what write_packed wrote.

    Raises:
        BadInput: The file is damaged.
    """
    try:
        return _restored(msgspec.msgpack.decode(path.read_bytes()))
    except (
        OSError,
        msgspec.MsgspecError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise BadInput(
            f"{path} is damaged: {error}.", hint="Remove it with `edgekit cache prune --all`."
        ) from error


def _plain(value: Any) -> Any:
    """As lists, dicts, numbers, text and bytes; what is more is a list whose head names it."""
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        return [_ARRAY, array.dtype.str, list(value.shape), array.tobytes()]
    if isinstance(value, np.generic):
        return value.item()
    # A card has its own form, in which sub-records need no names.
    if isinstance(value, ModelCard):
        return [_RECORD, "ModelCard", msgspec.to_builtins(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value)]
        return [
            _RECORD,
            type(value).__name__,
            {name: _plain(getattr(value, name)) for name in fields},
        ]
    if isinstance(value, msgspec.Struct):
        fields = list(value.__struct_fields__)
        return [
            _RECORD,
            type(value).__name__,
            {name: _plain(getattr(value, name)) for name in fields},
        ]
    if isinstance(value, tuple | list):
        return [_TUPLE if isinstance(value, tuple) else "list", [_plain(item) for item in value]]
    if isinstance(value, dict):
        # Keys of any kind, as pairs.
        return ["dict", [[_plain(key), _plain(item)] for key, item in value.items()]]
    return value


def _restored(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind = value[0]
    if kind == _ARRAY:
        _, dtype, shape, content = value
        return np.frombuffer(content, np.dtype(dtype)).reshape(shape).copy()
    if kind == _RECORD:
        _, name, fields = value
        record = _RECORDS[name]
        if record is ModelCard:
            return msgspec.convert(fields, ModelCard, str_keys=True)
        return record(**{key: _restored(item) for key, item in fields.items()})
    if kind == "dict":
        return {_restored(key): _restored(item) for key, item in value[1]}
    items = [_restored(item) for item in value[1]]
    return tuple(items) if kind == _TUPLE else items
