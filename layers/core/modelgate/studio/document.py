"""`studio/<domain>.yaml`: a Studio domain, its user profiles and its spaces. Pure.

The shapes are pydantic's; what has to hold between its parts (`check`) is told all at once.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from modelgate import documents
from modelgate.documents import Document
from modelgate.errors import Problem, Refused
from modelgate.identifiers import kms_key, security_group, subnet, tags
from modelgate.studio.resources import RESERVED_TAGS, Value
from modelgate.studio.vocabulary import APP_TYPES, LEAST_IDLE_MINUTES, MOST_IDLE_MINUTES, OF_PROFILES
from modelgate.submission import SAGEMAKER_NAME

_ABOVE, _ENDING = "studio/", ".yaml"
PRIVATE = "-private"
# People who come to a new domain find Studio there, and not Studio Classic.
LANDING_URI = "studio::"
MEMBERS_TAG, MEMBERS_MAY_TAG = "modelgate:members", "modelgate:members-may"

_LONGEST_NAME = 63
_LONGEST_TAG = 256
_MOST_TAGS = 46  # of SageMaker's 50; the rest are Modelgate's own
_LONGEST_SCRIPT = 16_384  # in base64
_HASH_LENGTH = 8
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z_0-9+=,.@/_-]+")
_DOMAIN_ID = re.compile(r"d-[a-z0-9](-*[a-z0-9]){0,60}")
_LIFECYCLE_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:studio-lifecycle-config/.+")
_REPOSITORY = re.compile(r"https://([.\-_a-zA-Z0-9]+/?){3,1016}")
_INSTANCE = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9]+")
_SPACE_APP = Literal["JupyterLab", "CodeEditor"]


def key_of(domain: str) -> str:
    """Where the document of a domain lies in the bucket."""
    return f"{_ABOVE}{domain}{_ENDING}"


def name_of(key: str) -> str:
    """Whose document lies under this key."""
    return key.removeprefix(_ABOVE).removesuffix(_ENDING)


def check_name(domain: str) -> None:
    """Raises `Refused` where SageMaker would not take the document's name for a domain."""
    if found := _no_name(domain):
        raise Refused(Problem(key_of(domain), f"is named after a domain that {found}", _NAME_MEND))


# ── parts ─────────────────────────────────────────────────────────────────────────────────────────
def _role(arn: str) -> str:
    if not _ROLE.fullmatch(arn):
        raise ValueError(f"is {arn!r}, no role; write one such as arn:aws:iam::123456789012:role/studio")
    return arn


def _instance(name: str) -> str:
    if not _INSTANCE.fullmatch(name):
        raise ValueError(f"is {name!r}, no instance type of SageMaker's; write one such as ml.t3.medium")
    return name


def _repository(url: str) -> str:
    if not _REPOSITORY.fullmatch(url):
        raise ValueError(f"is {url!r}, which SageMaker does not clone; write https://host/path")
    return url


def _tags(given: dict[str, str]) -> dict[str, str]:
    return tags(given, RESERVED_TAGS)


def _idle(minutes: int) -> int:
    if minutes and not LEAST_IDLE_MINUTES <= minutes <= MOST_IDLE_MINUTES:
        mend = f"write {LEAST_IDLE_MINUTES} to {MOST_IDLE_MINUTES}, or 0 for never"
        raise ValueError(f"is {minutes}, which SageMaker does not take; {mend}")
    return minutes


def _one_line(name: str) -> str:
    if not name.strip() or len(name.splitlines()) > 1:
        raise ValueError(f"is {name!r}, no line to read; write one, or leave it out")
    return name


