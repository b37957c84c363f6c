"""The model registry: model package groups and model packages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any

from localcloud import calls
from localcloud.calls import Call, Caller, Operation, Reply
from localcloud.errors import ServiceError, invalid
from localcloud.eventbridge import EventBridge
from localcloud.permissions import sagemaker_arn
from localcloud.sagemaker.containers import refuse_of_package
from localcloud.sagemaker.listing import created_within, in_order, page
from localcloud.sagemaker.tags import Tags

_MOST_METADATA = 50
# Said of the request, not of the package.
_NOT_KEPT = frozenset({"Tags", "ClientToken"})
# The members of UpdateModelPackage that replace what stands there, and what events call them.
_REPLACED = {
    "ModelApprovalStatus": "ModelApprovalStatus",
    "ApprovalDescription": "ApprovalDescription",
    "InferenceSpecification": "InferenceSpecification",
    "SourceUri": "sourceUri",
    "ModelCard": "ModelCard",
    "ModelLifeCycle": "ModelLifeCycle",
}


@dataclass
class Group:
    """A model package group."""

    name: str
    arn: str
    description: str | None
    created: dt.datetime
    created_by: Caller
    next_version: int = 1


@dataclass
class Package:
    """A model package: a version of a group, or one without."""

    arn: str
    group: Group | None
    version: int | None
    name: str
    content: dict[str, Any]
    created: dt.datetime
    created_by: Caller
    modified: dt.datetime | None = None
    modified_by: Caller | None = None

    @property
    def approval(self) -> str | None:
        """Its ModelApprovalStatus."""
        status: str | None = self.content.get("ModelApprovalStatus")
        return status


class ModelRegistry:
    """Groups and packages, and the events of their changes."""

    def __init__(self, region: str, events: EventBridge, tags: Tags) -> None:
        self._region = region
        self._events = events
        self._tags = tags
        self._lock = RLock()
        self._groups: dict[str, Group] = {}
        self._packages: dict[str, Package] = {}
        self._by_token: dict[str, str] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateModelPackageGroup": self._create_group,
            "DescribeModelPackageGroup": self._describe_group,
            "ListModelPackageGroups": self._list_groups,
            "DeleteModelPackageGroup": self._delete_group,
            "CreateModelPackage": self._create,
            "DescribeModelPackage": lambda call: Reply(
                self._told(self.package(call.params["ModelPackageName"]))
            ),
            "ListModelPackages": self._list,
            "UpdateModelPackage": self._update,
            "DeleteModelPackage": self._delete,
        }

    def exists(self, arn: str) -> bool:
        """Whether a group or package has this ARN."""
        with self._lock:
            return arn in self._packages or any(group.arn == arn for group in self._groups.values())

    def package(self, name_or_arn: str) -> Package:
        """A package.

        Raises:
            ServiceError: there is none.
        """
        arn = sagemaker_arn(self._region, "model-package", name_or_arn)
        with self._lock:
            found = self._packages.get(arn)
        if found is None:
            raise invalid(f"ModelPackage {arn} does not exist.")
        return found

    # ── groups ────────────────────────────────────────────────────────────────────────────────────

    def _group(self, name_or_arn: str) -> Group:
        name = name_or_arn.rsplit("/", 1)[-1]
        with self._lock:
            found = self._groups.get(name.lower())
        if found is None:
            arn = sagemaker_arn(self._region, "model-package-group", name)
            raise invalid(f"ModelPackageGroup {arn} does not exist.")
        return found

    def _create_group(self, call: Call) -> Reply:
        name = call.params["ModelPackageGroupName"]
        arn = sagemaker_arn(self._region, "model-package-group", name)
        with self._lock:
            if name.lower() in self._groups:
                raise invalid(f"Model Package Group already exists: {arn}")
            description = call.params.get("ModelPackageGroupDescription")
            self._groups[name.lower()] = Group(name, arn, description, calls.now(), call.caller)
            self._tags.put(arn, call.params.get("Tags"))
        return Reply({"ModelPackageGroupArn": arn})

    def _describe_group(self, call: Call) -> Reply:
        group = self._group(call.params["ModelPackageGroupName"])
        return Reply({**_summary(group), "CreatedBy": _identity(group.created_by)})

    def _list_groups(self, call: Call) -> Reply:
        part = call.params.get("NameContains", "").lower()
        with self._lock:
            found = [
                group
                for group in self._groups.values()
                if part in group.name.lower() and created_within(call, group.created)
            ]
        keys = {"CreationTime": lambda group: group.created, "Name": lambda group: group.name}
        groups, rest = page(call, in_order(call, found, keys, "CreationTime"))
        return Reply({"ModelPackageGroupSummaryList": [_summary(group) for group in groups], **rest})

    def _delete_group(self, call: Call) -> Reply:
        group = self._group(call.params["ModelPackageGroupName"])
        with self._lock:
            if any(package.group is group for package in self._packages.values()):
                raise ServiceError(
                    "ConflictException",
                    f"Cannot delete model package group {group.arn}: it still has model packages.",
                )
            del self._groups[group.name.lower()]
            self._tags.forget(group.arn)
        return Reply()

    # ── packages ──────────────────────────────────────────────────────────────────────────────────

    def _create(self, call: Call) -> Reply:
        group_name, name = call.params.get("ModelPackageGroupName"), call.params.get("ModelPackageName")
        if (group_name is None) == (name is None):
            raise invalid("Exactly one of ModelPackageGroupName and ModelPackageName must be given.")
        _refuse_specifications(call)
        with self._lock:
            token = call.params.get("ClientToken")
            made_before = self._packages.get(self._by_token.get(token, "")) if token else None
            if made_before is not None:
                return Reply({"ModelPackageArn": made_before.arn})
            if group_name is not None:
                package = self._new_version(call, self._group(group_name))
            else:
                package = self._new_unversioned(call, str(name))
            if token:
                self._by_token[token] = package.arn
            self._packages[package.arn] = package
            self._announce(package, [])
        return Reply({"ModelPackageArn": package.arn})

    def _new_version(self, call: Call, group: Group) -> Package:
        if call.params.get("Tags"):
            raise invalid("Tags cannot be specified for a versioned ModelPackage; tag the ModelPackageGroup.")
        version = group.next_version
        group.next_version += 1
        content = {"ModelApprovalStatus": "PendingManualApproval", **_kept(call)}
        arn = sagemaker_arn(self._region, "model-package", f"{group.name}/{version}")
        return Package(arn, group, version, f"{group.name}/{version}", content, calls.now(), call.caller)

    def _new_unversioned(self, call: Call, name: str) -> Package:
        arn = sagemaker_arn(self._region, "model-package", name)
        if arn in self._packages:
            raise invalid(f"ModelPackage {arn} already exists.")
        self._tags.put(arn, call.params.get("Tags"))
        return Package(arn, None, None, name, _kept(call), calls.now(), call.caller)

    def _told(self, package: Package) -> dict[str, Any]:
        """As DescribeModelPackage tells it."""
        with self._lock:
            told: dict[str, Any] = {
                **package.content,
                "ModelPackageName": package.name,
                "ModelPackageArn": package.arn,
                "CreationTime": package.created,
                "CreatedBy": _identity(package.created_by),
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
                "CertifyForMarketplace": package.content.get("CertifyForMarketplace", False),
            }
            if package.group is not None:
                told |= {"ModelPackageGroupName": package.group.name, "ModelPackageVersion": package.version}
            if package.modified is not None:
                told |= {
                    "LastModifiedTime": package.modified,
                    "LastModifiedBy": _identity(package.modified_by or package.created_by),
                }
            return told

    def _list(self, call: Call) -> Reply:
        group = call.params.get("ModelPackageGroupName")
        kind = call.params.get("ModelPackageType", "Unversioned" if group is None else "Versioned")
        wanted = self._group(group) if group is not None else None
        with self._lock:
            found = [
                package
                for package in self._packages.values()
                if (wanted is None or package.group is wanted)
                and (kind == "Both" or (kind == "Versioned") == (package.group is not None))
                and call.params.get("ModelApprovalStatus", package.approval) == package.approval
                and call.params.get("NameContains", "").lower() in package.name.lower()
                and created_within(call, package.created)
            ]
        keys = {
            # Two packages may be made within the same millisecond; their versions still tell which is newer.
            "CreationTime": lambda package: (package.created, package.version or 0),
            "Name": lambda package: (package.name, package.version or 0),
        }
        packages, rest = page(call, in_order(call, found, keys, "CreationTime"))
        return Reply({"ModelPackageSummaryList": [_package_summary(package) for package in packages], **rest})

    def _update(self, call: Call) -> Reply:
        _refuse_specifications(call)
        with self._lock:
            package = self.package(call.params["ModelPackageArn"])
            content = dict(package.content)
            for member in _REPLACED:
                if member in call.params:
                    content[member] = call.params[member]
            _merge_metadata(content, call)
            _add_specifications(content, call)
            updated = _updated(package.content, content, call)
            package.content = content
            package.modified = _later(package.modified or package.created)
            package.modified_by = call.caller
            self._announce(package, updated)
        return Reply({"ModelPackageArn": package.arn})

    def _delete(self, call: Call) -> Reply:
        with self._lock:
            package = self.package(call.params["ModelPackageName"])
            del self._packages[package.arn]
            self._tags.forget(package.arn)
        return Reply()

    def _announce(self, package: Package, updated: list[str]) -> None:
        """Every change of a package is an event that carries all of it."""
        told = self._told(package)
        # The event's names are the API's, but for these that it leaves out.
        detail = {
            name: _jsonable(value)
            for name, value in told.items()
            if name not in {"CreatedBy", "LastModifiedBy", "ModelPackageName"}
        }
        detail.setdefault("LastModifiedTime", detail["CreationTime"])
        if updated:
            detail["UpdatedModelPackageFields"] = updated
        self._events.announce("aws.sagemaker", "SageMaker Model Package State Change", detail, [package.arn])


def _kept(call: Call) -> dict[str, Any]:
    names = {"ModelPackageGroupName", "ModelPackageName"} | _NOT_KEPT
    return {name: value for name, value in call.params.items() if name not in names}


def _refuse_specifications(call: Call) -> None:
    params = call.params
    first = [params["InferenceSpecification"]] if "InferenceSpecification" in params else []
    more = [
        *params.get("AdditionalInferenceSpecifications", []),
        *params.get("AdditionalInferenceSpecificationsToAdd", []),
    ]
    for specification in [*first, *more]:
        refuse_of_package(specification["Containers"])


def _merge_metadata(content: dict[str, Any], call: Call) -> None:
    given = call.params.get("CustomerMetadataProperties", {})
    removed = set(call.params.get("CustomerMetadataPropertiesToRemove", []))
    if not given and not removed:
        return
    merged = content.get("CustomerMetadataProperties", {}) | given
    merged = {key: value for key, value in merged.items() if key not in removed}
    if len(merged) > _MOST_METADATA:
        raise invalid(f"A ModelPackage may have at most {_MOST_METADATA} CustomerMetadataProperties.")
    content["CustomerMetadataProperties"] = merged


def _add_specifications(content: dict[str, Any], call: Call) -> None:
    more = call.params.get("AdditionalInferenceSpecificationsToAdd")
    if more:
        there = content.get("AdditionalInferenceSpecifications", [])
        content["AdditionalInferenceSpecifications"] = [*there, *more]


def _updated(before: Mapping[str, Any], after: Mapping[str, Any], call: Call) -> list[str]:
    """What changed; what was given, if that changed nothing."""
    names = {**_REPLACED, "CustomerMetadataProperties": "CustomerMetadataProperties"}
    changed = [name for member, name in names.items() if before.get(member) != after.get(member)]
    return changed or [name for member, name in names.items() if member in call.params]


def _later(than: dt.datetime) -> dt.datetime:
    """Now; at least a millisecond later than the last time, so that a change can be told from none."""
    return max(calls.now(), than + dt.timedelta(milliseconds=1))


def _summary(group: Group) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": group.name,
        "ModelPackageGroupArn": group.arn,
        "ModelPackageGroupDescription": group.description,
        "CreationTime": group.created,
        "ModelPackageGroupStatus": "Completed",
    }


def _package_summary(package: Package) -> dict[str, Any]:
    return {
        "ModelPackageName": package.name,
        "ModelPackageGroupName": package.group.name if package.group else None,
        "ModelPackageVersion": package.version,
        "ModelPackageArn": package.arn,
        "ModelPackageDescription": package.content.get("ModelPackageDescription"),
        "CreationTime": package.created,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": package.approval,
        "ModelLifeCycle": package.content.get("ModelLifeCycle"),
    }


def _identity(caller: Caller) -> dict[str, Any]:
    return {"IamIdentity": {"Arn": caller.arn, "PrincipalId": caller.arn.rsplit(":", 1)[-1]}}


def _jsonable(value: Any) -> Any:
    """Times as these events write them."""
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return value
