"""Makes model.tar.gz of every kind, good and bad, and reads them both ways."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from modelgate.artifacts.gzip_stream import Limits
from modelgate.artifacts.inspection import LIMITS, Artifact, inspect, is_script
from modelgate.artifacts.long_inspection import Paused, inspect_part
from modelgate.errors import Refused

# Incompressible, and the same in every run.
NOISE = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(120))


class OnlyForwards:
    """What an S3 body offers, and in pieces as small as it likes."""

    def __init__(self, content: bytes, piece: int = 10_000) -> None:
        self._content = io.BytesIO(content)
        self._piece = piece

    def read(self, size: int, /) -> bytes:
        return self._content.read(min(size, self._piece))


@dataclass(frozen=True)
class Entry:
    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""


def tar_of(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.linkname, info.size = entry.kind, entry.target, len(entry.content)
            tar.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def gzipped(content: bytes, level: int = 6) -> bytes:
    """In blocks of some hundred bytes, so that there are many places to pause at."""
    packing = zlib.compressobj(level, zlib.DEFLATED, 31, memLevel=1)
    return packing.compress(content) + packing.flush()


def packed(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    return gzipped(tar_of(*entries, form=form))


def folder(name: str) -> Entry:
    return Entry(name, kind=tarfile.DIRTYPE)


def symlink(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.SYMTYPE, target=target)


def hardlink(name: str, target: str) -> Entry:
    return Entry(name, kind=tarfile.LNKTYPE, target=target)


def with_header(tar: bytes, start: int = 0, **fields: bytes) -> bytes:
    """The tar with fields of one header replaced, and its checksum made right again."""
    places = {"name": 0, "mode": 100, "size": 124, "type": 156, "linkname": 157, "magic": 257}
    changed = bytearray(tar)
    for name, value in fields.items():
        changed[start + places[name] : start + places[name] + len(value)] = value
    changed[start + 148 : start + 156] = b" " * 8
    changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + 512])
    return bytes(changed)


def record(key: str, value: str) -> bytes:
    """One record of a pax header; its length counts its own digits."""
    rest = len(f" {key}={value}\n".encode())
    length = next(total for total in range(rest, rest + 9) if total == rest + len(str(total)))
    return f"{length} {key}={value}\n".encode()


def with_pax(*records: bytes, kind: bytes = tarfile.XHDTYPE, entry: Entry | None = None) -> bytes:
    return packed(Entry("pax", b"".join(records), kind=kind), entry or MODEL)


MODEL = Entry("model.joblib", NOISE)
SCRIPT = Entry("code/inference.py", b"def model_fn(model_dir):\n    return 1\n")
SOUND = packed(SCRIPT, MODEL)

Keep = Callable[[str], bool]
Way = Callable[[bytes, Limits, Keep], Artifact]


def in_one_go(content: bytes, limits: Limits = LIMITS, keep: Keep = is_script) -> Artifact:
    return inspect(OnlyForwards(content), limits=limits, keep=keep)


def in_parts(content: bytes, limits: Limits = LIMITS, keep: Keep = is_script) -> Artifact:
    """With a pause wherever one is possible."""
    artifact, _ = parts_of(content, limits, keep)
    return artifact


def parts_of(
    content: bytes, limits: Limits = LIMITS, keep: Keep = is_script, ask_every: int = 1, chunk: int = 1000
) -> tuple[Artifact, list[Paused]]:
    pauses: list[Paused] = []
    while True:
        read = inspect_part(
            lambda offset: OnlyForwards(content[offset:]),
            lambda: True,
            state=pauses[-1].state if pauses else b"",
            limits=limits,
            keep=keep,
            ask_every=ask_every,
            chunk=chunk,
        )
        if isinstance(read, Artifact):
            return read, pauses
        assert read.read_bytes > (pauses[-1].read_bytes if pauses else 0)
        pauses.append(read)


def but_for_the_digest(artifact: Artifact) -> Artifact:
    """What the two ways of reading must agree on."""
    return replace(artifact, sha256="", in_pieces=False)


def refusal(content: bytes, limits: Limits = LIMITS, way: Way = in_one_go) -> str:
    with pytest.raises(Refused) as refused:
        way(content, limits, is_script)
    return str(refused.value)


def plain(content: bytes) -> bytes:
    """What is in a gzip that Python itself can read."""
    return gzip.decompress(content)
