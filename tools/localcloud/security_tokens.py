"""AWS Security Token Service: who calls, and acting under a role."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from localcloud.calls import ACCOUNT, Call, Caller, Operation, Reply, now
from localcloud.credentials import Identities
from localcloud.front import caller_identity
from localcloud.moto_state import MotoState

_SECONDS = 3600


class SecurityTokens:
    """Answers STS's operations. Trust policies are not asked; a role that is not here gives every right."""

    def __init__(self, moto: MotoState, identities: Identities) -> None:
        self._moto = moto
        self._identities = identities

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {"GetCallerIdentity": caller_identity, "AssumeRole": self._assume_role}

    def _assume_role(self, call: Call) -> Reply:
        role, session = call.params["RoleArn"].rpartition("/")[2], call.params["RoleSessionName"]
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"
        known = self._moto.role_policies(role) is not None
        given = self._identities.issue(Caller(arn, role=role if known else None))
        seconds = call.params.get("DurationSeconds", _SECONDS)
        return Reply(
            {
                "Credentials": {
                    "AccessKeyId": given.access_key,
                    "SecretAccessKey": given.secret_key,
                    "SessionToken": given.session_token,
                    "Expiration": now() + dt.timedelta(seconds=seconds),
                },
                "AssumedRoleUser": {"AssumedRoleId": f"{given.access_key}:{session}", "Arn": arn},
            }
        )