Role = Annotated[str, AfterValidator(_role)]
KmsKey = Annotated[str, AfterValidator(kms_key), Field(max_length=2048)]
Instance = Annotated[str, AfterValidator(_instance)]
Tags = Annotated[dict[str, str], AfterValidator(_tags), Field(max_length=_MOST_TAGS)]
Repositories = Annotated[list[Annotated[str, AfterValidator(_repository)]], Field(max_length=10)]
Minutes = Annotated[int, Field(ge=LEAST_IDLE_MINUTES, le=MOST_IDLE_MINUTES)]
Gigabytes = Annotated[int, Field(ge=5, le=16_384)]
SecurityGroups = Annotated[list[Annotated[str, AfterValidator(security_group)]], Field(max_length=5)]


class IdleShutdown(Document):
    """When an app that nobody uses is ended.

    Attributes:
        after_minutes: how long it may be idle; 0: it is never ended.
        least_minutes, most_minutes: what people may choose for their own spaces.
    """

    after_minutes: Annotated[int, AfterValidator(_idle)]
    least_minutes: Minutes = LEAST_IDLE_MINUTES
    most_minutes: Minutes = MOST_IDLE_MINUTES

    @model_validator(mode="after")
    def _within(self) -> IdleShutdown:
        after, least, most = self.after_minutes, self.least_minutes, self.most_minutes
        if least > most:
            raise ValueError(f"has least_minutes: {least} above most_minutes: {most}; exchange them")
        if after and not least <= after <= most:
            raise ValueError(
                f"has after_minutes: {after}, outside {least} to {most}; write it between the two, or others"
            )
        return self


class AppSettings(Document):
    """What an app of one type is started with.

    Attributes:
        instance: the instance type.
        lifecycle: the lifecycle configurations that may be chosen, by the document's names or by ARN.
        default_lifecycle: which of them runs where nobody chooses.
        idle_shutdown: a number is short for ``after_minutes``.
    """

    instance: Instance | None = None
    lifecycle: list[str] | None = None
    default_lifecycle: str | None = Field(default=None, min_length=1)
    idle_shutdown: IdleShutdown | None = None

    @field_validator("idle_shutdown", mode="before")
    @classmethod
    def _short_for_minutes(cls, value: object) -> object:
        return {"after_minutes": value} if isinstance(value, int) and not isinstance(value, bool) else value

    def said(self, name: str) -> dict[str, Value]:
        """By the names of the vocabulary, as far as anything is said."""
        said: dict[str, Value] = {}
        if self.instance is not None:
            said["instance"] = self.instance
        if self.lifecycle is not None:
            said["lifecycle"] = tuple(self.lifecycle)
        if self.default_lifecycle is not None:
            said["default_lifecycle"] = self.default_lifecycle
        if self.idle_shutdown is not None:
            said["idle_minutes"] = self.idle_shutdown.after_minutes
            said["least_idle_minutes"] = self.idle_shutdown.least_minutes
            said["most_idle_minutes"] = self.idle_shutdown.most_minutes
        return {f"{name}.{key}": value for key, value in said.items()}


class JupyterLab(AppSettings):
    """JupyterLab.

    Attributes:
        repositories: URLs of git repositories that are offered to be cloned.
    """

    repositories: Repositories | None = None

    def said(self, name: str) -> dict[str, Value]:
        said = super().said(name)
        return (
            said if self.repositories is None else {**said, f"{name}.repositories": tuple(self.repositories)}
        )


class Storage(Document):
    """The volumes of spaces, in GB: what one has at first, and the most that its owner may choose."""

    default_gb: Gigabytes
    most_gb: Gigabytes

    @model_validator(mode="after")
    def _within(self) -> Storage:
        if self.default_gb > self.most_gb:
            raise ValueError(
                f"has default_gb: {self.default_gb} above most_gb: {self.most_gb}; exchange them"
            )
        return self


