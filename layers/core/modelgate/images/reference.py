"""How people name an image that is not in the catalog, and which image is meant by it."""

from __future__ import annotations

import re
from typing import NamedTuple

# Amazon ECR User Guide, "Amazon ECR repositories" and "Image tags": names in lower case, tags up to 128.
_NAME = r"(?P<repository>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
_REFERENCE = re.compile(
    r"(?:(?P<registry>[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+(?::\d+)?)/)?"
    + _NAME
    + r"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+")


class Reference(NamedTuple):
    """An image's name, taken apart.

    Attributes:
        registry: the host; None for the account's own registry.
        repository: what it is called there.
        tag, digest: which of the repository's images; a digest says it for good.
    """

    registry: str | None
    repository: str
    tag: str | None
    digest: str | None

    @property
    def account_and_region(self) -> tuple[str, str] | None:
        """Of a registry in Amazon ECR; None for others, and for the account's own without its name."""
        found = _ECR.fullmatch(self.registry or "")
        return (found["account"], found["region"]) if found else None


def reference(text: str) -> Reference | None:
    """
    >>> reference("decision-trees:v3")
    Reference(registry=None, repository='decision-trees', tag='v3', digest=None)

    Returns:
        None where the text is no name of an image.
    """
    found = _REFERENCE.fullmatch(text)
    return Reference(found["registry"], found["repository"], found["tag"], found["digest"]) if found else None
