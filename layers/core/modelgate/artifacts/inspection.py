"""Reads a model.tar.gz as a stream, once and to its end: what is in it, and whether it is whole.

Memory stays the same whatever the artifact's size, but for the list of its members and the few files whose
text is kept. What a prebuilt container wants to find is judged in ``contracts``. What is too large for one
invocation is read in parts, by ``long_inspection``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import Literal

from modelgate.artifacts.gzip_stream import PACK, Gunzip, Limits, Readable
from modelgate.artifacts.read_ahead import ReadAhead
from modelgate.artifacts.tar_walk import Entry, TarWalk, Unsound
from modelgate.errors import NotYet, Problem, Refused
from modelgate.values import dataclass

LIMITS = Limits()

Kind = Literal["file", "directory", "symlink", "hardlink"]

HEAD_BYTES = 64  # of each file, enough to tell formats apart

_MOST_PROBLEMS = 20
_MOST_HOPS = 40  # of symlinks to symlinks; Linux's own limit
_LONGEST_NAME = 4096  # bytes; Linux's PATH_MAX


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One entry of the tar.

    Attributes:
        name: relative to the archive's root, without ``./`` before or ``/`` behind.
        size: in bytes; 0 for everything but files.
        kind: what it is.
        head: the first bytes of a file's content, ``HEAD_BYTES`` at most, by which its format is known.
    """

    name: str
    size: int
    kind: Kind
    head: bytes = b""

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
        sha256: of the model.tar.gz, in hexadecimal; ``digest`` says of what exactly.
        kind: how it is stored; of a folder, ``sha256`` is the digest of its listing.
        in_pieces: whether ``sha256`` is that of the SHA-256s of its pieces, as ``long_inspection`` makes it.
    """

    members: tuple[Member, ...]
    texts: Mapping[str, str]
    compressed_size: int
    uncompressed_size: int
    sha256: str
    kind: Literal["tarball", "folder"] = "tarball"
    in_pieces: bool = False

    @property
    def digest(self) -> str:
        """``sha256`` with how it was made: ``sha256:…``, ``sha256-64m:…`` or ``sha256-listing:…``."""
        if self.kind == "folder":
            return f"sha256-listing:{self.sha256}"
        return f"sha256-64m:{self.sha256}" if self.in_pieces else f"sha256:{self.sha256}"

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


@dataclass(frozen=True)
class Deadline:
    """When reading has to stop: ``clock`` is asked for the seconds, and ``end`` is on that clock."""

    clock: Callable[[], float]
    end: float


class OutOfTime(NotYet):
    """The deadline came before the artifact's end. That says nothing about the artifact.

    Attributes:
        read_bytes: compressed bytes read until then.
        seconds: how long that took.
    """

    def __init__(self, where: str, read_bytes: int, seconds: float) -> None:
        self.read_bytes = read_bytes
        self.seconds = seconds
        super().__init__(
            f"{where}: {read_bytes / 1e9:.1f} GB were read in {seconds:.0f} s, at {self.mb_per_s:.0f} MB/s, "
            "and the time of this invocation is over"
        )

    @property
    def mb_per_s(self) -> float:
        """The rate, in millions of compressed bytes."""
        return self.read_bytes / 1e6 / self.seconds if self.seconds > 0 else 0.0


def inspect(
    stream: Readable,
    *,
    keep: Callable[[str], bool] = is_script,
    where: str = "model.tar.gz",
    limits: Limits = LIMITS,
    deadline: Deadline | None = None,
) -> Artifact:
    """Read an artifact to its end and say what it holds.

    Args:
        stream: is only read forwards, and by another thread; the body of an S3 object will do. What it
            raises itself when the connection breaks is passed on: it says nothing about the artifact.
        keep: the names of the files whose text is wanted.
        where: how problems name the artifact.
        limits: what is refused as absurd.
        deadline: when to stop, if it is not done by then.

    Raises:
        Refused: it is not a gzip, not a tar, damaged, empty, a decompression bomb, or holds what should
            never be unpacked. Names every member that is wrong, up to twenty problems.
        OutOfTime: by the deadline it was not read to its end.
    """
    gunzip = Gunzip(limits, where)
    reading = Reading(keep, where, limits)
    sha256 = hashlib.sha256()
    began = deadline.clock() if deadline else 0.0
    with ReadAhead(stream, sha256) as ahead:
        for packed in ahead:
            for unpacked in gunzip.feed(packed):
                reading.feed(unpacked)
            if deadline and (now := deadline.clock()) >= deadline.end:
                raise OutOfTime(where, gunzip.packed_bytes, now - began)
        gunzip.finish()
        reading.finish()
        return reading.artifact(gunzip.packed_bytes, sha256.hexdigest())


@dataclass(frozen=True)
class Beginning:
    """What the first bytes of a model.tar.gz show. Nothing is known of the rest.

    Attributes:
        members: so far, in the archive's order; of files those whose head is there.
        texts: of the files that were to be kept and are there as a whole, by name.
    """

    members: tuple[Member, ...]
    texts: Mapping[str, str]


def beginning(
    first: bytes,
    *,
    keep: Callable[[str], bool] = is_script,
    where: str = "model.tar.gz",
    limits: Limits = LIMITS,
) -> Beginning:
    """Say what can be said of an artifact by its first bytes, cut anywhere. It is not accepted by that.

    Raises:
        Refused: whatever may follow, the whole of it would be refused as well.
    """
    gunzip = Gunzip(limits, where)
    reading = Reading(keep, where, limits)
    for unpacked in gunzip.feed(first):
        reading.feed(unpacked)
    reading.refuse()
    begun = (member for name, member in reading.members.items() if name != reading.open)
    return Beginning(tuple(begun), MappingProxyType(dict(reading.texts)))


@dataclasses.dataclass
class Reading:
    """What has been seen of an archive so far; the listener of a walk through it.

    Attributes:
        open: the name of the file whose first bytes are on their way; empty when there is none.
        keeps_open: whether those are all of it, and its text is kept.
        entries: how many there were, the wrong ones among them.
        kept_bytes: the size of the files whose text is kept, together.
        unsound: whether the tar could not be read on.
    """

    keep: Callable[[str], bool]
    where: str
    limits: Limits
    problems: list[Problem] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    open: str = ""
    keeps_open: bool = False
    entries: int = 0
    kept_bytes: int = 0
    unsound: bool = False
    walk: TarWalk = field(init=False)

    def __post_init__(self) -> None:
        self.walk = TarWalk(self.limits)

    def problem(self, name: str, found: str, mend: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            where = f"{self.where}: {printable(name)}" if name else self.where
            self.problems.append(Problem(where, found, mend))

    def feed(self, unpacked: bytes) -> None:
        """Takes what the gzip unpacks to. From where that is no tar it is passed over: damage to the gzip is
        the likelier cause, and shows at its end; then that is what is refused.

        Raises:
            Refused: there are absurdly many members.
        """
        if self.unsound:
            return
        try:
            self.walk.feed(unpacked, self)
        except Unsound as error:
            self._break(error)

    def finish(self) -> None:
        """Judges what needs all of the members.

        Raises:
            Refused: anything is wrong with the archive.
        """
        if not self.unsound:
            try:
                self.walk.finish()
            except Unsound as error:
                self._break(error)
        if not self.unsound:
            self._judge_all()
        self.refuse()

    def refuse(self) -> None:
        """
        Raises:
            Refused: anything was found wrong so far.
        """
        if self.problems:
            raise Refused(*self.problems)

    def artifact(self, compressed_size: int, sha256: str, *, in_pieces: bool = False) -> Artifact:
        """What was read, once it has been read to its end."""
        return Artifact(
            members=tuple(self.members.values()),
            texts=MappingProxyType(self.texts),
            compressed_size=compressed_size,
            uncompressed_size=sum(member.size for member in self.members.values()),
            sha256=sha256,
            in_pieces=in_pieces,
        )

    def begins(self, entry: Entry) -> int:
        self.entries += 1
        if self.entries > self.limits.members:
            found = f"has more than {self.limits.members:,} members"
            raise Refused(*self.problems, Problem(self.where, found, "pack only what serves the model"))
        name = self._name(entry)
        kind = self._kind(entry)
        if not name or kind is None or not self._is_new(name, kind):
            return 0
        self.members[name] = Member(name, entry.size if kind == "file" else 0, kind)
        if kind == "symlink":
            self.links[name] = entry.target
        elif kind == "hardlink":
            self._check_hard_link(name, entry.target)
        elif kind == "file":
            return self._begin_file(name, entry.size)
        return 0

    def content(self, first: bytes) -> None:
        name, self.open = self.open, ""
        self.members[name] = replace(self.members[name], head=first[:HEAD_BYTES])
        if self.keeps_open:
            self._keep(name, first)

    def _begin_file(self, name: str, size: int) -> int:
        kept = self.keep(name) and self._may_be_kept(name, size)
        if kept and not size:
            self.texts[name] = ""
        self.open, self.keeps_open = (name if size else ""), kept
        return size if kept else HEAD_BYTES

    def _judge_all(self) -> None:
        if self.walk.followed:
            self.problem("", "has something else after the end of the tar", f"pack one archive: {PACK}")
        if not self.walk.ended:
            self.problem("", "lacks the end of the tar: it was cut before it was compressed", _AGAIN)
        if not any(member.kind != "directory" for member in self.members.values()):
            self.problem("", "holds no files", f"pack the folder that holds the model: {PACK}")
        for name, target in self.links.items():
            self._check_symlink(name, target)
        for name in self.members:
            self._check_folders(name)

    def _break(self, error: Unsound) -> None:
        self.unsound = True
        self.problem("", f"is not a sound tar ({error})", f"pack it again: {PACK}")

    def _name(self, entry: Entry) -> str | None:
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
        elif entry.is_file and not parts:
            self.problem(entry.name, "is a file without a name", f"pack it again: {PACK}")
        else:
            return "/".join(parts)
        return None

    def _kind(self, entry: Entry) -> Kind | None:
        kind = _KINDS.get(entry.type)
        if entry.sparse:
            self.problem(entry.name, "is stored as a sparse file", "pack without --sparse")
        elif entry.is_file:
            return "file"
        elif kind is None:
            found = f"is {_NO_KINDS.get(entry.type, 'neither file, folder nor link')}"
            self.problem(entry.name, found, "leave it out: a model is made of files")
        else:
            return kind
        return None

    def _is_new(self, name: str, kind: Kind) -> bool:
        before = self.members.get(name)
        if before is not None and not (kind == before.kind == "directory"):
            self.problem(name, "is in the archive twice", "keep one of them, and pack again")
        return before is None

    def _may_be_kept(self, name: str, size: int) -> bool:
        """Scripts are judged whatever it takes. Of a document that is too large nothing is known, then."""
        most, most_of_all = self.limits.kept_bytes, self.limits.kept_total_bytes
        fits = size <= most and self.kept_bytes + size <= most_of_all
        if not fits and name.endswith(".py"):
            found = f"has {size:,} bytes, which is much for a script"
            if size <= most:
                found = f"brings the texts that are read over {most_of_all:,} bytes"
            self.problem(name, found, f"keep it under {most:,} bytes, and move data out of it")
        self.kept_bytes += size if fits else 0
        return fits

    def _keep(self, name: str, content: bytes) -> None:
        try:
            self.texts[name] = content.decode("utf-8-sig")
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


_KINDS: Mapping[bytes, Kind] = {
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
}
_NO_KINDS = {tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe"}
_AGAIN = "pack and upload it again"
_NO_LINKS = "pack the file itself: tar -h follows links, --hard-dereference hard ones"
