"""`wanted(document) -> what SageMaker should have`: names resolved, defaults filled in. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from modelgate.studio.document import LANDING_URI, MEMBERS_MAY_TAG, MEMBERS_TAG, SharedSpace, members_tag
from modelgate.studio.resources import Kind, Ref, Settings, Value, Wanted
from modelgate.studio.vocabulary import FOR_PROFILES, FOR_SPACES, OF_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelgate.studio.document import Domain, LifecycleConfiguration, PrivateSpace, StudioDocument

_AUTHENTICATION = {"iam": "IAM", "sso": "SSO"}
_NETWORK = {"public": "PublicInternetOnly", "vpc_only": "VpcOnly"}
_HASH_LENGTH = 8
_LIFECYCLE_KEYS = ("lifecycle", "default_lifecycle")


def wanted(document: StudioDocument, domain: str, sagemaker_arn: str, role: str) -> tuple[Wanted, ...]:
    """Everything that the document asks for, in the order in which it is made.

    Args:
        domain: the document's name.
        sagemaker_arn: what ARNs of this account and region begin with,
            ``arn:aws:sagemaker:<region>:<account>``.
        role: the ARN of the execution role of a document that names none.
    """
    if document.domain is None:
        return ()
    naming = _Naming(domain, sagemaker_arn, document.lifecycle_configurations)
    return (
        *naming.configurations(),
        _domain(document, document.domain, domain, role, naming),
        *_profiles(document, naming),
        *_spaces(document, naming),
    )


class _Naming:
    """The lifecycle configurations of a document, by its own names for them."""

    def __init__(self, domain: str, arn: str, configurations: Mapping[str, LifecycleConfiguration]) -> None:
        self._arn = arn
        self._configurations = {
            name: (lifecycle_name(domain, name, each.app, each.script), each)
            for name, each in sorted(configurations.items())
        }

    def configurations(self) -> Iterable[Wanted]:
        for name, each in self._configurations.values():
            fixed: Settings = {"app": each.app, "script": each.script}
            yield Wanted(Ref(Kind.LIFECYCLE_CONFIGURATION, name), fixed)

    def resolved(self, said: Settings) -> dict[str, Value]:
        """The same settings, with ARNs for names."""
        return {
            key: self._resolved(value) if key.rpartition(".")[2] in _LIFECYCLE_KEYS else value
            for key, value in said.items()
        }

    def _resolved(self, value: Value) -> Value:
        if isinstance(value, tuple):
            return tuple(map(self._arn_of, value))
        return self._arn_of(value) if isinstance(value, str) else value

    def _arn_of(self, name: str) -> str:
        if name in self._configurations:
            # As SageMaker writes it.
            return f"{self._arn}:studio-lifecycle-config/{self._configurations[name][0].lower()}"
        return name


def lifecycle_name(domain: str, name: str, app: str, script: str) -> str:
    """What a lifecycle configuration of a document is called: another content has another name."""
    content = hashlib.sha256(f"{app}\n{script}".encode()).hexdigest()[:_HASH_LENGTH]
    return f"{domain}-{name}-{content}"


def _domain(document: StudioDocument, domain: Domain, name: str, role: str, naming: _Naming) -> Wanted:
    role = domain.execution_role or role
    profiles: dict[str, Value] = {
        "execution_role": role,
        "landing_uri": LANDING_URI,
        **domain.profile_settings.said(),
    }
    spaces = domain.space_settings.said()
    if document.spaces.shared:
        spaces.setdefault("execution_role", role)
    settings: dict[str, Value] = {
        **OF_DOMAIN,
        "subnets": tuple(sorted(set(domain.network.subnets))),
        "network": _NETWORK[domain.network.access],
        "tag_propagation": domain.tag_propagation,
        **{f"{FOR_PROFILES}{key}": value for key, value in naming.resolved(profiles).items()},
        **{f"{FOR_SPACES}{key}": value for key, value in naming.resolved(spaces).items()},
    }
    if "execution_role" not in spaces:
        # Only shared spaces need one, and SageMaker takes none away: the one that is there stays.
        del settings[f"{FOR_SPACES}execution_role"]
    fixed: Settings = {
        "authentication": _AUTHENTICATION[domain.authentication],
        "vpc": domain.network.vpc,
        "kms_key": domain.kms_key or "",
    }
    return Wanted(Ref(Kind.DOMAIN, name), fixed, settings, domain.tags)


def _profiles(document: StudioDocument, naming: _Naming) -> Iterable[Wanted]:
    for profile in sorted(document.profiles, key=lambda each: each.name.lower()):
        settings = naming.resolved(document.settings_of(profile))
        fixed: Settings = {"sso_user": profile.sso_user}
        yield Wanted(Ref(Kind.PROFILE, profile.name), fixed, settings, document.tags_of(profile))


def _spaces(document: StudioDocument, naming: _Naming) -> Iterable[Wanted]:
    spaces: list[PrivateSpace | SharedSpace] = [space for _, space in document.private_spaces()]
    spaces += document.spaces.shared
    names = {profile.name.lower(): profile.name for profile in document.profiles}
    for space in sorted(spaces, key=lambda each: each.name.lower()):
        tags = dict(space.tags)
        if isinstance(space, SharedSpace):
            tags |= {MEMBERS_TAG: members_tag(space), MEMBERS_MAY_TAG: space.members_may}
        fixed: Settings = {
            "app": space.app,
            "sharing": "Shared" if isinstance(space, SharedSpace) else "Private",
            "owner": names.get(space.owner.lower(), space.owner),
        }
        yield Wanted(Ref(Kind.SPACE, space.name), fixed, naming.resolved(space.said()), tags)
