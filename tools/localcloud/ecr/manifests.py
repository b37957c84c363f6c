"""What a manifest says: an image's config and layers, or the images of an index."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.errors import ServiceError

_IMAGES = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    }
)
_INDEXES = frozenset(
    {
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    }
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read.

    Attributes:
        text: as it was sent; the digest is of these bytes.
        layers: digest and size, in bytes, of the config and of each layer that the registry has to hold;
            empty for a mere stub of an image, which nobody could run.
        images: the digests of the images of an index.
    """

    text: str
    media_type: str
    digest: str
    layers: tuple[tuple[str, int], ...] = ()
    images: tuple[str, ...] = ()

    @property
    def is_index(self) -> bool:
        """Whether it lists images, and is none itself."""
        return self.media_type in _INDEXES


def is_digest(text: str) -> bool:
    """Whether ECR takes ``text`` for a digest."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(content: bytes) -> str:
    """The digest of what is in memory."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read(text: str, media_type: str | None) -> Manifest:
    """
    Args:
        media_type: as the client told it; None for the one in the manifest.

    Raises:
        ServiceError: it is no manifest of an image or an index, or says that it is something else.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _invalid(f"Invalid JSON syntax: {error}") from error
    if not isinstance(document, dict):
        raise _invalid("a manifest is a JSON object")
    own = document.get("mediaType")
    if media_type and own and own != media_type:
        raise _invalid(f"the manifest says that it is {own}, and was sent as {media_type}")
    kind = str(media_type or own or "")
    digest = digest_of(text.encode())
    if kind in _INDEXES:
        images = tuple(name for name, _ in map(_described, _listed(document, "manifests")))
        return Manifest(text, kind, digest, images=images)
    if kind not in _IMAGES:
        raise _invalid(f"unsupported media type {kind!r}")
    pushed = [each for each in _listed(document, "layers") if not _is_foreign(each)]
    config = [document["config"]] if "config" in document else []
    layers = tuple(map(_described, [*config, *pushed]))
    return Manifest(text, kind, digest, layers=layers)


def _listed(document: Mapping[str, Any], member: str) -> list[Any]:
    found = document.get(member, [])
    if not isinstance(found, list):
        raise _invalid(f"{member} is a list")
    return found


def _is_foreign(descriptor: Any) -> bool:
    """What is told with addresses is fetched from there, and never pushed."""
    return isinstance(descriptor, dict) and bool(descriptor.get("urls"))


def _described(descriptor: Any) -> tuple[str, int]:
    if isinstance(descriptor, dict):
        digest, size = descriptor.get("digest"), descriptor.get("size")
        if isinstance(digest, str) and is_digest(digest) and isinstance(size, int) and size >= 0:
            return digest, size
    raise _invalid(f"a descriptor has a digest and a size, and this one is {json.dumps(descriptor)}")


def _invalid(reason: str) -> ServiceError:
    message = f"Invalid parameter at 'imageManifest' failed to satisfy constraint: '{reason}'"
    return ServiceError("InvalidParameterException", message)
