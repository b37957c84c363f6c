"""The states of an endpoint, as a table: what happens in which state leads where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Status = Literal[
    "Creating",
    "InService",
    "Updating",
    "RollingBack",
    "UpdateRollbackFailed",
    "Failed",
    "Deleting",
    "OutOfService",
]
Happening = Literal[
    "containers answer",
    "containers do not answer",
    "update fails, guarded",
    "capacity is there",
    "capacity is missing",
    "old containers are back",
    "old containers do not come back",
    "update is asked for",
    "deletion is asked for",
]

TRANSITIONS: Mapping[tuple[Status, Happening], Status] = {
    ("Creating", "containers answer"): "InService",
    ("Creating", "containers do not answer"): "Failed",
    ("InService", "update is asked for"): "Updating",
    ("UpdateRollbackFailed", "update is asked for"): "Updating",
    ("Updating", "containers answer"): "InService",
    # The silent rollback: in service, with the old config and a FailureReason.
    ("Updating", "containers do not answer"): "InService",
    # An update with a DeploymentConfig shows that it goes back.
    ("Updating", "update fails, guarded"): "RollingBack",
    ("Updating", "capacity is there"): "InService",
    ("Updating", "capacity is missing"): "RollingBack",
    ("RollingBack", "old containers are back"): "InService",
    ("RollingBack", "old containers do not come back"): "UpdateRollbackFailed",
    ("InService", "deletion is asked for"): "Deleting",
    ("Failed", "deletion is asked for"): "Deleting",
    ("OutOfService", "deletion is asked for"): "Deleting",
    ("UpdateRollbackFailed", "deletion is asked for"): "Deleting",
}
IN_PROGRESS = frozenset({"Creating", "Updating", "RollingBack", "Deleting"})


def after(status: Status, happening: Happening) -> Status | None:
    """The state that follows; None if this cannot happen in that state."""
    return TRANSITIONS.get((status, happening))


def in_event(status: Status) -> str:
    """As events write a state: ``IN_SERVICE``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper()