class SpaceDefaults(Document):
    """What apps in shared spaces are started with: SageMaker's DefaultSpaceSettings."""

    execution_role: Role | None = None
    security_groups: SecurityGroups | None = None
    jupyterlab: JupyterLab | None = None
    storage: Storage | None = None

    def said(self) -> dict[str, Value]:
        """By the names of the vocabulary, as far as anything is said."""
        said: dict[str, Value] = {}
        if self.execution_role is not None:
            said["execution_role"] = self.execution_role
        if self.security_groups is not None:
            said["security_groups"] = tuple(sorted(set(self.security_groups)))
        if self.jupyterlab is not None:
            said |= self.jupyterlab.said("jupyterlab")
        if self.storage is not None:
            said |= {"storage.default_gb": self.storage.default_gb, "storage.most_gb": self.storage.most_gb}
        return said


class ProfileSettings(SpaceDefaults):
    """What people find in Studio: SageMaker's UserSettings.

    Attributes:
        apps: the types of apps that are shown; all of them where it is left out.
        landing_uri: where people come to; ``studio::`` is Studio, ``app:JupyterServer:`` Studio Classic.
        web_portal: whether Studio can be reached at all.
    """

    apps: list[Literal[APP_TYPES]] | None = None  # type: ignore[valid-type]
    landing_uri: str | None = Field(default=None, max_length=1023)
    web_portal: bool | None = None
    code_editor: AppSettings | None = None

    def said(self) -> dict[str, Value]:
        said = super().said()
        if self.apps is not None:
            said["hidden_apps"] = tuple(sorted(set(APP_TYPES) - set(self.apps)))
        if self.landing_uri is not None:
            said["landing_uri"] = self.landing_uri
        if self.web_portal is not None:
            said["web_portal"] = self.web_portal
        if self.code_editor is not None:
            said |= self.code_editor.said("code_editor")
        return said


class Network(Document):
    """Where the domain's file system and, with ``vpc_only``, its apps are attached."""

    vpc: str = Field(pattern=r"^vpc-[0-9a-z]{1,28}$")
    subnets: list[Annotated[str, AfterValidator(subnet)]] = Field(min_length=1, max_length=16)
    access: Literal["public", "vpc_only"] = "public"


class Domain(Document):
    """The domain.

    Attributes:
        authentication: how people come in; SageMaker can never change it.
        execution_role: the role of everything that people start; the stack's own where it is left out.
        kms_key: encrypts file system and volumes; SageMaker can never change it.
        tag_propagation: whether tags go on to what is made from within Studio.
        profile_settings: of profiles that do not say otherwise.
        space_settings: of shared spaces.
    """

    authentication: Literal["iam", "sso"] = "iam"
    network: Network
    execution_role: Role | None = None
    kms_key: KmsKey | None = None
    tag_propagation: bool = False
    tags: Tags = Field(default={})
    profile_settings: ProfileSettings = Field(default_factory=ProfileSettings)
    space_settings: SpaceDefaults = Field(default_factory=SpaceDefaults)


class LifecycleConfiguration(Document):
    """A script that runs when an app starts.

    Attributes:
        app: the type of the app.
        script: its content; another content is another configuration.
    """

    app: _SPACE_APP
    script: str = Field(min_length=1)

    @field_validator("script")
    @classmethod
    def _short_enough(cls, script: str) -> str:
        length = len(base64.b64encode(script.encode()))
        if length > _LONGEST_SCRIPT:
            raise ValueError(
                f"is {length} characters long in base64, and SageMaker takes {_LONGEST_SCRIPT}; have it "
                "download the rest"
            )
        return script


class Group(ProfileSettings):
    """Settings and tags that several profiles share."""

    tags: Tags = Field(default={})


class Profile(ProfileSettings):
    """A person.

    Attributes:
        name: UserProfileName; of ``sso_user`` what can stand in a name, where it is left out.
        sso_user: the user in IAM Identity Center.
        groups: whose settings it has, where it says nothing itself.
    """

    name: str = ""
    sso_user: str = Field(default="", max_length=256)
    groups: list[str] = Field(default=[])
    tags: Tags = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: object) -> object:
        if isinstance(content, dict) and "name" not in content:
            if not isinstance(user := content.get("sso_user"), str):
                raise ValueError("has neither name nor sso_user; add one of them")
            readable = re.sub(r"[^a-zA-Z0-9]+", "-", user).strip("-")[:_LONGEST_NAME].strip("-")
            return {**content, "name": readable}
        return content


