"""Reads a model.tar.gz as a stream, once and to its end: what is in it, and whether it is whole.

Memory stays the same whatever the artifact's size, but for the list of its members and the few scripts
whose text is kept. What a prebuilt container wants to find is judged in ``contracts``.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import IO, Literal, cast

from modelgate.artifacts.gzip_stream import PACK, GzipStream, Limits, Readable
from modelgate.errors import Problem, Refused

LIMITS = Limits()

Kind = Literal["file", "directory", "symlink", "hardlink"]

_BUFFER = 256 * 1024
_MOST_PROBLEMS = 20
_MOST_HOPS = 40  # of symlinks to symlinks; Linux's own limit
_LONGEST_NAME = 4096  # bytes; Linux's PATH_MAX
_EXTENDED = frozenset(
    (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )
)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the tar.

    Attributes:
        name: relative to the archive's root, without ``./`` before or ``/`` behind.
        size: in bytes; 0 for everything but files.
        kind: what it is.
    """

    name: str
    size: int
    kind: Kind

    @property
    def hidden(self) -> bool:
        """Whether it is a dot file, in a dot folder, or what a Mac puts into archives."""
        return any(part.startswith(".") or part == "__MACOSX" for part in self.name.split("/"))


@dataclass(frozen=True)
class Artifact:
    """What a whole and sound model.tar.gz holds.

    Attributes:
        members: in the archive's order, without the root itself.
        texts: the text of the files that were to be kept, by name.
        compressed_size: of the model.tar.gz, in bytes.
        uncompressed_size: of its files together, in bytes.
        sha256: of the model.tar.gz, in hexadecimal.
    """

    members: tuple[Member, ...]
    texts: Mapping[str, str]
    compressed_size: int
    uncompressed_size: int
    sha256: str

    def files(self, folder: str = "") -> tuple[str, ...]:
        """The visible files (and links) directly in a folder; by default in the root."""
        start = f"{folder}/" if folder else ""
        return tuple(
            member.name
            for member in self.members
            if member.kind != "directory"
            and not member.hidden
            and member.name.startswith(start)
            and "/" not in member.name.removeprefix(start)
        )

    @property
    def wrapper(self) -> str | None:
        """The one folder that holds everything, if there is one. Most containers look at the root."""
        visible = [member for member in self.members if not member.hidden]
        tops = {member.name.split("/", maxsplit=1)[0] for member in visible}
        at_root = any("/" not in member.name and member.kind != "directory" for member in visible)
        return tops.pop() if len(tops) == 1 and not at_root else None


def is_script(name: str) -> bool:
    """Whether a member is a Python file where a container looks for scripts: ``code/inference.py``."""
    return name.endswith(".py") and name.count("/") <= 1


def inspect(
    stream: Readable,
    *,
    keep: Callable[[str], bool] = is_script,
    where: str = "model.tar.gz",
    limits: Limits = LIMITS,
) -> Artifact:
    """Read an artifact to its end and say what it holds.

    Args:
        stream: is only read forwards; the body of an S3 object will do. What it raises itself when the
            connection breaks is passed on: it says nothing about the artifact.
        keep: the names of the files whose text is wanted.
        where: how problems name the artifact.
        limits: what is refused as absurd.

    Raises:
        Refused: it is not a gzip, not a tar, damaged, empty, a decompression bomb, or holds what should
            never be unpacked. Names every member that is wrong, up to twenty problems.
    """
    source = GzipStream(stream, limits, where)
    reading = _Reading(keep, where, limits)
    try:
        # Of a file's methods tarfile calls none but read when it streams.
        forwards = cast("IO[bytes]", source)
        with tarfile.open(fileobj=forwards, mode="r|", bufsize=_BUFFER, tarinfo=_strict(limits)) as tar:
            for entry in tar:
                reading.add(tar, entry)
            reading.finish(tar, source)
    except (tarfile.TarError, ValueError, OverflowError) as error:
        # tarfile raises the latter two for numbers that are none, in extended headers. Damage to the
        # gzip is the likelier cause, and shows at the end: then that is what is refused.
        source.drain()
        reading.problem("", f"is not a sound tar ({error})", f"pack it again: {PACK}")
    if reading.problems:
        raise Refused(*reading.problems)
    return Artifact(
        members=tuple(reading.members.values()),
        texts=MappingProxyType(reading.texts),
        compressed_size=source.packed_bytes,
        uncompressed_size=sum(member.size for member in reading.members.values()),
        sha256=source.sha256,
    )


