"""Folders of this machine in place of the intake bucket, for use cases that need no cloud."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelgate.ports import NewObject, ObjectVersion, Stream

_VERSION = "here"


class LocalBucket:
    """A `modelgate.ports.Bucket` whose objects are files.

    Args:
        folders: where the objects of a prefix lie, by the prefix, which ends with a slash.
    """

    name = "this-machine"

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders

    def path(self, key: str) -> Path:
        """
        Raises:
            KeyError: no folder stands for such keys.
        """
        for prefix, folder in self._folders.items():
            if key.startswith(prefix):
                return folder / key.removeprefix(prefix)
        raise KeyError(key)

    def head(self, key: str) -> ObjectVersion | None:
        path = self.path(key)
        return ObjectVersion(key, _VERSION, path.stat().st_size) if path.is_file() else None

    def read(self, key: str, limit: int, version: str | None = None) -> tuple[bytes, ObjectVersion] | None:
        found = self.head(key)
        if found is None or version not in {None, _VERSION}:
            return None
        with self.path(key).open("rb") as stream:
            return stream.read(limit + 1), found

    def open(self, found: ObjectVersion, start: int = 0) -> Stream:
        stream = self.path(found.key).open("rb")
        stream.seek(start)
        return stream

    def list(self, prefix: str, limit: int) -> Sequence[ObjectVersion]:
        keys = sorted(key for key in self._keys() if key.startswith(prefix))
        return [found for key in keys[: limit + 1] if (found := self.head(key))]

    def keep(self, found: Mapping[str, ObjectVersion]) -> Sequence[ObjectVersion]:
        for key, each in found.items():
            path = self.path(key)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.path(each.key), path)
        return [kept for key in found if (kept := self.head(key))]

    def write(self, *objects: NewObject) -> None:
        for new in objects:
            path = self.path(new.key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(new.body)

    def _keys(self) -> Iterator[str]:
        for prefix, folder in self._folders.items():
            for path in folder.rglob("*"):
                yield f"{prefix}{path.relative_to(folder).as_posix()}"
