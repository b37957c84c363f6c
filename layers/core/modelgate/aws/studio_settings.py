"""Between the settings that a document can say and SageMaker's structures: one table, read both ways.

Amazon SageMaker API Reference, "UserSettings", "DefaultSpaceSettings", "SpaceSettings", "DomainSettings".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from modelgate.studio.resources import Settings, Value
from modelgate.values import dataclass

_NO_LIFECYCLE = "None"  # how a request takes one away
_ENABLED = {True: "ENABLED", False: "DISABLED"}


@dataclass(frozen=True)
class _Setting:
    """Where a setting stands in SageMaker's structure.

    Attributes:
        path: the members that lead to it.
        read: makes the setting of what stands there.
        write: makes what stands there of the setting; None where nothing can say it.
    """

    path: tuple[str, ...]
    read: Callable[[Any], Value] = lambda found: found
    write: Callable[[Any], Any] = lambda value: value


def _in_order(found: list[str]) -> tuple[str, ...]:
    return tuple(sorted(found))


def _names(path: tuple[str, ...]) -> _Setting:
    """A list whose order means nothing."""
    return _Setting(path, _in_order, list)


def _flag(path: tuple[str, ...]) -> _Setting:
    return _Setting(path, lambda found: found == _ENABLED[True], lambda value: _ENABLED[bool(value)])


def _lifecycle(path: tuple[str, ...]) -> _Setting:
    return _Setting(
        path,
        lambda found: "" if found == _NO_LIFECYCLE else found,
        lambda value: value or _NO_LIFECYCLE,
    )


def _repositories(path: tuple[str, ...]) -> _Setting:
    return _Setting(
        path,
        lambda found: tuple(each["RepositoryUrl"] for each in found),
        lambda value: [{"RepositoryUrl": each} for each in value],
    )


_IDLE = ("AppLifecycleManagement", "IdleSettings")
_SPEC = "DefaultResourceSpec"


def _of_app(name: str, member: str, *, repositories: bool) -> dict[str, _Setting]:
    table = {
        "instance": _Setting((member, _SPEC, "InstanceType")),
        "lifecycle": _Setting((member, "LifecycleConfigArns"), tuple, list),
        "default_lifecycle": _lifecycle((member, _SPEC, "LifecycleConfigArn")),
        "idle_minutes": _Setting((member, *_IDLE), _idle_minutes, _idle_settings),
        "least_idle_minutes": _Setting((member, *_IDLE, "MinIdleTimeoutInMinutes")),
        "most_idle_minutes": _Setting((member, *_IDLE, "MaxIdleTimeoutInMinutes")),
    }
    if repositories:
        table["repositories"] = _repositories((member, "CodeRepositories"))
    return {f"{name}.{key}": setting for key, setting in table.items()}


def _idle_minutes(found: Mapping[str, Any]) -> Value:
    """0: nothing is ended for being idle."""
    return int(found.get("IdleTimeoutInMinutes", 0)) if found["LifecycleManagement"] == _ENABLED[True] else 0


def _idle_settings(value: int) -> dict[str, Any]:
    if not value:
        return {"LifecycleManagement": _ENABLED[False]}
    return {"LifecycleManagement": _ENABLED[True], "IdleTimeoutInMinutes": value}


_VOLUMES = ("SpaceStorageSettings", "DefaultEbsStorageSettings")
_SHARED: dict[str, _Setting] = {
    "execution_role": _Setting(("ExecutionRole",)),
    "security_groups": _names(("SecurityGroups",)),
    **_of_app("jupyterlab", "JupyterLabAppSettings", repositories=True),
    "storage.default_gb": _Setting((*_VOLUMES, "DefaultEbsVolumeSizeInGb")),
    "storage.most_gb": _Setting((*_VOLUMES, "MaximumEbsVolumeSizeInGb")),
}
# UserSettings and DefaultSpaceSettings.
USER: Mapping[str, _Setting] = {
    **_SHARED,
    **_of_app("code_editor", "CodeEditorAppSettings", repositories=False),
    "hidden_apps": _names(("StudioWebPortalSettings", "HiddenAppTypes")),
    "landing_uri": _Setting(("DefaultLandingUri",)),
    "web_portal": _flag(("StudioWebPortal",)),
}
SPACE_DEFAULTS: Mapping[str, _Setting] = _SHARED
# UpdateDomain's own members.
DOMAIN: Mapping[str, _Setting] = {
    "subnets": _names(("SubnetIds",)),
    "network": _Setting(("AppNetworkAccessType",)),
    "tag_propagation": _flag(("TagPropagation",)),
}


def of_space(app: str) -> Mapping[str, _Setting]:
    """SpaceSettings of a space for an app of this type."""
    member = f"{app}AppSettings"
    table = {
        "instance": _Setting((member, _SPEC, "InstanceType")),
        "lifecycle": _lifecycle((member, _SPEC, "LifecycleConfigArn")),
        "idle_minutes": _Setting((member, *_IDLE, "IdleTimeoutInMinutes")),
        "storage_gb": _Setting(("SpaceStorageSettings", "EbsStorageSettings", "EbsVolumeSizeInGb")),
    }
    return table | (
        {"repositories": _repositories((member, "CodeRepositories"))} if app == "JupyterLab" else {}
    )


def read(table: Mapping[str, _Setting], structure: Mapping[str, Any]) -> dict[str, Value]:
    """The settings of which SageMaker says something."""
    return dict(_read(table, structure))


def _read(table: Mapping[str, _Setting], structure: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for key, setting in table.items():
        found: Any = structure
        for member in setting.path:
            found = found.get(member) if isinstance(found, Mapping) else None
        # Limits of the idle time may stand there without a word about ending anything.
        if found is None or (setting.read is _idle_minutes and "LifecycleManagement" not in found):
            continue
        yield key, setting.read(found)


def written(table: Mapping[str, _Setting], settings: Settings, before: Mapping[str, Any]) -> dict[str, Any]:
    """SageMaker's structure with these settings, and with all else that it had in the members they stand in.

    Only those members are in it. So it makes no difference whether SageMaker replaces a member that it is
    given, or merges it.

    Args:
        before: the structure as it is.
    """
    structure: dict[str, Any] = {}
    for key, value in settings.items():
        setting = table[key]
        top = setting.path[0]
        if top in before and top not in structure:
            structure[top] = deepcopy(before[top])
        content = setting.write(value)
        place = structure
        for member in setting.path[:-1]:
            place = place.setdefault(member, {})
        last = setting.path[-1]
        if isinstance(content, dict):
            place[last] = {**place.get(last, {}), **content}
        else:
            place[last] = content
    return structure
