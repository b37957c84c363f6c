"""How an object becomes records, and records become requests.

"SplitType" of TransformInput and "BatchStrategy" of CreateTransformJob in the Amazon SageMaker API Reference.
Records of RecordIO and TFRecord keep what frames them: only so can several go into one request. Of lines it
is not documented whether a request ends with a line break; here it does not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

# Apache MXNet, "RecordIO": a magic number, then a flag in three bits and the length in the others; all of it
# in words of four bytes.
_MAGIC = 0xCED7230A
_LENGTH = (1 << 29) - 1
_WORD = 4
# TensorFlow, "TFRecord": the length in eight bytes, four that guard it, the content, four that guard that.
_TF_HEAD, _TF_TAIL = 12, 4


class RecordError(Exception):
    """An object cannot be taken apart as the job says; the message is for its log."""


def split(content: bytes, how: str) -> list[bytes]:
    """The records of an object.

    Args:
        how: a SplitType: None, Line, RecordIO or TFRecord.

    Raises:
        RecordError: it is not of that kind.
    """
    return list(_SPLITS[how](content))


def requests(records: Sequence[bytes], *, how: str, several: bool, most: int) -> list[list[bytes]]:
    """The records of each request, in their order.

    Args:
        several: whether a request has as many as there is room for; else it has one.
        most: how many bytes a request may have; 0 for any number.

    Raises:
        RecordError: one record alone is larger.
    """
    between = len(glue(how))
    batches: list[list[bytes]] = []
    room = 0
    for record in records:
        if most and len(record) > most:
            raise RecordError("Too much data for max payload size")
        if several and batches and (not most or len(record) + between <= room):
            batches[-1].append(record)
            room -= len(record) + between
        else:
            batches.append([record])
            room = most - len(record)
    return batches


def glue(how: str) -> bytes:
    """What stands between the records of a request."""
    return b"\n" if how == "Line" else b""


def _whole(content: bytes) -> Iterator[bytes]:
    yield content


def _lines(content: bytes) -> Iterator[bytes]:
    for line in content.split(b"\n"):
        record = line.removesuffix(b"\r")
        if record:
            yield record


def _recordio(content: bytes) -> Iterator[bytes]:
    at, part = 0, b""
    while at < len(content):
        magic, word = _unpacked("<II", content, at)
        length, flag = word & _LENGTH, word >> 29
        end = at + 2 * _WORD + -(-length // _WORD) * _WORD
        if magic != _MAGIC or end > len(content):
            raise RecordError("The input is not in RecordIO format")
        part += content[at:end]
        if flag in {0, 3}:  # a whole record, or the last part of one
            yield part
            part = b""
        at = end
    if part:
        raise RecordError("The input is not in RecordIO format")


def _tfrecord(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        (length,) = _unpacked("<Q", content, at)
        end = at + _TF_HEAD + length + _TF_TAIL
        if end > len(content):
            raise RecordError("The input is not in TFRecord format")
        yield content[at:end]
        at = end


def _unpacked(shape: str, content: bytes, at: int) -> tuple[int, ...]:
    if at + struct.calcsize(shape) > len(content):
        raise RecordError("The input ends within a record")
    return struct.unpack_from(shape, content, at)


_SPLITS: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {
    "None": _whole,
    "Line": _lines,
    "RecordIO": _recordio,
    "TFRecord": _tfrecord,
}
