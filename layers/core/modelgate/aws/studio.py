"""Amazon SageMaker Studio: domains, user profiles, spaces, apps, lifecycle configurations.

Every operation stands under its name in the Amazon SageMaker API Reference.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from modelgate.aws import studio_settings
from modelgate.aws.errors import translated
from modelgate.aws.side_by_side import side_by_side
from modelgate.errors import NotFound
from modelgate.names import STACK_TAG
from modelgate.studio.resources import DOMAIN_TAG, Found, Kind, Ref, There
from modelgate.studio.vocabulary import FOR_PROFILES, FOR_SPACES, OF_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_sagemaker import SageMakerClient

    from modelgate.studio.resources import Settings, Value, Wanted

# Such an app is told of for a day, and blocks nothing.
_OVER = {"Deleted", "Failed"}


class SageMakerStudio:
    """A `modelgate.studio.ports.Studio`.

    Args:
        client: the SageMaker client.
        stack: the stack's name.
    """

    def __init__(self, client: SageMakerClient, stack: str) -> None:
        self._client = client
        self._stack = stack

    # ── what there is ─────────────────────────────────────────────────────────────────────────
    def find(self, name: str, domain_id: str = "") -> Found:
        domain, others = self._domain(name, domain_id)
        configs = self._lifecycle_configs(name)
        if domain is None:
            return Found("", configs)
        found_id = str(domain.source["DomainId"])
        looks: list[Callable[[], There | None]] = [
            *(partial(self._profile, found_id, each) for each in self._profile_names(found_id)),
            *(partial(self._space, found_id, each) for each in self._space_names(found_id)),
        ]
        inside = [each for each in side_by_side(looks) if each is not None]
        return Found(found_id, (*configs, domain, *inside, *self._apps(found_id)), others)

    def _domain(self, name: str, domain_id: str) -> tuple[There | None, tuple[str, ...]]:
        if domain_id and (known := self._described_domain(domain_id)):
            return known, ()
        ids = []
        with translated("ListDomains"):
            for page in self._client.get_paginator("list_domains").paginate():
                ids += [
                    each["DomainId"] for each in page["Domains"] if each["DomainName"].lower() == name.lower()
                ]
        described = side_by_side([partial(self._described_domain, each) for each in ids])
        found = sorted((each for each in described if each is not None), key=_created)
        if not found:
            return None, ()
        ours = [each for each in found if self._is_ours(each, name)]
        # Of a domain that is being deleted another one of its name may be there already.
        ours = [each for each in ours if each.status != "Deleting"] or ours
        if len(ours) == 1:
            return ours[0], ()
        chosen = (ours or found)[0]
        return chosen, tuple(str(each.source["DomainId"]) for each in found if each is not chosen)

    def _is_ours(self, domain: There, name: str) -> bool:
        return domain.tags.get(STACK_TAG) == self._stack and domain.tags.get(DOMAIN_TAG) == name

    def _described_domain(self, domain_id: str) -> There | None:
        try:
            with translated("DescribeDomain"):
                told = self._client.describe_domain(DomainId=domain_id)
            tags = self._tags(told["DomainArn"])
        except NotFound:
            return None
        said = {
            **studio_settings.read(studio_settings.DOMAIN, told),
            **_under(
                FOR_PROFILES, studio_settings.read(studio_settings.USER, told.get("DefaultUserSettings", {}))
            ),
            **_under(
                FOR_SPACES,
                studio_settings.read(studio_settings.SPACE_DEFAULTS, told.get("DefaultSpaceSettings", {})),
            ),
        }
        return There(
            Ref(Kind.DOMAIN, told["DomainName"]),
            told["DomainArn"],
            told["Status"],
            told.get("FailureReason", ""),
            fixed={
                "authentication": told["AuthMode"],
                "vpc": told.get("VpcId", ""),
                "kms_key": told.get("KmsKeyId", ""),
            },
            settings={**OF_DOMAIN, **said},
            tags=tags,
            source=dict(told),
        )

    def _profile_names(self, domain_id: str) -> list[str]:
        with translated("ListUserProfiles"):
            pages = self._client.get_paginator("list_user_profiles").paginate(DomainIdEquals=domain_id)
            return [each["UserProfileName"] for page in pages for each in page["UserProfiles"]]

    def _profile(self, domain_id: str, name: str) -> There | None:
        try:
            with translated("DescribeUserProfile"):
                told = self._client.describe_user_profile(DomainId=domain_id, UserProfileName=name)
            tags = self._tags(told["UserProfileArn"])
        except NotFound:
            return None
        return There(
            Ref(Kind.PROFILE, told["UserProfileName"]),
            told["UserProfileArn"],
            told["Status"],
            told.get("FailureReason", ""),
            fixed={"sso_user": told.get("SingleSignOnUserValue", "")},
            settings=studio_settings.read(studio_settings.USER, told.get("UserSettings", {})),
            tags=tags,
            source=dict(told),
        )

    def _space_names(self, domain_id: str) -> list[str]:
        with translated("ListSpaces"):
            pages = self._client.get_paginator("list_spaces").paginate(DomainIdEquals=domain_id)
            return [each["SpaceName"] for page in pages for each in page["Spaces"]]

    def _space(self, domain_id: str, name: str) -> There | None:
        try:
            with translated("DescribeSpace"):
                told = self._client.describe_space(DomainId=domain_id, SpaceName=name)
            tags = self._tags(told["SpaceArn"])
        except NotFound:
            return None
        settings = told.get("SpaceSettings", {})
        app = settings.get("AppType", "")
        owner = told.get("OwnershipSettings", {}).get("OwnerUserProfileName", "")
        said: dict[str, Value] = studio_settings.read(studio_settings.of_space(app), settings)
        if "SpaceDisplayName" in told:
            said["display_name"] = told["SpaceDisplayName"]
        sharing = told.get("SpaceSharingSettings", {}).get("SharingType", "")
        return There(
            Ref(Kind.SPACE, told["SpaceName"]),
            told["SpaceArn"],
            told["Status"],
            told.get("FailureReason", ""),
            fixed={"app": app, "sharing": sharing, "owner": owner},
            settings=said,
            tags=tags,
            owner=Ref(Kind.PROFILE, owner) if owner else None,
            source=dict(told),
        )

    def _apps(self, domain_id: str) -> list[There]:
        with translated("ListApps"):
            pages = self._client.get_paginator("list_apps").paginate(DomainIdEquals=domain_id)
            apps = [each for page in pages for each in page["Apps"]]
        found = []
        for app in apps:
            if app["Status"] in _OVER:
                continue
            space, profile = app.get("SpaceName", ""), app.get("UserProfileName", "")
            owner = Ref(Kind.SPACE, space) if space else Ref(Kind.PROFILE, profile)
            name = f"{owner.name}/{app['AppType']}/{app['AppName']}"
            found.append(There(Ref(Kind.APP, name), "", app["Status"], owner=owner, source=dict(app)))
        return found

    def _lifecycle_configs(self, name: str) -> tuple[There, ...]:
        begins = f"{name}-".lower()
        with translated("ListStudioLifecycleConfigs"):
            # The pattern of NameContains lets no hyphen stand at its end.
            pages = self._client.get_paginator("list_studio_lifecycle_configs").paginate(NameContains=name)
            names = [
                each["StudioLifecycleConfigName"] for page in pages for each in page["StudioLifecycleConfigs"]
            ]
        looks = [partial(self._lifecycle_config, each) for each in names if each.lower().startswith(begins)]
        return tuple(each for each in side_by_side(looks) if each is not None)

    def _lifecycle_config(self, name: str) -> There | None:
        try:
            with translated("DescribeStudioLifecycleConfig"):
                told = self._client.describe_studio_lifecycle_config(StudioLifecycleConfigName=name)
            arn = told["StudioLifecycleConfigArn"]
            tags = self._tags(arn)
        except NotFound:
            return None
        script = _text(told.get("StudioLifecycleConfigContent", ""))
        return There(
            Ref(Kind.LIFECYCLE_CONFIGURATION, told["StudioLifecycleConfigName"]),
            arn,
            fixed={"app": told["StudioLifecycleConfigAppType"], "script": script},
            tags=tags,
        )

    def _tags(self, arn: str) -> dict[str, str]:
        with translated("ListTags"):
            pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    # ── what is asked for ─────────────────────────────────────────────────────────────────────
    def make(self, wanted: Wanted, domain_id: str, tags: Mapping[str, str]) -> str:
        request: dict[str, Any] = {"Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}
        match wanted.ref.kind:
            case Kind.DOMAIN:
                with translated("CreateDomain"):
                    answer = self._client.create_domain(**request, **_new_domain(wanted))
                return answer["DomainArn"].rpartition("/")[2]
            case Kind.PROFILE:
                with translated("CreateUserProfile"):
                    self._client.create_user_profile(DomainId=domain_id, **request, **_new_profile(wanted))
            case Kind.SPACE:
                with translated("CreateSpace"):
                    self._client.create_space(DomainId=domain_id, **request, **_new_space(wanted))
            case Kind.LIFECYCLE_CONFIGURATION:
                with translated("CreateStudioLifecycleConfig"):
                    self._client.create_studio_lifecycle_config(**request, **_new_lifecycle_config(wanted))
            case Kind.APP:
                raise ValueError("apps are people's to make")
        return domain_id

    def change(self, there: There, domain_id: str, settings: Settings) -> None:
        match there.ref.kind:
            case Kind.DOMAIN:
                with translated("UpdateDomain"):
                    self._client.update_domain(DomainId=domain_id, **_changed_domain(there, settings))
            case Kind.PROFILE:
                before = there.source.get("UserSettings", {})
                changed: Any = studio_settings.written(studio_settings.USER, settings, before)
                with translated("UpdateUserProfile"):
                    self._client.update_user_profile(
                        DomainId=domain_id, UserProfileName=there.ref.name, UserSettings=changed
                    )
            case Kind.SPACE:
                with translated("UpdateSpace"):
                    self._client.update_space(
                        DomainId=domain_id, SpaceName=there.ref.name, **_changed_space(there, settings)
                    )
            case _:
                raise ValueError(f"a {there.ref.kind} cannot be changed")

    def delete(self, there: There, domain_id: str, *, with_home: bool = False) -> None:
        with suppress(NotFound):  # somebody was faster
            self._delete(there, domain_id, with_home=with_home)

    def _delete(self, there: There, domain_id: str, *, with_home: bool) -> None:
        name = there.ref.name
        match there.ref.kind:
            case Kind.APP:
                with translated("DeleteApp"):
                    self._client.delete_app(DomainId=domain_id, **_named_app(there))
            case Kind.SPACE:
                with translated("DeleteSpace"):
                    self._client.delete_space(DomainId=domain_id, SpaceName=name)
            case Kind.PROFILE:
                with translated("DeleteUserProfile"):
                    self._client.delete_user_profile(DomainId=domain_id, UserProfileName=name)
            case Kind.LIFECYCLE_CONFIGURATION:
                with translated("DeleteStudioLifecycleConfig"):
                    self._client.delete_studio_lifecycle_config(StudioLifecycleConfigName=name)
            case Kind.DOMAIN:
                with translated("DeleteDomain"):
                    self._client.delete_domain(
                        DomainId=domain_id,
                        RetentionPolicy={"HomeEfsFileSystem": "Delete" if with_home else "Retain"},
                    )

    def retag(self, there: There, put: Mapping[str, str], gone: Sequence[str]) -> None:
        if gone:
            with translated("DeleteTags"):
                self._client.delete_tags(ResourceArn=there.arn, TagKeys=list(gone))
        if put:
            with translated("AddTags"):
                self._client.add_tags(
                    ResourceArn=there.arn, Tags=[{"Key": key, "Value": put[key]} for key in sorted(put)]
                )


# ── requests ──────────────────────────────────────────────────────────────────────────────────────
def _new_domain(wanted: Wanted) -> dict[str, Any]:
    said = {key: value for key, value in wanted.settings.items() if value != OF_DOMAIN[key]}
    _complete_volumes(said, wanted.settings, FOR_PROFILES)
    _complete_volumes(said, wanted.settings, FOR_SPACES)
    request: dict[str, Any] = {
        "DomainName": wanted.ref.name,
        "AuthMode": wanted.fixed["authentication"],
        "DefaultUserSettings": studio_settings.written(studio_settings.USER, _of(FOR_PROFILES, said), {}),
        "AppNetworkAccessType": wanted.settings["network"],
        **studio_settings.written(studio_settings.DOMAIN, _of("", said), {}),
    }
    if spaces := studio_settings.written(studio_settings.SPACE_DEFAULTS, _of(FOR_SPACES, said), {}):
        request["DefaultSpaceSettings"] = spaces
    if vpc := wanted.fixed["vpc"]:
        request["VpcId"] = vpc
    if key := wanted.fixed["kms_key"]:
        request["KmsKeyId"] = key
    return request


def _complete_volumes(said: dict[str, Value], all_of_them: Settings, prefix: str) -> None:
    """SageMaker takes both sizes or none."""
    keys = [f"{prefix}storage.default_gb", f"{prefix}storage.most_gb"]
    if any(key in said for key in keys):
        said |= {key: all_of_them[key] for key in keys}


def _changed_domain(there: There, settings: Settings) -> dict[str, Any]:
    told = there.source
    request = studio_settings.written(studio_settings.DOMAIN, _of("", settings), told)
    users = _of(FOR_PROFILES, settings)
    spaces = _of(FOR_SPACES, settings)
    if users:
        before = told.get("DefaultUserSettings", {})
        request["DefaultUserSettings"] = studio_settings.written(studio_settings.USER, users, before)
    if spaces:
        before = told.get("DefaultSpaceSettings", {})
        request["DefaultSpaceSettings"] = studio_settings.written(
            studio_settings.SPACE_DEFAULTS, spaces, before
        )
    if request.get("AppNetworkAccessType") == "VpcOnly":
        # SageMaker wants to be told all of the network then, though only this changes.
        request.setdefault("SubnetIds", list(told.get("SubnetIds", [])))
        request["VpcId"] = there.fixed["vpc"]
    return request


def _new_profile(wanted: Wanted) -> dict[str, Any]:
    request: dict[str, Any] = {"UserProfileName": wanted.ref.name}
    if user := wanted.fixed["sso_user"]:
        request |= {"SingleSignOnUserIdentifier": "UserName", "SingleSignOnUserValue": user}
    if wanted.settings:
        request["UserSettings"] = studio_settings.written(studio_settings.USER, wanted.settings, {})
    return request


def _new_space(wanted: Wanted) -> dict[str, Any]:
    app = str(wanted.fixed["app"])
    said = {key: value for key, value in wanted.settings.items() if key != "display_name"}
    settings = studio_settings.written(studio_settings.of_space(app), said, {})
    request: dict[str, Any] = {
        "SpaceName": wanted.ref.name,
        "OwnershipSettings": {"OwnerUserProfileName": wanted.fixed["owner"]},
        "SpaceSharingSettings": {"SharingType": wanted.fixed["sharing"]},
        "SpaceSettings": {"AppType": app, **settings},
    }
    if "display_name" in wanted.settings:
        request["SpaceDisplayName"] = wanted.settings["display_name"]
    return request


def _changed_space(there: There, settings: Settings) -> dict[str, Any]:
    said = {key: value for key, value in settings.items() if key != "display_name"}
    request: dict[str, Any] = {}
    if said:
        # Not even the same AppType is taken here.
        table = studio_settings.of_space(str(there.fixed["app"]))
        before = there.source.get("SpaceSettings", {})
        request["SpaceSettings"] = studio_settings.written(table, said, before)
    if "display_name" in settings:
        request["SpaceDisplayName"] = settings["display_name"]
    return request


def _new_lifecycle_config(wanted: Wanted) -> dict[str, Any]:
    return {
        "StudioLifecycleConfigName": wanted.ref.name,
        "StudioLifecycleConfigContent": base64.b64encode(str(wanted.fixed["script"]).encode()).decode(),
        "StudioLifecycleConfigAppType": wanted.fixed["app"],
    }


def _named_app(there: There) -> dict[str, Any]:
    app = there.source
    owner = "SpaceName" if there.owner and there.owner.kind is Kind.SPACE else "UserProfileName"
    return {owner: app[owner], "AppType": app["AppType"], "AppName": app["AppName"]}


def _created(domain: There) -> Any:
    return domain.source["CreationTime"]


def _under(prefix: str, settings: Mapping[str, Value]) -> dict[str, Value]:
    return {f"{prefix}{key}": value for key, value in settings.items()}


def _of(prefix: str, settings: Settings) -> dict[str, Value]:
    """Those under a prefix, without it; with none, those of the domain itself."""
    if prefix:
        return {key.removeprefix(prefix): settings[key] for key in settings if key.startswith(prefix)}
    return {key: value for key, value in settings.items() if key in studio_settings.DOMAIN}


def _text(content: str) -> str:
    """What is no text is told as SageMaker has it: it is nothing that a document wrote."""
    try:
        return base64.b64decode(content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return content
