"""An in-memory AWS, as far as the ports go: calls that can be made to go wrong, a bucket, a table, a bus."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from modelgate.errors import NotFound, StaleRevision
from modelgate.ports import NewObject, ObjectVersion, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelgate.announcements import Announcement

    T = TypeVar("T")

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Stands still until it is told to go on."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class Crash(BaseException):
    """The invocation dies here."""


@dataclass
class Calls:
    """Every call to AWS, in order. The n-th from now on, or the next of a name, can be made to go wrong."""

    made: list[str] = field(default_factory=list)
    _by_number: dict[int, tuple[BaseException, bool]] = field(default_factory=dict)
    _by_name: dict[str, tuple[BaseException, bool]] = field(default_factory=dict)
    _meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)

    def fail(self, which: int | str, error: BaseException, *, after: bool = False) -> None:
        """That call raises, before it takes effect or after it did."""
        if isinstance(which, int):
            self._by_number[len(self.made) + which] = (error, after)
        else:
            self._by_name[which] = (error, after)

    def before(self, name: str, happens: Callable[[], object]) -> None:
        """Something else happens just before the next call of that name."""
        self._meanwhile[name] = happens

    def heal(self) -> None:
        self._by_number.clear()
        self._by_name.clear()

    def make(self, name: str, call: Callable[[], T]) -> T:
        if happens := self._meanwhile.pop(name, None):
            happens()
        self.made.append(name)
        planned = self._by_number.pop(len(self.made), None) or self._by_name.pop(name, None)
        error, after = planned or (None, False)
        if error and not after:
            raise error
        result = call()
        if error:
            raise error
        return result


class FakeBucket:
    """A `modelgate.ports.Bucket`."""

    name = "intake"

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._objects: dict[str, list[bytes]] = {}
        self._sizes: dict[str, int] = {}

    def put(self, key: str, body: bytes) -> ObjectVersion:
        """What a user's upload does."""
        versions = self._objects.setdefault(key, [])
        versions.append(body)
        return _version(key, len(versions), body)

    def pretend(self, key: str, body: bytes, size: int) -> None:
        """An upload that is said to be larger than it is."""
        self.put(key, body)
        self._sizes[key] = size

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)

    def keys(self) -> list[str]:
        return sorted(self._objects)

    def head(self, key: str) -> ObjectVersion | None:
        return self._calls.make("HeadObject", lambda: self._find(key))

    def read(self, key: str, limit: int, version: str | None = None) -> tuple[bytes, ObjectVersion] | None:
        found = self._calls.make("GetObject", lambda: self._find(key, version))
        return (self._body(found)[: limit + 1], found) if found else None

    def open(self, found: ObjectVersion, start: int = 0) -> io.BytesIO:
        return self._calls.make("GetObject", lambda: io.BytesIO(self._body(found)[start:]))

    def list(self, prefix: str, limit: int) -> list[ObjectVersion]:
        def listed() -> list[ObjectVersion]:
            found = (self._find(key) for key in self.keys() if key.startswith(prefix))
            return [each for each in found if each][: limit + 1]

        return self._calls.make("ListObjectVersions", listed)

    def keep(self, found: Mapping[str, ObjectVersion]) -> Sequence[ObjectVersion]:
        return [self.head(key) or self._copy(each, key) for key, each in found.items()]

    def _copy(self, found: ObjectVersion, key: str) -> ObjectVersion:
        def copied() -> ObjectVersion:
            if found.key not in self._objects:
                raise NotFound("CopyObject", "NoSuchKey", found.key)
            return self.put(key, self._body(found))

        return self._calls.make("CopyObject", copied)

    def write(self, *objects: NewObject) -> None:
        for new in objects:
            self._calls.make("PutObject", partial(self.put, new.key, new.body))

    def _find(self, key: str, version: str | None = None) -> ObjectVersion | None:
        versions = self._objects.get(key, [])
        number = int(version.removeprefix("v")) if version else len(versions)
        if not 0 < number <= len(versions):
            return None
        found = _version(key, number, versions[number - 1])
        return replace(found, size=self._sizes.get(key, found.size))

    def _body(self, found: ObjectVersion) -> bytes:
        return self._objects[found.key][int(found.version.removeprefix("v")) - 1]


def _version(key: str, number: int, body: bytes) -> ObjectVersion:
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return ObjectVersion(key, f"v{number}", len(body), f'"{etag}"')


class FakeTable:
    """A `modelgate.ports.Table`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._items: dict[tuple[str, str], Record] = {}

    def get(self, pk: str, sk: str) -> Record | None:
        return self._calls.make("GetItem", lambda: self._items.get((pk, sk)))

    def put(self, *records: Record) -> None:
        self._calls.make("PutItem", lambda: self._put(records))

    def query(self, pk: str, sk_prefix: str = "") -> list[Record]:
        return self._calls.make(
            "Query",
            lambda: [
                item
                for (pk_, sk), item in sorted(self._items.items())
                if pk_ == pk and sk.startswith(sk_prefix)
            ],
        )

    def _put(self, records: tuple[Record, ...]) -> None:
        for record in records:
            before = self._items.get((record.pk, record.sk))
            revision = before.revision if before and before.revision else 0
            if record.revision is not None and record.revision != revision + 1:
                raise StaleRevision("PutItem", "ConditionalCheckFailedException", record.pk)
        for record in records:
            ordered = replace(record, facts=tuple(sorted(record.facts)))
            self._items[(record.pk, record.sk)] = ordered


class FakeBus:
    """A `modelgate.ports.Bus`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.announced: list[Announcement] = []

    def announce(self, *announcements: Announcement) -> None:
        self._calls.make("PutEvents", lambda: self.announced.extend(announcements))

    def kinds(self) -> list[str]:
        return [announcement.kind.value for announcement in self.announced]
