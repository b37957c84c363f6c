"""The alarms of CloudWatch, which moto keeps, and how SageMaker looks at them while it deploys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from localcloud.access import AccessControl
from localcloud.calls import ACCOUNT, Call, Caller
from localcloud.moto_state import MotoState
from localcloud.policies import Demand


class Alarms:
    """Looks at alarms by their names, and mends what moto does with them.

    Args:
        caller_of: who calls with an execution role, by its ARN.
    """

    def __init__(
        self, moto: MotoState, access: AccessControl, region: str, caller_of: Callable[[str], Caller]
    ) -> None:
        self._moto = moto
        self._access = access
        self._region = region
        self._caller_of = caller_of

    def around(self, call: Call) -> AbstractContextManager[None]:
        """What moto's answer to a call of CloudWatch is to be got within."""
        if call.operation != "PutMetricAlarm":
            return nullcontext()
        return self._moto.keeping_alarm_state(str(call.params["AlarmName"]))

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of which there is none."""
        return [name for name in names if self._moto.alarm_state(name) is None]

    def ringing(self, names: Sequence[str]) -> list[str]:
        """Those that stand in ALARM."""
        return [name for name in names if self._moto.alarm_state(name) == "ALARM"]

    def hidden_from(self, role: str, names: Sequence[str]) -> list[str]:
        """Those that an execution role, by its ARN, may not describe."""
        caller = self._caller_of(role)
        arn = f"arn:aws:cloudwatch:{self._region}:{ACCOUNT}:alarm:"
        return [
            name
            for name in names
            if not self._access.may(caller, Demand("cloudwatch:DescribeAlarms", f"{arn}{name}"))
        ]