class SpaceContent(Document):
    """What is in a space. What is left out is its owner's to choose.

    Attributes:
        storage_gb: its volume, at least.
        lifecycle: the lifecycle configuration that runs.
        idle_minutes: after which its app is ended.
    """

    app: _SPACE_APP
    instance: Instance | None = None
    storage_gb: Gigabytes | None = None
    lifecycle: str | None = None
    idle_minutes: Minutes | None = None
    repositories: Repositories | None = None
    tags: Tags = Field(default={})

    @model_validator(mode="after")
    def _clones(self) -> SpaceContent:
        if self.repositories and self.app != "JupyterLab":
            raise ValueError(f"has repositories, which {self.app} does not clone; leave them out")
        return self

    def said(self) -> dict[str, Value]:
        """By the names of the vocabulary, as far as anything is said."""
        keys = ("instance", "storage_gb", "lifecycle", "idle_minutes")
        said: dict[str, Value] = {key: value for key in keys if (value := getattr(self, key)) is not None}
        return said if self.repositories is None else {**said, "repositories": tuple(self.repositories)}


class _NamedSpace(SpaceContent):
    name: str
    owner: str
    display_name: Annotated[str, AfterValidator(_one_line), Field(max_length=64)] | None = None

    @field_validator("owner", mode="before")
    @classmethod
    def _one(cls, owner: object) -> object:
        if isinstance(owner, list):
            raise ValueError(  # noqa: TRY004  pydantic makes a problem of it
                f"names {len(owner)} owners, and a space has one; write one of them, and the others as "
                "members of a shared space"
            )
        return owner

    def said(self) -> dict[str, Value]:
        said = super().said()
        return said if self.display_name is None else {**said, "display_name": self.display_name}


