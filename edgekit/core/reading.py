"""The door of a file that may come from anyone: its bytes, its text, and what its parser raises."""

from __future__ import annotations

import codecs
import errno
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.opening import TEXT_BYTES, read_file
from edgekit.core.texts import shown

__all__ = ["as_text", "environment_error", "read_bytes", "read_text", "reading", "unnameable"]

# By module, so that none is imported for its name: what is raised by a library that is not
# imported cannot reach this place. Each is the base of its library's errors.
_PARSERS = (
    ("zipfile", "BadZipFile"),
    ("zipfile", "LargeZipFile"),
    ("zlib", "error"),
    ("lzma", "LZMAError"),
    ("yaml", "YAMLError"),
    ("msgspec", "MsgspecError"),
    ("google.protobuf.message", "Error"),
    ("onnx.checker", "ValidationError"),
    ("onnx.shape_inference", "InferenceError"),
    ("safetensors", "SafetensorError"),
    ("csv", "Error"),
)
# zipfile's: a method of compression that it does not know, and an archive that needs a password.
_ZIPFILE = (NotImplementedError, RuntimeError)
_DAMAGED = (ValueError, EOFError, OverflowError, struct.error)
_UNMAPPED = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
# Of the machine and not of the program: nothing in edgekit can be mended for them.
_ENVIRONMENT = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENAMETOOLONG,
        errno.ELOOP,
    }
)


@contextmanager
def reading(where: Path | str, what: str = "", hint: str = "") -> Iterator[None]:
    """Turn what a damaged, hostile or closed file makes its parser raise into one sentence.

    It belongs around the parser's call alone: a fault in edgekit's own code must stay one.

    Args:
        where: The file, for the message.
        what: The kind of file it should be, "a zip archive"; may be empty.
        hint: What to do.

    Raises:
        BadInput: Names the file and the cause.
    """
    try:
        yield
    except EdgekitError:
        raise
    except MemoryError as error:
        raise BadInput(f"There is not enough memory to read {where}.", hint=hint) from error
    except RecursionError as error:
        raise BadInput(f"{where} is nested too deeply to be read.", hint=hint) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(
            f"{where} cannot be read: {reason[:1].lower()}{reason[1:]}.", hint=hint
        ) from error
    except Exception as error:
        if not _of_the_file(error):
            raise
        kind = f" {what}" if what else ""
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise BadInput(
            f"{where} is no{kind or ' file of its kind'}, or it is damaged: {reason}.", hint=hint
        ) from error


def environment_error(error: BaseException) -> EdgekitError | None:
    """Return the sentence on what the machine did not grant; None for every other error.

    Args:
        error: What reached the top of a process.
    """
    # The loader of shared libraries has no kind of error of its own.
    unmapped = isinstance(error, ImportError) and any(text in str(error) for text in _UNMAPPED)
    if isinstance(error, MemoryError) or unmapped:
        return BadInput(
            "There is not enough memory for this.",
            hint="Free some, raise the process's limit, or use a smaller model or fewer samples.",
        )
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return unnameable(error.object)
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT:
        place = f"{error.filename}: " if error.filename is not None else ""
        reason = error.strerror or str(error)
        return BadInput(f"The system refused: {place}{reason[:1].lower()}{reason[1:]}.")
    return None


def unnameable(name: object) -> BadInput:
    """The error of a file whose name is no text, which no document can hold.

    Args:
        name: As Python has it: with half a pair of surrogates for each byte that is not UTF-8.
    """
    return BadInput(
        f"The name {shown(str(name))} is not UTF-8, and no document can hold it.",
        hint="Rename it, or give another name to it by a link: ln -s",
    )


def read_bytes(path: Path, *, limit: int = TEXT_BYTES, hint: str = "") -> bytes:
    """Return what a regular file holds.

    Args:
        path: As the user named it.
        limit: The most bytes that it may have.
        hint: What to do where it cannot be read.

    Raises:
        BadInput: It is missing, cannot be read, is no regular file, or too large.
    """
    with reading(path, hint=hint):
        return read_file(path, limit)


def read_text(path: Path, hint: str = "", limit: int = TEXT_BYTES) -> str:
    """Return a file's text, without a byte order mark.

    Raises:
        BadInput: As of `read_bytes` and `as_text`.
    """
    return as_text(read_bytes(path, limit=limit, hint=hint), path, hint)


def as_text(content: bytes, where: Path | str, hint: str = "") -> str:
    """Return the text that a file's content is, without a byte order mark.

    Args:
        content: UTF-8, or UTF-16 that its byte order mark tells, as Windows' shell writes it.
        where: The file, for the sentence.
        hint: What to do where it is not text.

    Raises:
        BadInput: It is neither, or holds a NUL, which no text does.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{where} is not UTF-8 text.", hint=hint) from error
    if "\0" in text:
        raise BadInput(f"{where} is not text: it holds a NUL character.", hint=hint)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _of_the_file(error: Exception) -> bool:
    if isinstance(error, _DAMAGED):
        return True
    known = (getattr(sys.modules.get(module), name, None) for module, name in _PARSERS)
    if isinstance(error, tuple(kind for kind in known if kind is not None)):
        return True
    return isinstance(error, _ZIPFILE) and _raised_in(error, "zipfile")


def _raised_in(error: Exception, module: str) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return bool(name == module or name.startswith(f"{module}."))
