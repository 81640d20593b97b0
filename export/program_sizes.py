"""Sizes in a .pt2: text such as "Add(Symbol('s77', integer=True), Integer(1))".

torch hands the text to sympy, which evaluates it as Python. Here it is parsed by a grammar of
its own and written anew; what sympy gets holds calls of the functions below, symbols and numbers.
Numbers and powers are bounded, because sympy computes them at once: 2**10**9 does not fit into
memory.
"""

from __future__ import annotations

import ast
import math
import re

from edgekit.core.texts import shown
from edgekit.export.program_refusal import NotAllowedError

__all__ = ["SYMBOL", "checked_size"]

# As torch names the sizes that it does not know: "s77" an axis, "u0" a value of a tensor. A number
# is short, because torch counts up to that of "u".
SYMBOL = re.compile(r"(?:s|u|zf|zuf|ps)\d{1,6}", re.ASCII)
_LONGEST = 20_000
_DEEPEST = 60
# A number of more bits, or a sum of more terms once it is multiplied out, is no size.
_MOST_BITS = 4096
_MOST_TERMS = 500
_LARGEST_POWER = 64
# Of all of these in one expression: sympy compares each with each, and takes those in others out.
_MOST_COMPARED = 16
_COMPARING = ("Max", "Min", "And", "Or")
_FLAGS = {"integer", "positive", "nonnegative", "nonzero", "negative", "real", "finite"}
# Function to the number of its arguments, smallest and largest.
_FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("Add", "Mul"), (1, 500)),
    **dict.fromkeys(_COMPARING, (1, _MOST_COMPARED)),
    **dict.fromkeys(
        ("Equality", "Unequality", "GreaterThan", "LessThan", "StrictGreaterThan"), (2, 2)
    ),
    **dict.fromkeys(("StrictLessThan", "FloorDiv", "CleanDiv", "CeilDiv", "Mod"), (2, 2)),
    **dict.fromkeys(("PythonMod", "IntTrueDiv", "FloatTrueDiv", "RoundDecimal"), (2, 2)),
    **dict.fromkeys(("Pow", "PowByNatural", "FloatPow", "LShift", "RShift"), (2, 2)),
    **dict.fromkeys(("Where", "ModularIndexing"), (3, 3)),
    **dict.fromkeys(("Not", "ToFloat", "Identity", "Abs", "ceiling", "floor"), (1, 1)),
    **dict.fromkeys(("TruncToInt", "TruncToFloat", "FloorToInt"), (1, 1)),
    **dict.fromkeys(("CeilToInt", "RoundToInt"), (1, 1)),
}
# Their second argument is, or becomes, an exponent.
_POWERS = {"Pow", "PowByNatural", "FloatPow", "LShift", "RShift", "RoundDecimal"}
_CONSTANTS = {"true", "false"}
_LOGIC = {"And", "Or", "Not"}
# What is true or false, and no number.
_CONDITIONS = {
    *_CONSTANTS,
    *_LOGIC,
    "Equality",
    "Unequality",
    "GreaterThan",
    "LessThan",
    "StrictGreaterThan",
    "StrictLessThan",
}


def checked_size(text: str) -> str:
    """Return an expression of sizes, written anew.

    Raises:
        NotAllowedError: It is outside of the grammar.
    """
    if len(text) > _LONGEST:
        raise _refused(text)
    try:
        tree = ast.parse(text, mode="eval").body
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        compared = [node for node in calls if getattr(node.func, "id", "") in _COMPARING]
        if sum(len(node.args) for node in compared) > _MOST_COMPARED:
            raise _refused(text)
        return _written(tree, text, _DEEPEST)[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refused(text) from None


def _written(node: ast.expr, whole: str, depth: int) -> tuple[str, int, int]:
    """Text of a node, bits of the largest number in it, terms of it multiplied out."""
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return node.id, 1, 1
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not depth:
        raise _refused(whole)
    name = node.func.id
    if name == "Symbol":
        return _symbol(node, whole), 1, 1
    if name in ("Integer", "Rational"):
        numbers = [_integer(part, whole) for part in node.args]
        if node.keywords or len(numbers) != (1 if name == "Integer" else 2) or numbers[1:] == [0]:
            raise _refused(whole)
        bits = max(number.bit_length() for number in numbers)
        return f"{name}({', '.join(map(str, numbers))})", bits, 1
    if name == "Float":
        return _float(node, whole), 64, 1
    low, high = _FUNCTIONS.get(name, (1, 0))
    if node.keywords or not low <= len(node.args) <= high:
        raise _refused(whole)
    for place, part in enumerate(node.args):
        if _is_condition(part) != (name in _LOGIC or (name == "Where" and place == 0)):
            raise _refused(whole)
    parts = [_written(argument, whole, depth - 1) for argument in node.args]
    text = f"{name}({', '.join(part[0] for part in parts)})"
    bits, terms = max(part[1] for part in parts) + len(parts), 1
    if name == "Add":
        terms = sum(part[2] for part in parts)
    elif name == "Mul":
        bits = sum(part[1] for part in parts)
        terms = math.prod(part[2] for part in parts)
    elif name in _POWERS:
        power = _power(node.args[1], whole)
        bits, terms = (parts[0][1] + 1) * power, parts[0][2] ** power
    if bits > _MOST_BITS or terms > _MOST_TERMS:
        raise _refused(whole)
    return text, bits, terms


def _is_condition(node: ast.expr) -> bool:
    name = node.func if isinstance(node, ast.Call) else node
    return isinstance(name, ast.Name) and name.id in _CONDITIONS


def _symbol(node: ast.Call, whole: str) -> str:
    flags = {flag.arg: flag.value for flag in node.keywords}
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant):
        raise _refused(whole)
    name = node.args[0].value
    if not isinstance(name, str) or not SYMBOL.fullmatch(name) or not flags.keys() <= _FLAGS:
        raise _refused(whole)
    written = [f"'{name}'"]
    for flag, value in flags.items():
        if not isinstance(value, ast.Constant) or not isinstance(value.value, bool):
            raise _refused(whole)
        written.append(f"{flag}={value.value}")
    return f"Symbol({', '.join(written)})"


def _integer(node: ast.expr, whole: str) -> int:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    if not isinstance(node, ast.Constant) or type(node.value) is not int:
        raise _refused(whole)
    if node.value >= 2**63:
        raise _refused(whole)
    return sign * node.value


def _float(node: ast.Call, whole: str) -> str:
    """A number as sympy writes it, Float('0.5', precision=53); its precision is that of float64."""
    text = node.args[0] if len(node.args) == 1 else None
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        raise _refused(whole)
    if {flag.arg for flag in node.keywords} - {"precision"} or len(text.value) > 40:
        raise _refused(whole)
    return f"Float('{float(text.value)!r}', precision=53)"


def _power(node: ast.expr, whole: str) -> int:
    """A bound of the size of an exponent; 1 for a symbol alone, which sympy leaves as it is.

    What is composed could come out as any number, as a symbol times 0 plus 10**9 does.
    """
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise _refused(whole)
    if node.func.id in ("Symbol", "Float"):
        return 1
    if node.func.id not in ("Integer", "Rational"):
        raise _refused(whole)
    number, *under = (abs(_integer(part, whole)) for part in node.args)
    power = -(-number // max(1, *under, 1))
    if power > _LARGEST_POWER:
        raise _refused(whole)
    return max(1, power)


def _refused(text: str) -> NotAllowedError:
    return NotAllowedError(f"holds a size that is no plain expression: {shown(text)}")
