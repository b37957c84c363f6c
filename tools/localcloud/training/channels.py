"""The channels of a training job: where their data lie, which host gets which of it, and how it gets there.

"S3DataSource", "Channel" and "ShuffleConfig" in the Amazon SageMaker API Reference; "How Amazon SageMaker AI
Provides Training Information" in the Developer Guide. What is different: FastFile lays down files, where AWS
streams them.

Not documented: the path that an object gets below its channel if the prefix is no whole folder, and the order
of shuffled data. Here the path begins with the last name of the prefix, and the order depends on seed and
epoch.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError

Mode = Literal["File", "FastFile", "Pipe"]
Compression = Literal["None", "Gzip"]
Wrapping = Literal["None", "RecordIO"]

_PIECE = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
_RECORD_MAGIC = 0xCED7230A
_RECORD_ALIGNMENT = 4


class DataError(Exception):
    """The data of a channel cannot be had. The message is SageMaker's, after ``ClientError: ``."""


@dataclass(frozen=True)
class Item:
    """An object of a channel.

    Attributes:
        path: below the channel's folder.
        open: opens its content for reading, once; raises DataError.
    """

    path: str
    open: Callable[[], BinaryIO]


class Source(Protocol):
    """Where the data of a channel lie."""

    def items(self) -> list[Item]:
        """All of it, by key.

        Raises:
            DataError: it cannot be listed.
        """


@dataclass(frozen=True)
class LocalFolder:
    """A `Source`: a folder of this machine, or one file."""

    path: Path

    def items(self) -> list[Item]:
        """The files, sorted by their names."""
        if self.path.is_file():
            return [Item(self.path.name, self._opener(self.path))]
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        if not files:
            raise DataError(f"Data download failed: there is no file in {self.path}")
        return [Item(path.relative_to(self.path).as_posix(), self._opener(path)) for path in files]

    @staticmethod
    def _opener(path: Path) -> Callable[[], BinaryIO]:
        return lambda: path.open("rb")


@dataclass(frozen=True)
class S3Objects:
    """A `Source`: the objects of a prefix, or those that a manifest lists.

    Args:
        s3: a client with the rights of the execution role.
        manifest: whether ``url`` is that of a manifest.
    """

    s3: Any
    url: str
    manifest: bool = False

    def items(self) -> list[Item]:
        """As S3 lists them, or in the order of the manifest."""
        try:
            return self._of_manifest() if self.manifest else self._of_prefix()
        except (ClientError, BotoCoreError) as error:
            raise _download_failed(self.url, error) from error

    def _of_prefix(self) -> list[Item]:
        bucket, prefix = place(self.url)
        return [
            Item(path_in_channel(key, prefix, self.url), self._opener(bucket, key))
            for key in keys(self.s3, bucket, prefix)
            # A folder that somebody made in the console is an object without content.
            if not key.endswith("/")
        ]

    def _of_manifest(self) -> list[Item]:
        bucket, key = place(self.url)
        text = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        try:
            first, *names = json.loads(text)
            prefix = first["prefix"]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"Data download failed: the manifest {self.url} must be a JSON array whose first element has "
                'the member "prefix"'
            ) from error
        found = []
        for name in names:
            holder, object_key = place(prefix + name)
            found.append(Item(_checked(name, prefix + name), self._opener(holder, object_key)))
        return found

    def _opener(self, bucket: str, key: str) -> Callable[[], BinaryIO]:
        def opened() -> BinaryIO:
            try:
                body: BinaryIO = self.s3.get_object(Bucket=bucket, Key=key)["Body"]
            except (ClientError, BotoCoreError) as error:
                raise _download_failed(f"s3://{bucket}/{key}", error) from error
            return body

        return opened


