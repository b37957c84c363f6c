"""What is in Studio, and how it is told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from localcloud.sagemaker.studio.states import APP_TRANSITIONS, TRANSITIONS, Happening, Status

Kind = Literal["Domain", "UserProfile", "Space", "App"]

# "DescribeApp": SageMaker deletes what it knows of an app that was shut down 24 hours ago.
_REMEMBERED = dt.timedelta(hours=24)


@dataclass
class Entity:
    """A domain, a user profile, a space or an app.

    Attributes:
        content: the members that it was made with, and those that updates changed.
        failure: why what was asked last did not succeed.
    """

    kind: ClassVar[Kind]
    transitions: ClassVar[Mapping[tuple[Status, Happening], Status]] = TRANSITIONS

    domain_id: str
    name: str
    arn: str
    content: dict[str, Any]
    created: dt.datetime
    modified: dt.datetime
    status: Status = field(default="Pending", init=False)
    failure: str | None = field(default=None, init=False)

    def after(self, happening: Happening) -> Status | None:
        """The state that would follow; None if this cannot happen now."""
        return self.transitions.get((self.status, happening))

    def move(self, happening: Happening, now: dt.datetime, failure: str | None = None) -> None:
        """Let something happen that can."""
        self.status = self.transitions[self.status, happening]
        self.failure = failure
        self.modified = now

    def answers_to(self, name: str) -> bool:
        """Whether a person would call it so."""
        return self.name.lower() == name.lower()

    def _told(self) -> dict[str, Any]:
        times = {"CreationTime": self.created, "LastModifiedTime": self.modified}
        failure = {"FailureReason": self.failure} if self.failure else {}
        return {"DomainId": self.domain_id, "Status": self.status, **times, **failure}


@dataclass
class Domain(Entity):
    """A domain.

    Attributes:
        file_system: the id of the home EFS file system; None before there is one.
        given_out: how many homes in the file system were given to profiles and spaces.
    """

    kind: ClassVar[Kind] = "Domain"

    url: str = ""
    file_system: str | None = None
    given_out: int = 0

    @property
    def by_sso(self) -> bool:
        """Whether its users come from IAM Identity Center."""
        return bool(self.content["AuthMode"] == "SSO")

    @property
    def user_settings(self) -> Mapping[str, Any]:
        """What holds for profiles that do not say otherwise."""
        found: Mapping[str, Any] = self.content["DefaultUserSettings"]
        return found

    def next_uid(self) -> str:
        """The POSIX id of one more home in the file system."""
        self.given_out += 1
        return str(200000 + self.given_out)

    def answers_to(self, name: str) -> bool:
        """Whether this is its name or its id."""
        return name == self.domain_id or super().answers_to(name)

    def described(self) -> dict[str, Any]:
        """As DescribeDomain tells it."""
        home = {"HomeEfsFileSystemId": self.file_system} if self.file_system else {}
        return {**self.content, **self._identified(), **self._told(), **home}

    def summary(self) -> dict[str, Any]:
        """As ListDomains tells it."""
        told = self._told()
        told.pop("FailureReason", None)
        return {**self._identified(), **told}

    def _identified(self) -> dict[str, Any]:
        return {"DomainArn": self.arn, "DomainName": self.name, "Url": self.url}


@dataclass
class UserProfile(Entity):
    """A user profile.

    Attributes:
        uid: whose home it has in the domain's file system; None without one.
    """

    kind: ClassVar[Kind] = "UserProfile"

    uid: str | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its own settings, without what it has from its domain."""
        return self.content.get("UserSettings") or {}

    def described(self) -> dict[str, Any]:
        """As DescribeUserProfile tells it."""
        home = {"HomeEfsFileSystemUid": self.uid} if self.uid else {}
        named = {"UserProfileArn": self.arn, "UserProfileName": self.name}
        return {**self.content, **named, **self._told(), **home}

    def summary(self) -> dict[str, Any]:
        """As ListUserProfiles tells it."""
        told = self._told()
        told.pop("FailureReason", None)
        return {"UserProfileName": self.name, **told}


