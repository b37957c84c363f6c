"""A source: a zip of what an image is built from. Looked at before a build minute is spent on it."""

from __future__ import annotations

import hashlib
import re
import stat
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from modelgate.builds.dockerfile import read_dockerfile
from modelgate.builds.options import BUILD_FILE, BuildOptions, read_options
from modelgate.builds.order import TAG_PREFIX
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Gathering, Problem, Refused
from modelgate.images import catalog
from modelgate.images.reference import reference
from modelgate.values import dataclass

MAX_ZIP_BYTES = 1024**3
MAX_UNPACKED_BYTES = 10 * 1024**3
MAX_FILES = 65_535
_MAX_DOCKERFILE_BYTES = 1024**2

_CHUNK = 1024 * 1024
_SHOWN = 5
_ENCRYPTED = 0x1
# Amazon ECR User Guide, "Amazon ECR private repositories": as names of repositories, without a namespace.
_IMAGE = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_IMAGE_LENGTH = range(2, 101)
_DRIVE = re.compile(r"[a-zA-Z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class SourceId:
    """Where a source lies: ``sources/<image>/<name>.zip``, raw as the key has it."""

    image: str
    name: str

    @classmethod
    def of_key(cls, key: str) -> SourceId:
        _, image, rest = key.split("/", 2)
        return cls(image, rest.removesuffix(".zip"))

    def check(self) -> None:
        """
        Raises:
            Refused: no repository can have that name.
        """
        if not _IMAGE.fullmatch(self.image) or len(self.image) not in _IMAGE_LENGTH:
            mend = (
                "an image has small letters and digits, with '.', '_' or '-' between them, 2 to 100 in all; "
                "upload under another name"
            )
            raise Refused(Problem(self.key, f"{self.image!r} is no name of an image", mend))

    @property
    def key(self) -> str:
        return f"sources/{self.image}/{self.name}.zip"

    def __str__(self) -> str:
        return f"{self.image}/{self.name}"


@dataclass(frozen=True)
class Source:
    """A source that can be built.

    Attributes:
        tag: made of its content: the same content has the same tag, however and whenever it was zipped.
        options: what its `build.yaml` says.
        images: what it builds on.
        files: how many there are; ``size`` in bytes, unpacked.
    """

    tag: str
    options: BuildOptions
    images: tuple[str, ...]
    files: int
    size: int


def examine(zipped: IO[bytes], where: str) -> Source:
    """Reads a source to its end.

    Args:
        zipped: the zip; it is sought in.
        where: how errors call it.

    Raises:
        Refused: with everything that is wrong with it.
    """
    try:
        with ZipFile(zipped) as archive:
            return _examine(archive, where)
    except (BadZipFile, EOFError, zlib.error, NotImplementedError, UnicodeDecodeError) as error:
        found = f"is no zip that can be read to its end ({error})"
        raise Refused(Problem(where, found, "zip it again, and upload it again")) from error


def _examine(archive: ZipFile, where: str) -> Source:
    entries = archive.infolist()
    _check_entries(entries, where)
    wrong = Gathering()
    names = {entry.filename: entry for entry in entries if not entry.is_dir()}
    options = BuildOptions()
    if BUILD_FILE in names:
        with wrong.collected():
            options = read_options(_beginning(archive, names[BUILD_FILE], MAX_DOCUMENT_BYTES))
    images: tuple[str, ...] = ()
    with wrong.collected():
        images = _images(archive, names, options, where)
    wrong.refuse()
    size = sum(entry.file_size for entry in names.values())
    return Source(_tag(archive, entries, where), options, images, len(names), size)


# ── what the zip may hold ─────────────────────────────────────────────────────────────────────────
def _check_entries(entries: list[ZipInfo], where: str) -> None:
    """Looks at the directory of the zip only.

    Raises:
        Refused: it could not be unpacked, or not where it belongs.
    """
    problems = []
    if len(entries) > MAX_FILES:
        mend = "leave out what the image does not need: .dockerignore"
        problems.append(Problem(where, f"has {len(entries):,} files, and {MAX_FILES:,} are allowed", mend))
    size = sum(entry.file_size for entry in entries)
    if size > MAX_UNPACKED_BYTES:
        found = f"unpacks to {size / 1024**3:.1f} GB, and {MAX_UNPACKED_BYTES // 1024**3} GB are allowed"
        mend = "leave data out of the source, and have the build fetch it"
        problems.append(Problem(where, found, mend))
    complaints = [(entry.filename, complaint) for entry in entries for complaint in _complaints(entry)]
    complaints += [(name, "is there twice") for name in _repeated(entries)]
    complaints += [(name, "is a file, and a folder, too") for name in _files_in_files(entries)]
    for name, complaint in complaints[:_SHOWN]:
        problems.append(Problem(where, f"{name!r} {complaint}", "zip the folder of the Dockerfile anew"))
    if len(complaints) > _SHOWN:
        found = f"{len(complaints) - _SHOWN} more names are wrong"
        problems.append(Problem(where, found, "zip the folder of the Dockerfile anew"))
    if problems:
        raise Refused(*problems)


def _complaints(entry: ZipInfo) -> Iterator[str]:
    name = entry.filename
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        yield "leads out of the source"
    elif "\\" in name or _CONTROL.search(name) or not name.strip("/."):
        yield "is no name that a build can unpack"
    if entry.flag_bits & _ENCRYPTED:
        yield "is encrypted"
    elif entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        yield "is compressed in a way that not every unzip knows"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        yield "is a symbolic link"
    elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        yield "is neither a file nor a folder"


def _repeated(entries: list[ZipInfo]) -> list[str]:
    counts = Counter(entry.filename for entry in entries)
    return [name for name, count in counts.items() if count > 1]


def _files_in_files(entries: list[ZipInfo]) -> list[str]:
    files = {entry.filename for entry in entries if not entry.is_dir()}
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    return sorted(files & folders)


# ── what it builds ────────────────────────────────────────────────────────────────────────────────
def _images(
    archive: ZipFile, names: Mapping[str, ZipInfo], options: BuildOptions, where: str
) -> tuple[str, ...]:
    """What the Dockerfile builds on.

    Raises:
        Refused: there is none, it is wrong, or it names an image that AWS keeps elsewhere.
    """
    path = options.dockerfile
    if path not in names:
        deeper = [name for name in names if PurePosixPath(name).name == PurePosixPath(path).name]
        mend = "put it there, or write its path into build.yaml: dockerfile"
        if deeper:
            mend = f"there is {deeper[0]}: zip what is in its folder, not the folder; or {mend}"
        raise Refused(Problem(where, f"has no {path}", mend))
    text = _beginning(archive, names[path], _MAX_DOCKERFILE_BYTES)
    if len(text) > _MAX_DOCKERFILE_BYTES:
        raise Refused(Problem(path, "is larger than 1 MB", "is that the Dockerfile?"))
    try:
        read = read_dockerfile(text.decode(), path, options.build_args, options.platform)
    except UnicodeDecodeError as error:
        raise Refused(Problem(path, f"is not UTF-8 ({error.reason})", "save it as UTF-8")) from error
    problems = [problem for image in read.images for problem in _misplaced(image, path)]
    if options.target is not None and not read.has_stage(options.target):
        stages = ", ".join(filter(None, read.stages)) or "none that has a name"
        found = f"names the stage {options.target!r}, and {path} has {stages}"
        problems.append(Problem(f"{BUILD_FILE}: target", found, "choose one of them, or leave it out"))
    if problems:
        raise Refused(*problems)
    return read.images


def _misplaced(image: str, dockerfile: str) -> Iterator[Problem]:
    """AWS's own images lie in an account for each region, which people get wrong."""
    named = reference(image)
    if named is None:
        yield Problem(dockerfile, f"builds on {image!r}, which is no name of an image", "mend its FROM line")
        return
    homes = catalog.homes(named.repository)
    if named.account_and_region is None or not homes:
        return
    account, region = named.account_and_region
    aws = {each for accounts in homes.values() for each in accounts}
    if account in aws and account not in homes.get(region, frozenset()):
        there = " or ".join(sorted(homes.get(region, ()))) or "none"
        found = f"builds on {image}, and AWS keeps {named.repository} of {region} in account {there}"
        mend = f"name that account, or a region of {account}'s"
        yield Problem(dockerfile, found, mend)


# ── its content ───────────────────────────────────────────────────────────────────────────────────
def _beginning(archive: ZipFile, entry: ZipInfo, limit: int) -> bytes:
    with archive.open(entry) as file:
        return file.read(limit + 1)


def _tag(archive: ZipFile, entries: list[ZipInfo], where: str) -> str:
    """A hash of names, of who may run them, and of contents; reading them checks them, too."""
    whole = hashlib.sha256()
    filled = {str(PurePosixPath(entry.filename).parent) for entry in entries}
    for entry in sorted(entries, key=lambda each: each.filename):
        if entry.is_dir():
            # Docker makes the folders of files by itself: only an empty one is content.
            if str(PurePosixPath(entry.filename)) not in filled:
                whole.update(f"{entry.filename}\0d".encode())
            continue
        content, size = hashlib.sha256(), 0
        with archive.open(entry) as file:
            while chunk := file.read(_CHUNK):
                content.update(chunk)
                size += len(chunk)
        if size != entry.file_size:
            found = f"{entry.filename!r} has {size} bytes, and the zip tells of {entry.file_size}"
            raise Refused(Problem(where, found, "zip it again, and upload it again"))
        runs = "x" if (entry.external_attr >> 16) & stat.S_IXUSR else "-"
        whole.update(f"{entry.filename}\0{runs}{content.hexdigest()}".encode())
    return TAG_PREFIX + whole.hexdigest()[:40]
