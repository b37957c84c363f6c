"""What no container could use, whatever the framework: files that are not what their names say.

Each is proved by the file itself, so it may be told of the beginning of an artifact as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelgate.artifacts.contracts.judged import Judged
    from modelgate.artifacts.inspection import Member

# What frameworks call the files that hold a model. An empty one of them is no model.
_MODEL_SUFFIXES = (
    ".bin", ".bst", ".ckpt", ".engine", ".gguf", ".h5", ".hdf5", ".joblib", ".keras", ".model", ".msgpack",
    ".mar", ".neuron", ".npz", ".onnx", ".params", ".pb", ".pickle", ".pkl", ".plan", ".pt", ".pth",
    ".safetensors", ".skops", ".tflite", ".ubj",
)  # fmt: skip
_LFS = b"version https://git-lfs.github.com/spec/"
_MARKUP = (b"<!doctype html", b"<html", b"<?xml", b"<error>")
# The format's own: eight bytes with the header's length, little-endian, then the header, a JSON object.
_SAFETENSORS_PREFIX = 8

_Check = Callable[["Member"], bool]


def check(judged: Judged) -> None:
    """Notes every file that cannot be what it should be."""
    files = [member for member in judged.members.values() if member.kind == "file"]
    told: set[str] = set()
    for is_wrong, found, mend in _CHECKS:
        wrong = [member.name for member in files if member.name not in told and is_wrong(member)]
        told.update(wrong)
        judged.problem_of_each(wrong, found, mend)


def is_model_file(name: str) -> bool:
    """Whether a file's name says that it holds a model or a part of it."""
    return name.lower().endswith(_MODEL_SUFFIXES)


def _is_lfs_pointer(member: Member) -> bool:
    return member.head.startswith(_LFS)


def _is_page(member: Member) -> bool:
    start = member.head.lstrip().lower()
    return is_model_file(member.name) and start.startswith(_MARKUP)


def _is_empty(member: Member) -> bool:
    return member.size == 0 and is_model_file(member.name)


def _is_cut_safetensors(member: Member) -> bool:
    if not member.name.endswith(".safetensors"):
        return False
    if member.size < _SAFETENSORS_PREFIX:
        return True
    length = int.from_bytes(member.head[:_SAFETENSORS_PREFIX], "little")
    return len(member.head) >= _SAFETENSORS_PREFIX and length > member.size - _SAFETENSORS_PREFIX


def _is_no_safetensors(member: Member) -> bool:
    header = member.head[_SAFETENSORS_PREFIX:]
    return member.name.endswith(".safetensors") and bool(header) and not header.startswith(b"{")


def _is_no_gguf(member: Member) -> bool:
    start = member.head[:4]
    return member.name.endswith(".gguf") and len(start) == 4 and start != b"GGUF"


_DOWNLOAD = "get the file itself, and put it in its place"
_CHECKS: tuple[tuple[_Check, str, str], ...] = (
    (
        _is_lfs_pointer,
        "is a Git LFS pointer, not the file that it points to",
        "fetch the files (git lfs pull), and put them in its place",
    ),
    (_is_empty, "is empty", "save the model again, and wait until it is written"),
    (_is_page, "is a web page or an error message that was saved under a model's name", _DOWNLOAD),
    (_is_no_safetensors, "is not safetensors, whatever its name says", "save it with safetensors"),
    (_is_cut_safetensors, "is shorter than the header that it begins with: it was cut", _DOWNLOAD),
    (_is_no_gguf, "is not GGUF, whatever its name says", _DOWNLOAD),
)
