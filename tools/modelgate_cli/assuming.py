"""Acting under another role: AWS Security Token Service, AssumeRole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials

from modelgate.aws.errors import translated
from modelgate.errors import Forbidden
from modelgate_cli.complaints import TROUBLE, USAGE, Complaint

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sts import STSClient

_SESSION_NAME = "modelgate"
_ROLE = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+")
# IAM and AWS STS quotas: letters, digits and these; a path may stand before the name.
_NAME = re.compile(r"[\w+=,.@-]+(?:/[\w+=,.@-]+)*", re.ASCII)


def arn_of(role: str, caller: str) -> str:
    """The ARN of a role that was given by its ARN, or by its name (with its path) in the caller's account.

    Raises:
        Complaint: it is neither.
    """
    if _ROLE.fullmatch(role):
        return role
    if not _NAME.fullmatch(role):
        mend = "give the role's name, or its ARN: arn:aws:iam::123456789012:role/NAME"
        raise Complaint(f"--role {role} is neither a role's name nor its ARN", mend, USAGE)
    _, partition, _, _, account, _ = caller.split(":", 5)
    return f"arn:{partition}:iam::{account}:role/{role}"


def is_of(caller: str, role_arn: str) -> bool:
    """Whether a caller acts under that role already."""
    _, _, service, _, account, resource = caller.split(":", 5)
    kind, _, rest = resource.partition("/")
    *_, of, path = role_arn.split(":")
    # The ARN of a session has the role's name, and not its path.
    name = path.rpartition("/")[2]
    return (service, kind, account, rest.partition("/")[0]) == ("sts", "assumed-role", of, name)


def session_of(role_arn: str, session: boto3.Session, sts: STSClient) -> boto3.Session:
    """A session under the role, which assumes it anew when its hour is over: builds may take longer.

    Args:
        session: whose region it has.
        sts: the client of whoever assumes the role.

    Raises:
        Complaint: AWS does not allow it.
    """
    core = botocore.session.get_session()
    provider = _AssumedRole(lambda: _credentials(role_arn, sts))
    core.register_component("credential_provider", CredentialResolver([provider]))
    assumed = boto3.Session(botocore_session=core, region_name=session.region_name)
    assumed.get_credentials()
    return assumed


class _AssumedRole(CredentialProvider):
    METHOD = "assume-role"

    def __init__(self, fetch: Callable[[], dict[str, str]]) -> None:
        super().__init__()
        self._fetch = fetch

    def load(self) -> RefreshableCredentials:
        return RefreshableCredentials.create_from_metadata(self._fetch(), self._fetch, self.METHOD)


def _credentials(role_arn: str, sts: STSClient) -> dict[str, str]:
    try:
        with translated("AssumeRole"):
            given = sts.assume_role(RoleArn=role_arn, RoleSessionName=_SESSION_NAME)["Credentials"]
    except Forbidden as forbidden:
        found = f"AWS does not let you assume {role_arn}: {' '.join(forbidden.message.split())}"
        mend = "have its trust policy name you, and be allowed sts:AssumeRole on it; or leave --role out"
        raise Complaint(found, mend, TROUBLE) from forbidden
    return {
        "access_key": given["AccessKeyId"],
        "secret_key": given["SecretAccessKey"],
        "token": given["SessionToken"],
        "expiry_time": given["Expiration"].isoformat(),
    }