def _strict(limits: Limits) -> type[tarfile.TarInfo]:
    """Headers that raise where tarfile takes damage for the end of the archive."""

    class StrictHeader(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> StrictHeader:
            header = super().frombuf(buf, encoding, errors)
            if header.type in _EXTENDED and header.size > limits.header_bytes:
                raise tarfile.ReadError(f"an extended header of {header.size:,} bytes")
            if header.type == tarfile.GNUTYPE_SPARSE:
                raise tarfile.ReadError(f"{header.name!a} is stored as a sparse file")
            return header

        @classmethod
        def fromtarfile(cls, tarfile_: tarfile.TarFile) -> StrictHeader:
            try:
                header = super().fromtarfile(tarfile_)
            except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
                raise
            except tarfile.HeaderError as error:
                raise tarfile.ReadError(str(error)) from error
            # tarfile skips what is said to be there block by block, even behind the end of the stream:
            # the eight exabytes that a header can claim would keep it busy for months.
            if not 0 <= header.size <= limits.unpacked_bytes:
                raise tarfile.ReadError(f"{header.name!a} claims to have {header.size:,} bytes")
            return header

    return StrictHeader


@dataclass
class _Reading:
    """What has been seen of the archive so far."""

    keep: Callable[[str], bool]
    where: str
    limits: Limits
    problems: list[Problem] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    kept_bytes: int = 0

    def problem(self, name: str, found: str, mend: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            where = f"{self.where}: {printable(name)}" if name else self.where
            self.problems.append(Problem(where, found, mend))

    def add(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        self.entries += 1
        if self.entries > self.limits.members:
            found = f"has more than {self.limits.members:,} members"
            raise Refused(*self.problems, Problem(self.where, found, "pack only what serves the model"))
        name = self._name(entry)
        kind = self._kind(entry)
        if not name or kind is None or not self._is_new(name, kind):
            return
        self.members[name] = Member(name, entry.size if kind == "file" else 0, kind)
        if kind == "symlink":
            self.links[name] = entry.linkname
        elif kind == "hardlink":
            self._check_hard_link(name, entry.linkname)
        elif kind == "file" and self.keep(name):
            self._keep(tar, entry, name)

    def finish(self, tar: tarfile.TarFile, source: GzipStream) -> None:
        """Read what is behind the last member, and judge what needs all of them."""
        if self._something_follows(tar) | source.drain():
            self.problem("", "has something else after the end of the tar", f"pack one archive: {PACK}")
        if tar.offset >= source.unpacked_bytes:
            self.problem("", "lacks the end of the tar: it was cut before it was compressed", _AGAIN)
        if not any(member.kind != "directory" for member in self.members.values()):
            self.problem("", "holds no files", f"pack the folder that holds the model: {PACK}")
        for name, target in self.links.items():
            self._check_symlink(name, target)
        for name in self.members:
            self._check_folders(name)

    def _something_follows(self, tar: tarfile.TarFile) -> bool:
        """Whether what tarfile has read ahead holds anything but zeros."""
        ahead, found = tar.fileobj, False
        while ahead is not None and (block := ahead.read(_BUFFER)):
            found = found or bool(block.strip(b"\0"))
        return found

    def _name(self, entry: tarfile.TarInfo) -> str | None:
        """The member's name relative to the root; empty for the root itself, None for a wrong one."""
        parts = [part for part in entry.name.split("/") if part not in ("", ".")]
        if entry.name.startswith("/"):
            self.problem(entry.name, "has an absolute name", f"pack relative names: {PACK}")
        elif ".." in parts:
            self.problem(entry.name, "would be unpacked outside of the model's folder", f"use {PACK}")
        elif "\\" in entry.name:
            self.problem(entry.name, "has a backslash in its name", "separate folders by / when packing")
        elif not entry.name.isprintable() or len(entry.name.encode(errors="replace")) > _LONGEST_NAME:
            self.problem(
                entry.name[:100],
                "has a name that is not printable UTF-8 of at most 4096 bytes",
                "rename the file",
            )
        else:
            return "/".join(parts)
        return None

    def _kind(self, entry: tarfile.TarInfo) -> Kind | None:
        kinds: tuple[tuple[bool, Kind], ...] = (
            (entry.isdir(), "directory"),
            (entry.issym(), "symlink"),
            (entry.islnk(), "hardlink"),
        )
        kind = next((kind for found, kind in kinds if found), None)
        if kind is not None:
            return kind
        if entry.issparse():
            self.problem(entry.name, "is stored as a sparse file", "pack without --sparse")
        elif entry.isreg():
            return "file"
        else:
            what = {tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe"}
            found = f"is {what.get(entry.type, 'neither file, folder nor link')}"
            self.problem(entry.name, found, "leave it out: a model is made of files")
        return None

    def _is_new(self, name: str, kind: Kind) -> bool:
        before = self.members.get(name)
        if before is not None and not (kind == before.kind == "directory"):
            self.problem(name, "is in the archive twice", "keep one of them, and pack again")
        return before is None

    def _keep(self, tar: tarfile.TarFile, entry: tarfile.TarInfo, name: str) -> None:
        self.kept_bytes += entry.size
        most, most_of_all = self.limits.kept_bytes, self.limits.kept_total_bytes
        if entry.size > most:
            self.problem(name, f"has {entry.size:,} bytes", f"a script has {most:,} bytes at most")
        elif self.kept_bytes > most_of_all:
            self.problem(name, f"brings the scripts over {most_of_all:,} bytes", "move data out of them")
        elif (content := tar.extractfile(entry)) is not None:
            try:
                self.texts[name] = content.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                self.problem(name, f"is not UTF-8 (at byte {error.start})", "save it as UTF-8")

    def _check_hard_link(self, name: str, target: str) -> None:
        parts = [part for part in target.split("/") if part not in ("", ".")]
        before = self.members.get("/".join(parts))
        if target.startswith("/") or ".." in parts:
            self.problem(name, f"is a hard link out of the archive, to {target!a}", _NO_LINKS)
        elif before is None or before.kind == "directory" or before.name == name:
            found = f"is a hard link to {target!a}, which is no file before it in the archive"
            self.problem(name, found, _NO_LINKS)

    def _check_symlink(self, name: str, target: str) -> None:
        if self._leads_outside(name, target):
            self.problem(name, f"is a link out of the archive, to {target!a}", _NO_LINKS)

    def _leads_outside(self, name: str, target: str) -> bool:
        """Follows a link as the kernel would: through other links, before ``..`` is applied."""
        reached = name.split("/")[:-1]
        ahead = target.split("/")
        hops = 0
        if target.startswith("/"):
            return True
        while ahead:
            part = ahead.pop(0)
            if part == ".." and not reached:
                return True
            if part == "..":
                reached.pop()
            elif part not in ("", "."):
                reached.append(part)
            link = self.links.get("/".join(reached))
            if link is not None:
                hops += 1
                if hops > _MOST_HOPS or link.startswith("/"):
                    return True
                reached.pop()
                ahead[:0] = link.split("/")
        return False

    def _check_folders(self, name: str) -> None:
        """What a member lies in must be a folder; through a link it would be written elsewhere."""
        parts = name.split("/")
        for folder in ("/".join(parts[:count]) for count in range(1, len(parts))):
            above = self.members.get(folder)
            if above is not None and above.kind != "directory":
                found = f"lies in {printable(folder)}, which is a {above.kind}"
                self.problem(name, found, "pack a folder under that name")


def printable(name: str) -> str:
    """A member's name for a message, whatever bytes it has."""
    return name if name.isprintable() else ascii(name)


_AGAIN = "pack and upload it again"
_NO_LINKS = "pack the file itself: tar -h follows links, --hard-dereference hard ones"