@dataclass(frozen=True)
class Channel:
    """A channel.

    Attributes:
        content_type: told to the algorithm, and looked at by nobody else.
        compression: in Pipe mode, Gzip is taken off.
        wrapping: in Pipe mode, each object becomes a record of RecordIO.
        sharded: whether each host gets its part of the objects, instead of all.
        shuffle_seed: None if the order is that of the source.
    """

    name: str
    source: Source
    mode: Mode = "File"
    content_type: str = ""
    compression: Compression = "None"
    wrapping: Wrapping = "None"
    sharded: bool = False
    shuffle_seed: int | None = None

    def described(self) -> dict[str, str]:
        """As ``inputdataconfig.json`` describes it."""
        told = {
            "TrainingInputMode": self.mode,
            "S3DistributionType": "ShardedByS3Key" if self.sharded else "FullyReplicated",
            "RecordWrapperType": self.wrapping,
        }
        return {"ContentType": self.content_type, **told} if self.content_type else told

    def items(self, host: int, hosts: int, epoch: int = 0) -> list[Item]:
        """What a host gets, by its position among the hosts.

        Raises:
            DataError: it cannot be listed.
        """
        found = self.source.items()
        if self.shuffle_seed is not None:
            # Not for secrets: the same seed gives every host the same order, and each epoch another.
            random.Random(f"{self.shuffle_seed} {epoch}").shuffle(found)  # noqa: S311
        return found[host::hosts] if self.sharded else found

    def lay_down(self, folder: Path, host: int, hosts: int) -> None:
        """Put what a host gets into a folder.

        Raises:
            DataError: it cannot be read, or two objects would be one file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for item in self.items(host, hosts):
            file = folder / item.path
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                with item.open() as content, file.open("xb") as written:
                    shutil.copyfileobj(content, written)
            except OSError as error:
                raise DataError(f"Data download failed:Unable to write {item.path}: {error}") from error

    def stream(self, host: int, hosts: int, epoch: int) -> Iterator[bytes]:
        """What a host reads from the pipe of an epoch.

        Raises:
            DataError: it cannot be read.
        """
        for item in self.items(host, hosts, epoch):
            with item.open() as content:
                pieces = _pieces(content)
                if self.compression == "Gzip":
                    pieces = _gunzipped(pieces, item.path)
                yield from _record(b"".join(pieces)) if self.wrapping == "RecordIO" else pieces


class PipeFeeder:
    """Feeds the FIFOs of a channel in Pipe mode, one for each epoch: the next is there when one was closed.

    Args:
        folder: where the FIFOs are made, as ``<channel>_<epoch>``.
        host: the position of the host that reads them.
        failed: called if data cannot be read.
    """

    def __init__(
        self, channel: Channel, folder: Path, host: int, hosts: int, failed: Callable[[DataError], None]
    ) -> None:
        self._channel = channel
        self._folder = folder
        self._host = host
        self._hosts = hosts
        self._stopping = threading.Event()
        self._epoch = 0
        self._failed = failed
        # The first one is there when the algorithm starts.
        os.mkfifo(self._path(0))
        self._thread = threading.Thread(target=self._run, name=f"pipe-{channel.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Feed no more. Whoever read has ended."""
        self._stopping.set()
        while self._thread.is_alive():
            # Who waits for a reader to open the FIFO gets one, who goes at once.
            with suppress(OSError):
                os.close(os.open(self._path(self._epoch), os.O_RDONLY | os.O_NONBLOCK))
            self._thread.join(0.02)

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{self._channel.name}_{epoch}"

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._feed()
            except DataError as error:
                self._failed(error)
                return
            self._epoch += 1
            os.mkfifo(self._path(self._epoch))

    def _feed(self) -> None:
        descriptor = os.open(self._path(self._epoch), os.O_WRONLY)
        try:
            for piece in self._channel.stream(self._host, self._hosts, self._epoch):
                view = memoryview(piece)
                while view and not self._stopping.is_set():
                    view = view[os.write(descriptor, view) :]
        except OSError as error:
            # It was closed early, which is how an algorithm says that it is done with an epoch.
            if error.errno != errno.EPIPE:
                raise
        finally:
            os.close(descriptor)


def place(url: str) -> tuple[str, str]:
    """The bucket, and the key or the prefix in it."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    """The keys that begin with a prefix, sorted as S3 does."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []))


def path_in_channel(key: str, prefix: str, url: str) -> str:
    """Where an object of a prefix lies below its channel.

    Raises:
        DataError: no file can have such a path.
    """
    if key == prefix:
        path = key.rpartition("/")[2]
    elif prefix.endswith("/") or not prefix or key.startswith(f"{prefix}/"):
        path = key.removeprefix(prefix).removeprefix("" if prefix.endswith("/") or not prefix else "/")
    else:
        path = key[prefix.rfind("/") + 1 :]
    return _checked(path, f"s3://{place(url)[0]}/{key}")


def _checked(path: str, url: str) -> str:
    if "//" in f"/{path}":
        raise DataError(
            "Data download failed:Failed to download data. "
            f"S3 key: {url} has an illegal char sub-sequence '//' in it"
        )
    if any(name in {".", ".."} for name in path.split("/")) or "\0" in path:
        raise DataError(f"Data download failed:Failed to download data. S3 key: {url} is no path of a file")
    return path


def _download_failed(url: str, error: ClientError | BotoCoreError) -> DataError:
    told: Mapping[str, str] = getattr(error, "response", {}).get("Error", {})
    why = f"{told.get('Code')}: {told.get('Message')}" if told else str(error)
    return DataError(f"Data download failed:Unable to download object {url} ({why})")


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(_PIECE):
        yield piece


def _gunzipped(pieces: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Of one or several gzip members."""
    reader = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if reader.eof:
                    reader = zlib.decompressobj(_GZIP)
                yield reader.decompress(rest)
                rest = reader.unused_data
    except zlib.error as error:
        raise DataError(f"Data download failed:{path} is not compressed with gzip: {error}") from error


def _record(content: bytes) -> Sequence[bytes]:
    """A record of MXNet's RecordIO: magic number, length, content, and zeros up to a multiple of four."""
    header = struct.pack("<II", _RECORD_MAGIC, len(content))
    return (header, content, b"\0" * (-len(content) % _RECORD_ALIGNMENT))
