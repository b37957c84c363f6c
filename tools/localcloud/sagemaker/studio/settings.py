"""The settings of domains, user profiles and spaces: how an update changes them, and what must fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.errors import invalid

# "To clear the value set for SageMakerImageVersionArn, pass None as the value", of "ResourceSpec"; the
# patterns of the others allow the word as well.
_CLEARED_BY_NONE = frozenset(
    {"LifecycleConfigArn", "BuiltInLifecycleConfigArn", "SageMakerImageVersionArn", "TrainingPlanArn"}
)
# "JupyterLab administrator guide": a volume has 5 GB, and users may have 100 GB if nobody says otherwise.
_DEFAULT_GB = 5
_MOST_GB = 100


def updated(current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings after an update: the members that are given take the place of those that there were."""
    return cleared({**current, **given})


def cleared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what the word None takes away."""
    found: dict[str, Any] = _cleared(settings)
    return found


def _cleared(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _cleared(item)
            for key, item in value.items()
            if not (key in _CLEARED_BY_NONE and item == "None")
        }
    return [_cleared(item) for item in value] if isinstance(value, list) else value


def lifecycle_arns(settings: Any) -> Iterator[str]:
    """The ARNs of the lifecycle configurations that are named anywhere in settings."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key == "LifecycleConfigArn":
                yield str(value)
            elif key == "LifecycleConfigArns":
                yield from map(str, value)
            else:
                yield from lifecycle_arns(value)
    elif isinstance(settings, list):
        for item in settings:
            yield from lifecycle_arns(item)


@dataclass(frozen=True)
class VolumeSizes:
    """The sizes of the volumes of spaces, in GB."""

    default: int = _DEFAULT_GB
    most: int = _MOST_GB

    @classmethod
    def of(cls, *settings: Mapping[str, Any]) -> VolumeSizes:
        """What the first of the settings says that says anything."""
        for each in settings:
            sizes = (each.get("SpaceStorageSettings") or {}).get("DefaultEbsStorageSettings")
            if sizes:
                return cls(int(sizes["DefaultEbsVolumeSizeInGb"]), int(sizes["MaximumEbsVolumeSizeInGb"]))
        return cls()


def volume_size(space_settings: Mapping[str, Any]) -> int | None:
    """The size that a space asks for, in GB; None if it asks for none."""
    ebs = (space_settings.get("SpaceStorageSettings") or {}).get("EbsStorageSettings")
    return int(ebs["EbsVolumeSizeInGb"]) if ebs else None


def refuse_volume(asked: int, sizes: VolumeSizes, before: int | None = None) -> None:
    """Refuse a volume that is over the limit of its domain or profile, or under the size that it has.

    Raises:
        ServiceError: its size does not fit.
    """
    if asked > sizes.most:
        raise invalid(
            f"EbsVolumeSizeInGb {asked} must not exceed MaximumEbsVolumeSizeInGb {sizes.most}."
        )  # ours
    if before is not None and asked < before:
        raise invalid(
            f"EbsVolumeSizeInGb {asked} must not be less than the volume's current size of {before} GB."
        )  # ours


def refuse_user_settings(settings: Mapping[str, Any], *, of_domain: bool) -> None:
    """Refuse what does not fit together in the settings of a domain's users or of one profile.

    Raises:
        ServiceError: it does not.
    """
    sizes = VolumeSizes.of(settings)
    if sizes.default > sizes.most:
        raise invalid(
            f"DefaultEbsVolumeSizeInGb {sizes.default} must not exceed MaximumEbsVolumeSizeInGb {sizes.most}."
        )  # ours
    leads_to_studio = str(settings.get("DefaultLandingUri", "")).startswith("studio::")
    if settings.get("StudioWebPortal") == "DISABLED" and leads_to_studio:
        raise invalid("StudioWebPortal is disabled for this domain/user.")
    if of_domain and settings.get("AutoMountHomeEFS") == "DefaultAsDomain":
        raise invalid("AutoMountHomeEFS DefaultAsDomain is only supported for user profiles.")  # ours
