"""The JSON of a .pt2, checked member by member against the schema of the installed torch.

Every record of the file is a dataclass of torch._export.serde.schema. What has no field there, has
another type, or stands where torch would import, evaluate or write it into generated source, is
refused; the rules of single fields are in the table `_RULES`. The result is built anew, so it
holds nothing that was not looked at.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import keyword
import re
import types
import typing
import unicodedata
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json
from edgekit.core.texts import shown
from edgekit.export.program_operators import checked_operator, import_library
from edgekit.export.program_refusal import NotAllowedError, needs_library
from edgekit.export.program_sizes import SYMBOL, checked_size

__all__ = ["checked_path", "checked_payloads", "checked_program"]

# Whole names become variables and attributes of the Python source that torch.fx generates.
_LONGEST_NAME = 500
# A name of a weight is any text in that source between quotes: "layer-1" is one of a ModuleDict.
_PATH = re.compile(r"""[^."'\\]{1,200}(?:\.[^."'\\]{1,200}){0,50}""")
_DUNDER = re.compile(r"(?:^|\.)__[^.]*__(?:$|\.)")
_LONGEST_TEXT = 1_000_000
_INT64 = range(-(2**63), 2**63)
_SPECIAL_FLOATS = ("Infinity", "-Infinity", "NaN")
# Containers of a program's arguments and results; a class of a library's is another type.
_SEQUENCES = {
    "builtins.tuple",
    "builtins.list",
    "torch.fx.immutable_collections.immutable_list",
}
_MAPPINGS = {
    "builtins.dict",
    "collections.OrderedDict",
    "torch.fx.immutable_collections.immutable_dict",
}
# Positional arguments, and those by keyword.
_CALL = ("builtins.tuple", ["builtins.tuple", "builtins.dict"])
# Imports by name what makes a missing value; a tuple with names is a class of somebody's.
_NAMING_CONTAINERS = {"collections.defaultdict", "collections.namedtuple"}


def checked_program(content: object, *, trust_code: bool = False) -> Any:
    """Build the schema's ExportedProgram from the JSON of a file.

    Left out are the guards, which are Python that a program's module executes; what only serves
    debugging (stack traces, where a node came from) or unflattening; and the device that a
    program was made on, as everything is opened on the CPU.

    Args:
        content: Of models/model.json.
        trust_code: Import a library that a class of the result or an operator is of.

    Raises:
        NotAllowedError: See the message.
    """
    from torch._export.serde import schema

    program = _Reader(trust_code=trust_code).read(schema.ExportedProgram, content)
    entries = program.graph_module.module_call_graph
    if not entries or entries[0].fqn != "" or entries[0].signature is None:
        raise NotAllowedError("does not say how it is called")
    return program


def checked_payloads(content: object) -> dict[str, Any]:
    """Build the records that say which weight or constant stands in which member.

    Returns:
        Name to PayloadMeta, each with a tensor_meta and no pickle.
    """
    from torch._export.serde import schema

    payloads: dict[str, Any] = _Reader().read(schema.PayloadConfig, content).config
    for name, payload in payloads.items():
        checked_path(name)
        if payload.use_pickle or payload.tensor_meta is None:
            raise NotAllowedError(f"holds a pickled object ({shown(payload.path_name)})")
    return payloads


class _Reader:
    """Reads plain JSON values as the classes of the schema."""

    def __init__(self, *, trust_code: bool = False) -> None:
        self._trust_code = trust_code
        self._rules: dict[tuple[str, str], Callable[[Any], Any]] = {
            **_RULES,
            ("Node", "target"): partial(checked_operator, trust_code=trust_code),
            ("Argument", "as_operator"): partial(checked_operator, trust_code=trust_code),
            ("ModuleCallSignature", "in_spec"): partial(self._tree, names=True),
            ("ModuleCallSignature", "out_spec"): partial(self._tree, names=False),
        }

    def read(self, kind: Any, value: object) -> Any:
        """Read a value of a type of the schema's, a class or a generic."""
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return None if value is None else self.read(arguments[0], value)
        if origin is list:
            return [self.read(arguments[0], one) for one in _typed(list, value)]
        if origin is dict:
            return {
                _plain_text(key): self.read(arguments[1], one)
                for key, one in _typed(dict, value).items()
            }
        if dataclasses.is_dataclass(kind):
            return self._record(kind, _typed(dict, value))
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return kind(_typed(int, value))
        return _PLAIN[kind](value)

    def _record(self, kind: Any, value: dict[str, object]) -> Any:
        fields, union = _fields(kind)
        unknown = [key for key in value if key not in fields]
        if unknown:
            raise NotAllowedError(
                f"has the field {shown(unknown[0])}, which the installed PyTorch does not know",
                hint="Save it again with the PyTorch that is installed here, or install its own.",
            )
        if union and len(value) != 1:
            raise _unreadable(f"{kind.__name__} of {len(value)} kinds")
        read = {}
        for key, one in value.items():
            place = (kind.__name__, key)
            own = self.read(fields[key], _LEFT_OUT.get(place, _as_it_is)(one))
            read[key] = own if own is None else self._rules.get(place, _as_it_is)(own)
        return kind.create(**read) if union else kind(**read)

    def _tree(self, text: str, *, names: bool) -> str:
        """Write the structure of the arguments or of the result anew.

        Args:
            text: JSON of a version and the tree.
            names: Whether keys become names of arguments.
        """
        version, tree = _parsed(text)
        if version != 1:
            raise _unreadable("a tree of another version")
        branch = self._branch(tree, names=names)
        parts = [part["type"] for part in branch["children_spec"]]
        if names and (branch["type"], parts) != _CALL:
            raise _unreadable("arguments of another form")
        return json.dumps([1, branch])

    def _branch(self, tree: object, *, names: bool) -> dict[str, Any]:
        branch = _typed(dict, tree)
        if branch.keys() != {"type", "context", "children_spec"}:
            raise _unreadable("a tree")
        kind, context = branch["type"], branch["context"]
        children = [self._branch(one, names=names) for one in _typed(list, branch["children_spec"])]
        if kind is None:
            if context is not None or children:
                raise _unreadable("a tree")
        elif _typed(str, kind) in _SEQUENCES:
            context = "null"
        elif kind in _MAPPINGS:
            keys = [_key(key, names=names) for key in _typed(list, _parsed(_typed(str, context)))]
            if len(set(keys)) != len(children) or len(keys) != len(children):
                raise _unreadable("a tree")
            context = json.dumps(keys)
        else:
            context = self._context_of_library(kind, context)
        return {"type": kind, "context": context, "children_spec": children}

    def _context_of_library(self, kind: str, context: object) -> object:
        """Import the library of a class, where that is trusted; what it keeps is names."""
        if kind in _NAMING_CONTAINERS or not kind.partition(".")[2]:
            raise NotAllowedError(
                f"takes or returns a {shown(kind.rpartition('.')[2])}",
                hint="Return a tensor, a tuple, a list or a dict of tensors.",
            )
        if not self._trust_code:
            raise needs_library(kind, f"a {shown(kind)} among its arguments or results")
        import_library(kind.rpartition(".")[0])
        from torch.utils import _pytree as pytree

        if kind not in pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE:
            library = kind.partition(".")[0]
            raise NotAllowedError(
                f"has a {shown(kind)}, which the {library} installed here does not know",
                hint=f"Install the version of {library} that it was exported with.",
            )
        kept = _parsed(context) if isinstance(context, str) else context
        if kept is not None:
            kept = [_key(key, names=False) for key in _typed(list, kept)]
        return json.dumps(kept) if isinstance(context, str) else kept


def _parsed(text: str) -> Any:
    try:
        return parse_json(text, "It")
    except BadInput as error:
        raise _unreadable(text) from error


def _name(value: str) -> str:
    if not _is_identifier(value) or keyword.iskeyword(value):
        raise _unreadable(value)
    return value


def _is_identifier(value: str) -> bool:
    return len(value) <= _LONGEST_NAME and value.isidentifier() and _is_as_read(value)


def _is_as_read(value: str) -> bool:
    """Whether Python takes a name in its source for the same name: it reads the NFKC form."""
    return unicodedata.normalize("NFKC", value) == value


def _argument_name(value: str) -> str:
    # "from" is the name of an argument, which torch then gives by its place.
    if value and not _is_identifier(value):
        raise _unreadable(value)
    return value


def checked_path(value: object) -> str:
    """Return the dotted name of a weight, which becomes an attribute of a module.

    Raises:
        NotAllowedError: It is no such name.
    """
    # "__class__.forward" would be set on a class of torch's.
    if (
        not isinstance(value, str)
        or not (value.isprintable() and _PATH.fullmatch(value))
        or _DUNDER.search(value)
        or not _is_as_read(value)
    ):
        raise _unreadable(value)
    return value


def _key(value: object, *, names: bool) -> str | int:
    if isinstance(value, int) and not names:
        return _int64(value)
    text = _plain_text(value)
    return _name(text) if names else text


def _names_to(values: dict[str, Any]) -> dict[str, Any]:
    return {_name(key): value for key, value in values.items()}


def _symbols_to(values: dict[str, Any]) -> dict[str, Any]:
    """Ranges of symbols; those of expressions follow from them."""
    return {key: value for key, value in values.items() if SYMBOL.fullmatch(key)}


def _verifiers(values: list[str]) -> list[str]:
    if not values or not set(values) <= {"ATEN", "TRAINING"}:
        raise _unreadable(f"the dialect {values}")
    return values


def _none_at_all(values: object) -> Any:
    if values:
        raise NotAllowedError("holds an object that is no tensor")
    return values


def _not_here(_: object) -> Any:
    raise NotAllowedError("holds an object that is no tensor")


def _strided(value: enum.Enum) -> enum.Enum:
    if value.name != "Strided":
        raise _unreadable(f"a tensor of the layout {value.name}")
    return value


def _as_it_is(value: Any) -> Any:
    return value


# What takes the place of a field before it is read.
_LEFT_OUT: dict[tuple[str, str], Callable[[Any], Any]] = {
    # Python that a program's module executes.
    ("ExportedProgram", "guards_code"): lambda _: [],
    # Debugging: some of it is resolved by name.
    ("Node", "metadata"): lambda metadata: {
        key: value for key, value in metadata.items() if key == "nn_module_stack"
    },
    ("GraphModule", "metadata"): lambda _: {},
    # Unflattening into modules.
    ("GraphModule", "treespec_namedtuple_fields"): lambda _: {},
    ("GraphModule", "module_call_graph"): lambda entries: entries[:1],
    # Everything is opened on the CPU.
    ("Device", "type"): lambda _: "cpu",
    ("Device", "index"): lambda _: None,
}
# What one field may hold beyond its type; for the functions, see there.
_RULES: dict[tuple[str, str], Callable[[Any], Any]] = {
    # Evaluated by sympy.
    ("SymExpr", "expr_str"): checked_size,
    # Written into Python source: names of variables, arguments and attributes.
    ("TensorArgument", "name"): _name,
    ("TokenArgument", "name"): _not_here,
    ("SymIntArgument", "as_name"): _name,
    ("SymFloatArgument", "as_name"): _name,
    ("SymBoolArgument", "as_name"): _name,
    ("GraphArgument", "name"): _name,
    ("NamedArgument", "name"): _argument_name,
    ("Node", "name"): _name,
    ("InputToConstantInputSpec", "name"): _argument_name,
    ("ModuleCallSignature", "forward_arg_names"): lambda names: [_name(name) for name in names],
    ("InputToParameterSpec", "parameter_name"): checked_path,
    ("InputToBufferSpec", "buffer_name"): checked_path,
    ("InputToTensorConstantSpec", "tensor_constant_name"): checked_path,
    ("BufferMutationSpec", "buffer_name"): checked_path,
    ("ParameterMutationSpec", "parameter_name"): checked_path,
    ("GradientToParameterSpec", "parameter_name"): checked_path,
    ("GradientToUserInputSpec", "user_input_name"): _name,
    ("UserInputMutationSpec", "user_input_name"): _name,
    ("Graph", "tensor_values"): _names_to,
    ("Graph", "sym_int_values"): _names_to,
    ("Graph", "sym_bool_values"): _names_to,
    ("Graph", "sym_float_values"): _names_to,
    ("Argument", "as_string_to_argument"): _names_to,
    # Pickles, or objects of classes that a library registered.
    ("Graph", "custom_obj_values"): _none_at_all,
    ("CustomObjArgument", "name"): _not_here,
    ("CustomObjArgument", "class_fqn"): _not_here,
    # Looked up by name, or read as numbers.
    ("ExportedProgram", "verifiers"): _verifiers,
    ("ExportedProgram", "range_constraints"): _symbols_to,
    # As plain tensors.
    ("TensorMeta", "layout"): _strided,
}


@cache
def _fields(kind: Any) -> tuple[dict[str, Any], bool]:
    """Types of a class of the schema by field, and whether one of them is set only."""
    from torch._export.serde import schema
    from torch._export.serde.union import _Union

    return typing.get_type_hints(kind, globalns=dict(vars(schema))), issubclass(kind, _Union)


def _typed(kind: type, value: object) -> Any:
    if type(value) is not kind:
        raise _unreadable(f"{type(value).__name__} for {kind.__name__}")
    return value


def _plain_text(value: object) -> str:
    text: str = _typed(str, value)
    # Module paths and equations; nothing that ends a line of source.
    if len(text) > _LONGEST_TEXT or not text.isprintable():
        raise _unreadable(text)
    return text


def _int64(value: object) -> int:
    number: int = _typed(int, value)
    if number not in _INT64:
        raise _unreadable(number)
    return number


def _float(value: object) -> float:
    if value in _SPECIAL_FLOATS and isinstance(value, str):
        return float(value)
    if type(value) not in (int, float):
        raise _unreadable(f"{type(value).__name__} for a number")
    return float(value)  # type: ignore[arg-type]


_PLAIN: dict[Any, Callable[[object], Any]] = {
    str: _plain_text,
    int: _int64,
    float: _float,
    bool: partial(_typed, bool),
}


def _unreadable(what: object) -> NotAllowedError:
    return NotAllowedError(f"holds what no torch.export program has ({shown(what)})")