@dataclass
class Space(Entity):
    """A space.

    Attributes:
        uid: whose home it has in the domain's file system; None without one.
    """

    kind: ClassVar[Kind] = "Space"

    url: str = ""
    uid: str | None = None

    @property
    def owner(self) -> str | None:
        """The name of the user profile that it belongs to."""
        found = (self.content.get("OwnershipSettings") or {}).get("OwnerUserProfileName")
        return None if found is None else str(found)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its settings."""
        return self.content.get("SpaceSettings") or {}

    @property
    def app_type(self) -> str | None:
        """What runs in it; None for a space that says nothing of it."""
        found = self.settings.get("AppType")
        return None if found is None else str(found)

    def described(self) -> dict[str, Any]:
        """As DescribeSpace tells it."""
        home = {"HomeEfsFileSystemUid": self.uid} if self.uid else {}
        named = {"SpaceArn": self.arn, "SpaceName": self.name, "Url": self.url}
        return {**self.content, **named, **self._told(), **home}

    def summary(self) -> dict[str, Any]:
        """As ListSpaces tells it."""
        told = self._told()
        told.pop("FailureReason", None)
        members = ("AppType", "RemoteAccess", "SpaceStorageSettings")
        parts = {
            "SpaceSettingsSummary": {key: self.settings[key] for key in members if key in self.settings},
            "SpaceSharingSettingsSummary": self.content.get("SpaceSharingSettings"),
            "OwnershipSettingsSummary": self.content.get("OwnershipSettings"),
            "SpaceDisplayName": self.content.get("SpaceDisplayName"),
        }
        return {"SpaceName": self.name, **told, **{key: part for key, part in parts.items() if part}}


@dataclass
class App(Entity):
    """An app of a user profile or of a space.

    Attributes:
        owner: the member that names whose it is, ``UserProfileName`` or ``SpaceName``, and the name.
    """

    kind: ClassVar[Kind] = "App"
    transitions: ClassVar[Mapping[tuple[Status, Happening], Status]] = APP_TRANSITIONS

    app_type: str = ""
    owner: tuple[str, str] = ("", "")

    @property
    def lives(self) -> bool:
        """Whether it is there: one that failed was deleted by SageMaker itself."""
        return self.status not in {"Deleted", "Failed"}

    def remembered(self, now: dt.datetime) -> bool:
        """Whether SageMaker still tells of it."""
        return self.lives or now - self.modified < _REMEMBERED

    def answers_to(self, name: str) -> bool:
        """Whether this is its name or that of its user profile or space."""
        return super().answers_to(name) or self.owner[1].lower() == name.lower()

    def described(self) -> dict[str, Any]:
        """As DescribeApp tells it."""
        told = self._told()
        del told["LastModifiedTime"]
        seen = dict.fromkeys(("LastHealthCheckTimestamp", "LastUserActivityTimestamp"), self.modified)
        return {
            **self.content,
            **self._named(),
            "AppArn": self.arn,
            **told,
            **(seen if self.status == "InService" else {}),
        }

    def summary(self) -> dict[str, Any]:
        """As ListApps tells it."""
        spec = {"ResourceSpec": self.content["ResourceSpec"]} if "ResourceSpec" in self.content else {}
        told = {"DomainId": self.domain_id, "Status": self.status, "CreationTime": self.created}
        return {**self._named(), **told, **spec}

    def _named(self) -> dict[str, Any]:
        return {"AppName": self.name, "AppType": self.app_type, self.owner[0]: self.owner[1]}


@dataclass(frozen=True)
class LifecycleConfig:
    """A lifecycle configuration, which never changes."""

    name: str
    arn: str
    content: str
    app_type: str
    created: dt.datetime

    def summary(self) -> dict[str, Any]:
        """As ListStudioLifecycleConfigs tells it."""
        return {
            "StudioLifecycleConfigName": self.name,
            "StudioLifecycleConfigArn": self.arn,
            "StudioLifecycleConfigAppType": self.app_type,
            "CreationTime": self.created,
            "LastModifiedTime": self.created,
        }

    def described(self) -> dict[str, Any]:
        """As DescribeStudioLifecycleConfig tells it."""
        return {**self.summary(), "StudioLifecycleConfigContent": self.content}
