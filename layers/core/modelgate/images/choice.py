"""Which image serves a container: the catalog's, or the one that the manifest names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from modelgate.builds.findings import Scan, too_severe
from modelgate.errors import NotYet, Problem, Refused
from modelgate.images import catalog
from modelgate.images.reference import reference
from modelgate.submission import MANIFEST
from modelgate.values import dataclass

if TYPE_CHECKING:
    from modelgate.builds.findings import MaxSeverity
    from modelgate.images.catalog import Scope
    from modelgate.manifest import Container
    from modelgate.ports import Image, Images


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

    def choose(
        self,
        container: Container,
        instance_types: Iterable[str],
        where: str,
        max_severity: MaxSeverity | None = None,
        scope: Scope = "inference",
    ) -> str:
        """The image's URI; one of the account's own by its digest.

        Args:
            instance_types: on which the container is to run, the policy's first.
            where: the container's place in the manifest.
            max_severity: the worst finding that the policy allows in an image of the account's own.
            scope: what the container is for.

        Raises:
            Refused: there is no such image, or not for all of the instance types, or a scan found too much.
            NotYet: it is still being scanned.
        """
        if container.image is not None:
            return self._named(container.image, f"{where}.image", max_severity)
        return prebuilt(container, instance_types, self.region, where, scope)

    def _named(self, image: str, where: str, max_severity: MaxSeverity | None) -> str:
        named = reference(image)
        if named is None:
            mend = "write the name of a repository with a tag or digest, or the whole URI of an image"
            raise Refused(Problem(where, f"is {image!r}, which is no name of an image", mend))
        where_it_lies = named.account_and_region
        if where_it_lies and where_it_lies[1] != self.region:
            found = f"lies in {where_it_lies[1]}, and SageMaker pulls from its own region, {self.region}"
            raise Refused(Problem(where, found, "replicate the repository there, and name that image"))
        if where_it_lies and where_it_lies[0] != self.account:
            return image  # somebody else's: whether it is there only its owner could tell
        images = self.own()
        home = images.home(named.repository)
        if where_it_lies is None and named.registry not in {None, (home or "").partition("/")[0]}:
            return image  # no registry of AWS's
        which = named.digest or named.tag
        # Tags of builds never move, so a name alone means what was built last.
        there = None
        if home:
            there = images.find(named.repository, which) if which else images.newest(named.repository)
        if there is None:
            name = f"{named.repository}{'@' if named.digest else ':' if which else ''}{which or ''}"
            found = f"there is no image {name} in the account's registry"
            mend = "push it first (modelgate build does), or name one that is there"
            raise Refused(Problem(where, found, mend))
        _check_findings(there, max_severity, where)
        return f"{home}@{there.digest}"


def _check_findings(image: Image, worst: MaxSeverity | None, where: str) -> None:
    """
    Raises:
        Refused: its scan found more than is allowed.
        NotYet: its scan is under way.
    """
    if worst is None:
        return
    scan = image.scan or Scan("failed", {}, "its repository does not scan on push")
    if scan.status == "pending":
        raise NotYet(f"the image {image.repository}@{image.digest} is still being scanned")
    wrong = too_severe(scan, worst)
    if wrong is not None:
        found = f"names {image.repository}, and {wrong}"
        mend = "build it anew on an image without them, or allow them in the policy: image.max_severity"
        raise Refused(Problem(where, found, mend))


def prebuilt(
    container: Container,
    instance_types: Iterable[str],
    region: str,
    where: str,
    scope: Scope = "inference",
) -> str:
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
            scope=scope,
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