class PrivateSpace(_NamedSpace):
    """A space of one profile."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, content: object) -> object:
        if isinstance(content, dict) and "members" in content:
            raise ValueError("has members, and is private; write it under shared")
        return content


class SharedSpace(_NamedSpace):
    """A space of several.

    Attributes:
        members: who may use it besides its owner; everybody in the domain where it is left out.
        members_may: ``use``: run apps in it; ``change``: also change it.
    """

    app: Literal["JupyterLab"]
    members: list[str] | None = None
    members_may: Literal["use", "change"] = "use"


class Spaces(Document):
    """The domain's spaces.

    Attributes:
        private_for_each_profile: what every profile gets that has none under ``private``; named
            ``<profile>-private``.
    """

    private_for_each_profile: SpaceContent | None = None
    private: list[PrivateSpace] = Field(default=[])
    shared: list[SharedSpace] = Field(default=[])


class StudioDocument(Document):
    """`studio/<domain>.yaml`.

    Attributes:
        adopt: whether what exists under its names is taken over; or the id of the domain that is.
        prune: whether what left the document is deleted.
        delete_home_file_system: whether a domain's home file system goes with it.
        domain: without, nothing is wanted.
    """

    adopt: bool | str = False
    prune: bool = False
    delete_home_file_system: bool = False
    domain: Domain | None = None
    lifecycle_configurations: dict[str, LifecycleConfiguration] = Field(default={})
    groups: dict[str, Group] = Field(default={})
    profiles: list[Profile] = Field(default=[])
    spaces: Spaces = Field(default_factory=Spaces)

    @field_validator("adopt")
    @classmethod
    def _id(cls, adopt: bool | str) -> bool | str:  # noqa: FBT001
        if isinstance(adopt, str) and not _DOMAIN_ID.fullmatch(adopt):
            raise ValueError(f"is {adopt!r}, no domain's id; write true, or an id such as d-abcdefghijkl")
        return adopt

    @property
    def adopted_id(self) -> str:
        """The id of the domain that is to be taken over; empty where none is named."""
        return self.adopt if isinstance(self.adopt, str) else ""

    # ── what its parts come to together ───────────────────────────────────────────────────────
    def settings_of(self, profile: Profile) -> dict[str, Value]:
        """What its groups and itself say of a profile."""
        said: dict[str, Value] = {}
        for name in profile.groups:
            said |= self.groups[name].said() if name in self.groups else {}
        return {**said, **profile.said()}

    def tags_of(self, profile: Profile) -> dict[str, str]:
        tags: dict[str, str] = {}
        for name in profile.groups:
            tags |= self.groups[name].tags if name in self.groups else {}
        return {**tags, **profile.tags}

    def private_spaces(self) -> Iterator[tuple[str, PrivateSpace]]:
        """Every private space, with where it stands in the document."""
        for number, space in enumerate(self.spaces.private):
            yield f"spaces.private.{number}", space
        content = self.spaces.private_for_each_profile
        if content is not None:
            has_one = {space.owner.lower() for space in self.spaces.private}
            for profile in self.profiles:
                if profile.name.lower() not in has_one:
                    told = content.model_dump(exclude_none=True)
                    told |= {"name": f"{profile.name}{PRIVATE}", "owner": profile.name}
                    yield "spaces.private_for_each_profile", PrivateSpace.model_validate(told)


# ── what has to hold between the parts ────────────────────────────────────────────────────────────
def read_document(text: bytes, domain: str) -> StudioDocument:
    """Raises `Refused` with every problem of the document."""
    check_name(domain)
    document = documents.read(text, StudioDocument, key_of(domain))
    problems = [
        # The space that is for each profile would tell the same once for each.
        Problem(f"{key_of(domain)}: {where}", found, mend)
        for where, found, mend in dict.fromkeys(check(document, domain))
    ]
    if problems:
        raise Refused(*problems)
    return document


_Found = tuple[str, str, str]
_NAME_MEND = (
    f"use letters, digits and single hyphens, at most {_LONGEST_NAME}, beginning with a letter or digit"
)


def check(document: StudioDocument, domain: str) -> Iterator[_Found]:
    """What is wrong between the parts: where, what was found, and the mend."""
    yield from _stands_alone(document)
    yield from _names(document, domain)
    yield from _groups(document)
    yield from _sign_in(document)
    yield from _landing(document)
    yield from _lifecycles(document)
    yield from _spaces(document)


def _stands_alone(document: StudioDocument) -> Iterator[_Found]:
    if document.delete_home_file_system and not document.prune:
        yield (
            "delete_home_file_system",
            "is true, and nothing is deleted",
            "write prune: true as well, or leave it out",
        )
    if document.domain is not None:
        yield from _network(document.domain)
        return
    spaces = document.spaces
    parts = {
        "lifecycle_configurations": document.lifecycle_configurations,
        "groups": document.groups,
        "profiles": document.profiles,
        "spaces": spaces.private or spaces.shared or spaces.private_for_each_profile,
    }
    for part, content in parts.items():
        if content:
            yield part, "is there without a domain", "add domain, or leave it out too"


def _network(domain: Domain) -> Iterator[_Found]:
    if domain.network.access == "vpc_only" and not domain.profile_settings.security_groups:
        mend = "name those of the VPC, through which its apps reach the file system and SageMaker"
        yield "domain.profile_settings.security_groups", "is empty, and access is vpc_only", mend


def _names(document: StudioDocument, domain: str) -> Iterator[_Found]:
    for number, profile in enumerate(document.profiles):
        yield from _checked(f"profiles.{number}.name", profile.name)
    for where, space in _all_spaces(document):
        if len(space.name) > _LONGEST_NAME and space.name.endswith(PRIVATE):
            room = _LONGEST_NAME - len(PRIVATE)
            mend = f"shorten the profile's name to {room}, or write its space under private"
            yield (
                where,
                f"{space.name} has {len(space.name)} characters, and SageMaker takes {_LONGEST_NAME}",
                mend,
            )
        else:
            yield from _checked(f"{where}.name", space.name)
    for name in document.groups:
        yield from _checked(f"groups.{name}", name)
    longest = _LONGEST_NAME - len(domain) - _HASH_LENGTH - 2
    for name in document.lifecycle_configurations:
        if len(name) > longest:
            found = (
                f"has {len(name)} characters; with the domain's name and a hash there is room for {longest}"
            )
            yield f"lifecycle_configurations.{name}", found, "choose a shorter name"
        else:
            yield from _checked(f"lifecycle_configurations.{name}", name)
    yield from _twice("profiles", (profile.name for profile in document.profiles), "user profiles")
    yield from _twice("lifecycle_configurations", document.lifecycle_configurations, "of the name")
    users = (profile.sso_user for profile in document.profiles if profile.sso_user)
    yield from _twice("profiles", users, "user profiles of the user")
    yield from _twice("spaces", (space.name for _, space in _all_spaces(document)), "spaces")


def _checked(where: str, name: str) -> Iterator[_Found]:
    if found := _no_name(name):
        yield where, f"is {name[:80]!r}, which {found}", _NAME_MEND


def _no_name(name: str) -> str:
    if len(name) > _LONGEST_NAME:
        return f"has {len(name)} characters, and SageMaker takes {_LONGEST_NAME}"
    return "" if SAGEMAKER_NAME.fullmatch(name) else "is no name that SageMaker takes"


def _twice(where: str, names: Iterable[str], what: str) -> Iterator[_Found]:
    counted = Counter(name.lower() for name in names)
    for name, count in counted.items():
        if count > 1:
            yield (
                where,
                f"has {count} {what} {name!r}, and to SageMaker case makes no difference",
                "keep one of them",
            )


def _groups(document: StudioDocument) -> Iterator[_Found]:
    for number, profile in enumerate(document.profiles):
        where = f"profiles.{number}.groups"
        for name in profile.groups:
            if name not in document.groups:
                yield where, f"names {name!r}, which is no group", _meant(name, document.groups, "groups")
        groups = [document.groups[name] for name in dict.fromkeys(profile.groups) if name in document.groups]
        own = profile.said()
        for key in OF_PROFILES:
            yield from _of_one_mind(where, key, [group.said() for group in groups], own)
        for key in {key: None for group in groups for key in group.tags}:
            yield from _of_one_mind(where, key, [group.tags for group in groups], profile.tags)
        if groups and (count := len(document.tags_of(profile))) > _MOST_TAGS:
            found = f"are {count} with those of its groups, and there is room for {_MOST_TAGS}"
            yield f"profiles.{number}.tags", found, "leave some out, or leave a group out"


def _of_one_mind(where: str, key: str, said: list[Any], own: Mapping[str, Any]) -> Iterator[_Found]:
    values = [each[key] for each in said if key in each]
    if key not in own and any(value != values[0] for value in values):
        found = f"say different things of {key}: {' and '.join(map(str, values))}"
        yield where, found, "write into the profile what holds, or leave a group out"


def _sign_in(document: StudioDocument) -> Iterator[_Found]:
    if document.domain is None:
        return
    sso = document.domain.authentication == "sso"
    for number, profile in enumerate(document.profiles):
        where = f"profiles.{number}.sso_user"
        if sso and not profile.sso_user:
            yield where, "is missing, and authentication is sso", "add the user's name in IAM Identity Center"
        if profile.sso_user and not sso:
            yield (
                where,
                "is given, and authentication is iam",
                "leave it out and write name, or use authentication: sso",
            )


def _landing(document: StudioDocument) -> Iterator[_Found]:
    """SageMaker leads nobody to a Studio that they cannot reach: "UserSettings", DefaultLandingUri."""
    if document.domain is None:
        return
    of_domain = {"landing_uri": LANDING_URI, "web_portal": True, **document.domain.profile_settings.said()}
    places = [("domain.profile_settings", of_domain)]
    for number, profile in enumerate(document.profiles):
        places.append((f"profiles.{number}", document.settings_of(profile)))
    for where, said in places:
        landing = said.get("landing_uri", "")
        reachable = said.get("web_portal", of_domain["web_portal"])
        if not reachable and isinstance(landing, str) and landing.startswith(LANDING_URI):
            found = f"is {landing!r}, and web_portal is false"
            yield f"{where}.landing_uri", found, 'write "app:JupyterServer:", or web_portal: true'


# ── lifecycle configurations ──────────────────────────────────────────────────────────────────────
def _lifecycles(document: StudioDocument) -> Iterator[_Found]:
    if document.domain is None:
        return
    places: list[tuple[str, SpaceDefaults]] = [
        ("domain.profile_settings", document.domain.profile_settings),
        ("domain.space_settings", document.domain.space_settings),
        *((f"groups.{name}", group) for name, group in document.groups.items()),
        *((f"profiles.{number}", profile) for number, profile in enumerate(document.profiles)),
    ]
    for where, settings in places:
        for name, app in (("jupyterlab", "JupyterLab"), ("code_editor", "CodeEditor")):
            said: AppSettings | None = getattr(settings, name, None)
            if said is not None:
                yield from _lifecycle_of(document, f"{where}.{name}", app, said)
    for number, profile in enumerate(document.profiles):
        yield from _not_to_choose(f"profiles.{number}", document.settings_of(profile), profile)
    for where, space in _all_spaces(document):
        if space.lifecycle is not None:
            yield from _named_lifecycle(document, f"{where}.lifecycle", space.app, space.lifecycle)


def _lifecycle_of(document: StudioDocument, where: str, app: str, said: AppSettings) -> Iterator[_Found]:
    for name in said.lifecycle or []:
        yield from _named_lifecycle(document, f"{where}.lifecycle", app, name)
    default = said.default_lifecycle
    if default and said.lifecycle is not None and default not in said.lifecycle:
        yield f"{where}.default_lifecycle", f"is {default!r}, which is not in lifecycle", "add it there"
    elif default:
        yield from _named_lifecycle(document, f"{where}.default_lifecycle", app, default)


def _not_to_choose(where: str, said: Mapping[str, Value], profile: Profile) -> Iterator[_Found]:
    """A default of one group, or of the profile, that is not in the list of another."""
    for name in ("jupyterlab", "code_editor"):
        default, may = said.get(f"{name}.default_lifecycle"), said.get(f"{name}.lifecycle")
        own: AppSettings | None = getattr(profile, name)
        told_there = own is not None and own.default_lifecycle is not None and own.lifecycle is not None
        if default and isinstance(may, tuple) and default not in may and not told_there:
            found = f"is {default!r}, which is not in lifecycle, as its groups say it"
            yield f"{where}.{name}.default_lifecycle", found, "write both into the profile"


def _named_lifecycle(document: StudioDocument, where: str, app: str, name: str) -> Iterator[_Found]:
    if _LIFECYCLE_ARN.fullmatch(name):
        return
    known = document.lifecycle_configurations.get(name)
    if known is None:
        meant = _meant(name, document.lifecycle_configurations, "lifecycle_configurations")
        yield where, f"is {name!r}, which is no lifecycle configuration of the document, and no ARN", meant
    elif known.app != app:
        yield where, f"is {name!r}, which is for {known.app}", f"write one for {app}"


# ── spaces ────────────────────────────────────────────────────────────────────────────────────────
def _all_spaces(document: StudioDocument) -> Iterator[tuple[str, PrivateSpace | SharedSpace]]:
    yield from document.private_spaces()
    for number, space in enumerate(document.spaces.shared):
        yield f"spaces.shared.{number}", space


def _spaces(document: StudioDocument) -> Iterator[_Found]:
    profiles = {profile.name.lower(): profile for profile in document.profiles}
    names = [profile.name for profile in document.profiles]
    for where, space in _all_spaces(document):
        owner = profiles.get(space.owner.lower())
        if owner is None:
            yield (
                f"{where}.owner",
                f"is {space.owner!r}, who is no user profile here",
                _meant(space.owner, names, "profiles"),
            )
        elif document.domain is not None:
            yield from _fits(document, document.domain, where, space, owner)
        if isinstance(space, SharedSpace):
            yield from _members(where, space, names)
        else:
            yield from _anothers(where, space, profiles)


def _anothers(where: str, space: PrivateSpace, profiles: Mapping[str, Profile]) -> Iterator[_Found]:
    """A private space that has the name of another profile's."""
    named_after = space.name.lower().removesuffix(PRIVATE)
    if (
        space.name.lower().endswith(PRIVATE)
        and named_after in profiles
        and named_after != space.owner.lower()
    ):
        found = f"is {space.name!r}, the private space of {named_after}, and its owner is {space.owner!r}"
        yield f"{where}.name", found, f"write owner: {named_after}, or choose another name"


