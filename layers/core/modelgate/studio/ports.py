"""What a domain needs from SageMaker. `modelgate.aws.studio` has the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelgate.studio.resources import Found, Settings, There, Wanted


class Studio(Protocol):
    """Amazon SageMaker Studio: domains, user profiles, spaces, apps, lifecycle configurations.

    What is asked for takes its time; nothing here waits for it.
    """

    def find(self, name: str, domain_id: str = "") -> Found:
        """What there is of the domain of that id; or of the only one of that name.

        Of several of the name, it is the one that carries the tags of this stack and of that name; where no
        single one does, the first, and the others are told in ``others``.

        Args:
            name: DomainName.
            domain_id: where it is known. A domain that is gone is looked for by its name.
        """

    def make(self, wanted: Wanted, domain_id: str, tags: Mapping[str, str]) -> str:
        """Asks for a new resource; the domain's id.

        Args:
            domain_id: empty for a domain, and for a lifecycle configuration.
            tags: all tags.

        Raises:
            AlreadyExists: there is one of that name.
            Throttled: the domain, or what it needs, is not InService yet.
            Invalid, NotFound: SageMaker does not take what the document says.
            LimitReached, Forbidden.
        """

    def change(self, there: There, domain_id: str, settings: Settings) -> None:
        """Changes these settings of a resource; all others stay as ``there`` has them.

        Raises:
            NotFound: it is gone.
            Throttled: it is not InService, or apps are in the way.
            Invalid: SageMaker does not take what the document says.
        """

    def delete(self, there: There, domain_id: str, *, with_home: bool = False) -> None:
        """Asks for a deletion; does nothing when it is gone.

        Args:
            with_home: of a domain, whether its home file system goes with it, with everything in it.

        Raises:
            Throttled: something is in it still.
        """

    def retag(self, there: There, put: Mapping[str, str], gone: Sequence[str]) -> None:
        """Puts tags on a resource, and takes those of the keys in ``gone`` away.

        Raises:
            NotFound: it is gone.
        """
