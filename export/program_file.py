"""A torch.export program (.pt2) from a file of anyone.

The format carries Python: expressions that are evaluated, names that are imported, guards that are
executed, pickles. So torch does not open the file. The archive is read once, here, by one parser;
of its members those that torch.export.save writes are taken, each once; its JSON is checked
against an allow-list (program_schema, program_operators, program_sizes); weights are built from
plain bytes. What was checked goes to torch as objects.
"""

from __future__ import annotations

import contextlib
import io
import math
import pickle  # only for its error class
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json
from edgekit.core.opening import open_file
from edgekit.core.texts import shown
from edgekit.export.program_refusal import NotAllowedError
from edgekit.export.program_schema import checked_path, checked_payloads, checked_program

__all__ = ["open_program", "plain_archive"]

_AGAIN = "Copy or download it again, or save it again with PyTorch."
_MOST_MEMBERS = 200_000
_LARGEST_JSON = 2**28
# What one .onnx file may hold; no weight that is larger can be exported.
_LARGEST_TENSOR = 2**31
_PROGRAM = "models/model.json"
_OLD_PROGRAM = "serialized_exported_program.json"
_CONFIGS = {
    "weights": "data/weights/model_weights_config.json",
    "constants": "data/constants/model_constants_config.json",
}
# Members of an archive of torch 2.8 and later below its one folder, and of torch 2.6 and 2.7.
_MEMBER = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(?:version|serialization_id)|\.format_version"
    r"|\.storage_alignment|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(?:weight_\d+|model\.pt|model_weights_config\.json)"
    r"|data/constants/(?:tensor_\d+|model\.pt|model_constants_config\.json)"
    r"|extra/.+",
    re.ASCII | re.DOTALL,
)
_OLD_MEMBER = re.compile(
    r"version|serialized_exported_program\.json"
    r"|serialized_(?:state_dict|constants|example_inputs)\.pt|extra_files/.+",
    re.ASCII | re.DOTALL,
)
_PAYLOAD = {"weights": re.compile(r"weight_\d+"), "constants": re.compile(r"tensor_\d+")}
_COMPILED = re.compile(r"(?:^|/)data/(?:aotinductor|executorch)/|\.(?:so|dll|dylib|pte|cubin)$")
_PICKLED = re.compile(r"(?:^|/)data/constants/(?:custom|opaque)_obj_[^/]*$")


def open_program(path: Path, *, trust_code: bool = False) -> tuple[Any, tuple[str, ...]]:
    """Open a program; nothing of the file is executed, imported or unpickled.

    Args:
        path: The .pt2.
        trust_code: Import a library whose classes or operators the program has.

    Returns:
        torch.export.ExportedProgram, and what its guards say, as text, which nothing executes.

    Raises:
        NotAllowedError: It holds something it may not.
        Exception: Of zipfile, json or torch, where it is damaged.
    """
    from torch._export.serde.serialize import ExportedProgramDeserializer

    with open_file(path) as file, plain_archive(file) as archive:
        members = _members(archive)
        old = _OLD_PROGRAM in members
        content = _json(archive, members[_OLD_PROGRAM if old else _PROGRAM])
        program = checked_program(content, trust_code=trust_code)
        if old:
            state = _saved_tensors(archive, members["serialized_state_dict.pt"])
            constants = _saved_tensors(archive, members["serialized_constants.pt"])
        else:
            state = _tensors(archive, members, "weights")
            constants = _tensors(archive, members, "constants")
    relations = tuple(str(guard) for guard in content.get("guards_code") or ())
    try:
        return ExportedProgramDeserializer().deserialize(program, state, constants), relations
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
        raise NotAllowedError(
            f"cannot be rebuilt by the installed PyTorch: {reason[:200]}",
            hint="It is damaged, or another version of PyTorch made it.",
        ) from error


