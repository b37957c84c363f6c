"""What registration keeps: copies named by their content, which nobody else can write or delete.

An upload belongs to whoever made it, who may overwrite or delete it later. What was judged is therefore
copied, by the versions that were read, and versions in the registry point at the copies. The bucket's policy
holds everybody off ``registered/`` but the functions that register.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from modelgate.ports import NewObject
from modelgate.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelgate.ports import Bucket
    from modelgate.registry.upload import Uploaded

REGISTERED = "registered"
# What is written rather than copied; all of them small.
_CONTENT_TYPES = {"yaml": "application/yaml", "json": "application/json"}


@dataclass(frozen=True)
class Copy:
    """A registered artifact.

    Attributes:
        url: where it lies; ends with a slash for a folder.
        etag: of a tarball; a copy by parts has another one than what it was copied from.
    """

    url: str
    etag: str | None


class Copies:
    """The copies of a group.

    Args:
        bucket: the intake bucket.
        group: whose they are; groups share none, so that a group can be cleared away as a whole.
    """

    def __init__(self, bucket: Bucket, group: str) -> None:
        self._bucket = bucket
        self._group = group

    def of_artifact(self, uploaded: Uploaded, digest: str) -> Copy:
        """Copies an artifact, unless it is there already.

        Args:
            uploaded: one that has an artifact.
            digest: of its content.
        """
        if uploaded.tarball is not None:
            key = self._key(digest, str(uploaded.container.tarball))
            (copied,) = self._bucket.keep({key: uploaded.tarball})
            return Copy(self._url(copied.key), copied.etag.strip('"') or None)
        folder = self._key(digest, str(uploaded.container.folder))
        self._bucket.keep(
            {f"{folder}{found.key.removeprefix(uploaded.prefix)}": found for found in uploaded.folder}
        )
        return Copy(self._url(folder), None)

    def of_documents(self, texts: Mapping[str, bytes]) -> dict[str, str]:
        """Writes documents.

        Returns:
            Their keys, by the names that were given.
        """
        keys = {name: self._key(hashlib.sha256(text).hexdigest(), name) for name, text in texts.items()}
        self._bucket.write(
            *(
                NewObject(keys[name], text, _CONTENT_TYPES[name.rpartition(".")[2]])
                for name, text in texts.items()
            )
        )
        return keys

    def _key(self, digest: str, name: str) -> str:
        return f"{REGISTERED}/{self._group}/{digest}/{name}"

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{key}"
