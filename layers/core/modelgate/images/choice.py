"""Which image serves a container: the catalog's, or the one that the manifest names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelgate.errors import Problem, Refused
from modelgate.images import catalog
from modelgate.images.reference import Reference, reference
from modelgate.submission import MANIFEST

if TYPE_CHECKING:
    from modelgate.ports import Images
    from modelgate.submission import Container


@dataclass(frozen=True)
class Chooser:
    """Chooses images for where they are pulled.

    Attributes:
        account, region: of the stack.
        own: the account's own registry, made when it is asked: most containers are prebuilt.
    """

    account: str
    region: str
    own: Callable[[], Images]

    def choose(self, container: Container, instance_types: Iterable[str], where: str) -> str:
        """The image's URI; one of the account's own by its digest.

        Args:
            instance_types: on which the container is to run, the policy's first.
            where: the container's place in the manifest.

        Raises:
            Refused: there is no such image, or not for all of the instance types.
        """
        if container.image is not None:
            return self._named(container.image, f"{where}.image")
        return prebuilt(container, instance_types, self.region, where)

    def _named(self, image: str, where: str) -> str:
        named = reference(image)
        if named is None:
            mend = "write the name of a repository with a tag or digest, or the whole URI of an image"
            raise Refused(Problem(where, f"is {image!r}, which is no name of an image", mend))
        where_it_lies = named.account_and_region
        if where_it_lies and where_it_lies[1] != self.region:
            found = f"lies in {where_it_lies[1]}, and SageMaker pulls from its own region, {self.region}"
            raise Refused(Problem(where, found, "replicate the repository there, and name that image"))
        if named.registry is not None and where_it_lies != (self.account, self.region):
            return image  # somebody else's: whether it is there only its owner could tell
        return self._by_digest(named, where)

    def _by_digest(self, named: Reference, where: str) -> str:
        host = named.registry or f"{self.account}.dkr.ecr.{self.region}.{catalog.domain(self.region)}"
        digest = named.digest or self.own().digest(named.repository, named.tag or "latest")
        if digest is None:
            found = f"there is no image {named.repository}:{named.tag or 'latest'} in the account's registry"
            raise Refused(Problem(where, found, "push it first, or name one that is there"))
        return f"{host}/{named.repository}@{digest}"


def prebuilt(container: Container, instance_types: Iterable[str], region: str, where: str) -> str:
    """The image that the catalog has for a container.

    Raises:
        Refused: there is none, or not the same one for all of the instance types.
    """
    framework, version = str(container.framework), str(container.version)
    kinds = list(dict.fromkeys(instance_types))
    field = "version" if framework in catalog.families() else "framework"
    images = [
        catalog.resolve(
            framework,
            version,
            region=region,
            instance_type=kind,
            py_version=container.py_version,
            base_framework_version=container.base_framework_version,
            where=f"{where}.{field}",
        )
        for kind in kinds
    ]
    others = [kind for kind, image in zip(kinds, images, strict=True) if image != images[0]]
    if others:
        found = f"the image for {kinds[0]}, which the policy names, does not run on {others[0]}"
        mend = "name instance types with the same processors"
        raise Refused(Problem(f"{MANIFEST}: instance_types", found, mend))
    return images[0]
