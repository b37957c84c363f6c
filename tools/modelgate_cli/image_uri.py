"""The URI of a prebuilt image. Asks neither AWS nor a stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelgate.errors import Refused
from modelgate.images import catalog
from modelgate_cli.complaints import USAGE, Complaint, refusal

if TYPE_CHECKING:
    from modelgate.images.catalog import Scope


@dataclass(frozen=True)
class Wanted:
    """Which image is wanted, as `modelgate.images.catalog.resolve` takes it; None for its defaults."""

    framework: str
    version: str
    instance_type: str
    region: str
    scope: Scope = "inference"
    py_version: str | None = None
    base_framework_version: str | None = None

    def document(self, uri: str) -> dict[str, str | None]:
        return {"uri": uri, **vars(self)}


def uri_of(wanted: Wanted) -> str:
    """
    Raises:
        Complaint: there is no such image; names the nearest choices.
    """
    try:
        return catalog.resolve(**vars(wanted), where="image-uri")
    except Refused as refused:
        told = refusal(refused)
        # A choice that there is not is a wrong command line: nothing was asked that could say no.
        raise Complaint(told.error, told.mend, USAGE, problems=told.problems) from refused


def region_or_complaint(given: str | None, configured: Callable[[], str | None]) -> str:
    """The region that was given, else the one that the environment or the profile names.

    Args:
        configured: looks it up; `configured_region`.

    Raises:
        Complaint: there is none.
    """
    region = given or configured()
    if not region:
        raise Complaint(
            "no region is chosen, and each has images of its own",
            "name one with --region, or export AWS_REGION",
            USAGE,
        )
    return region


def configured_region(profile: str | None = None) -> str | None:
    """What botocore takes for the region: of AWS_DEFAULT_REGION, or of the profile. Needs no credentials.

    Raises:
        BotoCoreError: there is no such profile.
    """
    from botocore.session import Session

    region: str | None = Session(profile=profile).get_config_variable("region")
    return region
