""" "CreatePresignedDomainUrl" in the Amazon SageMaker API Reference. The URL leads nowhere."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from localcloud.calls import Call, Operation, Reply
from localcloud.errors import invalid
from localcloud.sagemaker.studio.estate import Estate


class PresignedUrls:
    """Signs people in to their user profiles."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {"CreatePresignedDomainUrl": self._create}

    def _create(self, call: Call) -> Reply:
        params = call.params
        with self._estate.lock:
            domain = self._estate.domain(params["DomainId"])
            profile = self._estate.profile(params["DomainId"], params["UserProfileName"])
            if domain.by_sso:
                raise invalid(
                    f"Presigned URLs need a domain whose AuthMode is IAM; that of [{domain.arn}] is SSO."
                )  # ours
            if profile.status != "InService":
                raise invalid(f"UserProfile [{profile.arn}] is {profile.status}, not InService.")  # ours
            if "SpaceName" in params:
                self._estate.space(params["DomainId"], params["SpaceName"])
        return Reply({"AuthorizedUrl": f"{domain.url}/auth?token={secrets.token_urlsafe(48)}"})