def _members(where: str, space: SharedSpace, names: list[str]) -> Iterator[_Found]:
    known = {name.lower() for name in names}
    for member in space.members or []:
        if member.lower() not in known:
            yield (
                f"{where}.members",
                f"has {member!r}, who is no user profile here",
                _meant(member, names, "profiles"),
            )
        if member.lower() == space.owner.lower():
            yield f"{where}.members", f"has {member!r}, who is the owner", "leave the owner out"
    yield from _twice(f"{where}.members", space.members or [], "members")
    length = len(members_tag(space))
    if length > _LONGEST_TAG:
        found = f"are {len(space.members or [])}, whose names come to {length} characters"
        yield (
            f"{where}.members",
            found,
            f"a tag holds {_LONGEST_TAG}: name fewer, or leave them out for everybody",
        )


def members_tag(space: SharedSpace) -> str:
    """What the tag of a shared space says: ``/`` for everybody, else ``/ben/cleo/``."""
    return "/" if space.members is None else f"/{'/'.join(sorted(space.members))}/"


def _fits(
    document: StudioDocument, domain: Domain, where: str, space: PrivateSpace | SharedSpace, owner: Profile
) -> Iterator[_Found]:
    holds = {**OF_PROFILES, **domain.profile_settings.said(), **document.settings_of(owner)}
    if isinstance(space, SharedSpace):
        holds |= domain.space_settings.said()
    hidden = holds["hidden_apps"]
    if isinstance(hidden, tuple) and space.app in hidden:
        yield (
            f"{where}.app",
            f"is {space.app}, which is hidden for {owner.name}",
            "add it to apps there, or write another",
        )
    most = holds["storage.most_gb"]
    if space.storage_gb is not None and isinstance(most, int) and space.storage_gb > most:
        found = f"is {space.storage_gb}, and {owner.name} may have {most}"
        yield f"{where}.storage_gb", found, "write less, or a larger storage.most_gb"
    app = "jupyterlab" if space.app == "JupyterLab" else "code_editor"
    least, longest = holds[f"{app}.least_idle_minutes"], holds[f"{app}.most_idle_minutes"]
    minutes = space.idle_minutes
    if (
        minutes is not None
        and isinstance(least, int)
        and isinstance(longest, int)
        and not least <= minutes <= longest
    ):
        found = f"is {minutes}, and for {owner.name} {least} to {longest} are allowed"
        yield f"{where}.idle_minutes", found, "write it between the two, or change idle_shutdown there"


def _meant(name: str, known: Iterable[str], what: str) -> str:
    import difflib  # most documents are right

    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}{what} has {', '.join(names) or 'none'}"