@contextlib.contextmanager
def plain_archive(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive as torch writes them: nothing compressed or encrypted, no name twice.

    So it cannot grow when it is unpacked, and no two readers can find different members in it.

    Raises:
        NotAllowedError: It is another one.
        zipfile.BadZipFile: It is none.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        size = file.seek(0, io.SEEK_END)
        names = {member.filename for member in members}
        if any(name.endswith("/constants.pkl") for name in names):
            raise NotAllowedError(
                "is a TorchScript program",
                hint="Export the network that it was made of, or save its state_dict.",
            )
        if len(names) != len(members):
            twice = Counter(member.filename for member in members).most_common(1)[0][0]
            raise NotAllowedError(f"holds the member {shown(twice)} twice", hint=_AGAIN)
        if len(members) > _MOST_MEMBERS:
            raise NotAllowedError(f"holds {len(members)} members", hint=_AGAIN)
        for member in members:
            if (
                member.compress_type != zipfile.ZIP_STORED
                or member.flag_bits & 0x1
                or member.file_size != member.compress_size
            ):
                raise NotAllowedError(
                    f"holds the member {shown(member.filename)} compressed or encrypted, as "
                    "PyTorch never writes them",
                    hint=_AGAIN,
                )
        if sum(member.file_size for member in members) > size:
            raise NotAllowedError("holds members that lie in each other", hint=_AGAIN)
        yield archive


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by their name below the archive's one folder.

    Raises:
        NotAllowedError: One is none that torch.export.save writes.
        zipfile.BadZipFile: None is a program.
    """
    members = archive.infolist()
    names = {member.filename for member in members}
    pattern, folder = _OLD_MEMBER, ""
    if _OLD_PROGRAM not in names:
        pattern, folder = _MEMBER, (members[0].filename.partition("/")[0] + "/") if members else ""
    for refused, what in ((_COMPILED, "compiled code"), (_PICKLED, "a pickled object")):
        found = next(filter(refused.search, sorted(names)), None)
        if found is not None:
            raise NotAllowedError(f"holds {what} ({shown(found)})")
    if folder in ("/", "./", "../") or not names & {_OLD_PROGRAM, folder + _PROGRAM}:
        raise zipfile.BadZipFile("no program")
    taken = {}
    for member in members:
        # ZipInfo cuts a name at NUL and turns the separators of some systems.
        name = member.orig_filename
        inside = name.removeprefix(folder)
        if not name.startswith(folder) or not pattern.fullmatch(inside):
            raise NotAllowedError(
                f"holds the member {shown(name)}, which torch.export.save never writes"
            )
        taken[inside] = member
    if "byteorder" in taken and archive.read(taken["byteorder"]) != b"little":
        raise NotAllowedError(
            "was saved on a machine of another byte order", hint="Save it on this one."
        )
    return taken


def _json(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    if member.file_size > _LARGEST_JSON:
        raise NotAllowedError(f"holds {member.file_size >> 20} MiB of JSON")
    try:
        content = parse_json(archive.read(member), member.filename, limit=_LARGEST_JSON)
    except BadInput as error:
        raise NotAllowedError(f"is damaged: {error.message.rstrip('.')}", hint=_AGAIN) from error
    if not isinstance(content, dict):
        raise NotAllowedError("holds no program")
    return content


def _tensors(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], what: str
) -> dict[str, Any]:
    """Build the weights or the constants by name; those that share a member share their memory."""
    import torch

    saved = members.get(f"data/{what}/model.pt")
    if saved is not None:
        return _saved_tensors(archive, saved)
    storages: dict[str, bytearray] = {}
    tensors: dict[str, Any] = {}
    for name, payload in checked_payloads(_json(archive, members[_CONFIGS[what]])).items():
        place = payload.path_name
        if not _PAYLOAD[what].fullmatch(place):
            raise NotAllowedError(f"holds a pickled object ({shown(place)})")
        if place not in storages:
            storages[place] = bytearray(archive.read(members[f"data/{what}/{place}"]))
        tensor = _tensor(storages[place], payload.tensor_meta)
        if payload.is_param:
            tensor = torch.nn.Parameter(tensor, requires_grad=payload.tensor_meta.requires_grad)
        tensors[name] = tensor
    return tensors


def _tensor(storage: bytearray, meta: Any) -> Any:
    """A view of a member's bytes, inside of them."""
    import torch
    from torch._export.serde.serialize import deserialize_scalar_type

    dtype = deserialize_scalar_type(meta.dtype)
    sizes = [_whole(size) for size in meta.sizes]
    strides = [_whole(stride) for stride in meta.strides]
    offset = _whole(meta.storage_offset)
    numbers = math.prod(sizes)
    if not numbers:
        return torch.empty(sizes, dtype=dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if (last + 1) * dtype.itemsize > len(storage):
        raise NotAllowedError("has a weight that reaches beyond its data", hint=_AGAIN)
    if numbers * dtype.itemsize > _LARGEST_TENSOR:
        raise NotAllowedError(
            f"has a weight of {numbers * dtype.itemsize / 2**30:.1f} GB, more than fits into ONNX",
            hint="Split the model into several graphs.",
        )
    whole = torch.frombuffer(storage, dtype=dtype, count=len(storage) // dtype.itemsize)
    return whole.as_strided(sizes, strides, offset)


def _whole(size: Any) -> int:
    if size.type != "as_int" or size.as_int < 0:
        raise NotAllowedError("has a weight of no fixed size")
    return int(size.as_int)


def _saved_tensors(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    """Read tensors by name from a member that torch.save wrote, as versions before 2.9 did."""
    import torch

    content = io.BytesIO(archive.read(member))
    if not content.getbuffer().nbytes:
        return {}
    with plain_archive(content):
        content.seek(0)
    content.seek(0)
    try:
        tensors = torch.load(content, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise NotAllowedError("holds a pickled object among its weights") from error
    if not isinstance(tensors, dict) or not all(
        type(tensor) in (torch.Tensor, torch.nn.Parameter)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_quantized or tensor.is_nested)
        for tensor in dict.values(tensors)
    ):
        raise NotAllowedError("holds an object that is no tensor")
    # A file may have put another `items` into an OrderedDict.
    return {checked_path(name): tensor for name, tensor in dict.items(tensors)}
