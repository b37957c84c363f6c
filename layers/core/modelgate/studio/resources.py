"""What a domain is made of, as a document wants it and as SageMaker has it. Pure.

Everything is told in the same few words, so that the planner needs no rule of its own for each kind:

- ``settings`` is flat: by the document's own names (``jupyterlab.idle_minutes``), with a text, a number, a
  boolean, or a tuple of texts. A domain has its own settings (``subnets``), those that profiles fall back to
  (``profiles.jupyterlab.idle_minutes``), and those that spaces without an owner's settings do (``spaces.…``).
- ``fixed`` is what SageMaker can never change on a resource that is there.

`modelgate.aws.studio` translates both to and from SageMaker's structures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from modelgate.values import dataclass

Value = str | int | bool | tuple[str, ...]
Settings = Mapping[str, Value]

# Which document made it, beside the stack's tag.
DOMAIN_TAG = "modelgate:domain"
# Tags of these beginnings are nobody's to write in a document.
RESERVED_TAGS = ("aws:", "modelgate:", "sagemaker:")

DEFAULT_INSTANCE = "ml.t3.medium"


class Kind(StrEnum):
    """What there is, in the order in which it is made; it is deleted in the opposite order."""

    LIFECYCLE_CONFIGURATION = "lifecycle configuration"
    DOMAIN = "domain"
    PROFILE = "user profile"
    SPACE = "space"
    APP = "app"


@dataclass(frozen=True)
class Ref:
    """One of them.

    Attributes:
        name: as SageMaker has it; of an app ``<profile or space>/<type>/<name>``.
    """

    kind: Kind
    name: str

    @property
    def key(self) -> tuple[Kind, str]:
        """What tells it from others; SageMaker takes names without regard to case."""
        return self.kind, self.name.lower()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Wanted:
    """What a document asks for.

    Attributes:
        fixed: what can never be changed; a key that stands here and differs there is refused.
        settings: of a domain all that is held; of a profile or a space what the document says of it.
        tags: besides Modelgate's own.
    """

    ref: Ref
    fixed: Settings = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class There:
    """What SageMaker has.

    Attributes:
        arn: its ARN.
        status: SageMaker's word: Pending, InService, Failed, Updating, Update_Failed, Deleting,
            Delete_Failed. A lifecycle configuration is always InService.
        failure_reason: empty where there is none.
        fixed, settings: as in `Wanted`, as far as SageMaker says so explicitly. Of a domain there is always
            a value: SageMaker's default where it says nothing.
        tags: all of them.
        owner: of a space, the profile that owns it; of an app, the profile or the space that it runs in.
        source: SageMaker's own structure, for whoever changes a part of it. Nobody else looks at it.
    """

    ref: Ref
    arn: str
    status: str = "InService"
    failure_reason: str = ""
    fixed: Settings = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    owner: Ref | None = None
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_moving(self) -> bool:
        """Whether SageMaker is at work on it, so that nothing can be asked of it now."""
        return self.status in {"Pending", "Updating", "Deleting"}


@dataclass(frozen=True)
class Found:
    """What there is of a domain, all of it at about the same time.

    Attributes:
        domain_id: SageMaker's id of it; empty where there is none.
        resources: domain, profiles, spaces, apps that are not Deleted, and the lifecycle configurations
            whose names begin as the document's would. Empty where there is no domain and no such
            configuration.
        others: the ids of further domains of the same name.
    """

    domain_id: str = ""
    resources: tuple[There, ...] = ()
    others: tuple[str, ...] = ()

    def get(self, ref: Ref) -> There | None:
        return next((each for each in self.resources if each.ref.key == ref.key), None)

    def of(self, kind: Kind) -> tuple[There, ...]:
        """All of a kind, by name."""
        return tuple(sorted((each for each in self.resources if each.ref.kind is kind), key=_by_name))


def _by_name(there: There) -> str:
    return there.ref.name.lower()
