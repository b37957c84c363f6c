"""AWS CloudTrail, through EventBridge: who called what. It tells only where a trail logs.

"CloudTrail record contents" in the AWS CloudTrail User Guide; "AWS service events delivered via AWS
CloudTrail" in the Amazon EventBridge User Guide.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from modelgate.events import Envelope, Event

_DOMAIN_ID = re.compile(r":(?:domain|user-profile|space|app)/(d-[a-z0-9-]+)")


class _Issuer(Event):
    user_name: str = Field(default="", alias="userName")


class _Session(Event):
    issuer: _Issuer = Field(default=_Issuer(), alias="sessionIssuer")


class _Identity(Event):
    session: _Session = Field(default=_Session(), alias="sessionContext")


class _CallDetail(Event):
    event_name: str = Field(alias="eventName")
    identity: _Identity = Field(default=_Identity(), alias="userIdentity")
    # Both depend on the call, and are null where there is nothing to tell.
    request: dict[str, Any] | None = Field(default=None, alias="requestParameters")
    response: dict[str, Any] | None = Field(default=None, alias="responseElements")


class StudioCalled(Envelope):
    """AWS CloudTrail: "AWS API Call via CloudTrail", of SageMaker's API for Studio."""

    source: Literal["aws.sagemaker"]
    detail_type: Literal["AWS API Call via CloudTrail"] = Field(alias="detail-type")
    detail: _CallDetail

    @property
    def domain_id(self) -> str:
        """SageMaker's id of the domain that the call was about; empty where it does not say."""
        told = {**(self.detail.response or {}), **(self.detail.request or {})}
        if isinstance(own := told.get("domainId"), str):
            return own
        found = (_DOMAIN_ID.search(value) for value in told.values() if isinstance(value, str))
        return next((each[1] for each in found if each), "")

    @property
    def role(self) -> str:
        """The name of the role whose session called; empty where no role did."""
        return self.detail.identity.session.issuer.user_name

    @property
    def domain_name(self) -> str:
        """DomainName, where the call makes a domain; else empty."""
        return str((self.detail.request or {}).get("domainName") or "")
