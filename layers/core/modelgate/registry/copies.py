"""What registration keeps: copies named by their content, which nobody else can write or delete.

An upload belongs to whoever made it, who may overwrite or delete it later. What was judged is therefore
copied, by the versions that were read, and versions in the registry point at the copies. The bucket's policy
holds everybody off ``registered/`` but the functions that register.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelgate.ports import Bucket, ObjectVersion
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
            copied = self._copied(uploaded.tarball, self._key(digest, str(uploaded.container.tarball)))
            return Copy(self._url(copied.key), copied.etag.strip('"') or None)
        folder = self._key(digest, str(uploaded.container.folder))
        for found in uploaded.folder:
            self._copied(found, f"{folder}{found.key.removeprefix(uploaded.prefix)}")
        return Copy(self._url(folder), None)

    def of_document(self, text: bytes, name: str) -> str:
        """Writes a document.

        Returns:
            Its key.
        """
        key = self._key(hashlib.sha256(text).hexdigest(), name)
        self._bucket.write(key, text, _CONTENT_TYPES[name.rpartition(".")[2]])
        return key

    def _copied(self, found: ObjectVersion, key: str) -> ObjectVersion:
        # A copy by parts appears when its last part is there, so what is there is whole.
        return self._bucket.head(key) or self._bucket.copy(found, key)

    def _key(self, digest: str, name: str) -> str:
        return f"{REGISTERED}/{self._group}/{digest}/{name}"

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{key}"
