"""Whether a caller may: the function's role, as the template has it, against what the call needs."""

from __future__ import annotations

from localcloud.calls import Call, Caller
from localcloud.errors import ServiceError
from localcloud.moto_state import MotoState
from localcloud.permissions import TagsOf, demands
from localcloud.policies import Demand, Principal, decide

_OLD_CODE = frozenset({"s3", "sns", "iam", "sts", "cloudformation", "cloudwatch"})


class AccessControl:
    """Checks calls of roles. Whoever has no role, the user, may do everything."""

    def __init__(self, moto: MotoState, tags_of: TagsOf) -> None:
        self._moto = moto
        self._tags_of = tags_of

    def check(self, call: Call) -> None:
        """Refuse a call that the caller's role does not allow.

        Raises:
            ServiceError: access is denied.
        """
        if call.caller.role is None:
            return
        for demand in demands(call, self._tags_of):
            self.require(call, demand)

    def require(self, call: Call, demand: Demand) -> None:
        """Refuse a call whose caller lacks a permission.

        Raises:
            ServiceError: access is denied.
        """
        decision = "allow" if call.caller.role is None else self._decide(call.caller, demand)
        if decision != "allow":
            raise _denied(call, demand, decision)

    def may(self, caller: Caller, demand: Demand) -> bool:
        """Whether the caller has a permission."""
        return caller.role is None or self._decide(caller, demand) == "allow"

    def hide_missing_object(self, call: Call, bucket: str) -> None:
        """Who may not list a bucket is not told that an object in it is missing.

        Raises:
            ServiceError: access is denied.
        """
        demand = Demand("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        if not self.may(call.caller, demand):
            raise _denied(call, demand, "implicit deny")

    def _decide(self, caller: Caller, demand: Demand) -> str:
        documents = self._moto.role_policies(caller.role or "")
        return decide(documents or [], demand)


def service_may(document: str | None, service: str, demand: Demand) -> bool:
    """Whether a policy of a resource lets an AWS service do something with it."""
    return document is not None and decide([document], demand, Principal(service)) == "allow"


def _denied(call: Call, demand: Demand, decision: str) -> ServiceError:
    because = (
        "with an explicit deny in an identity-based policy"
        if decision == "explicit deny"
        else f"because no identity-based policy allows the {demand.action} action"
    )
    message = (
        f"User: {call.caller.arn} is not authorized to perform: {demand.action} "
        f"on resource: {demand.resource} {because}"
    )
    code = "AccessDenied" if call.service in _OLD_CODE else "AccessDeniedException"
    return ServiceError(
        code, message, 403 if call.service == "s3" else 400 if code.endswith("Exception") else 403
    )
