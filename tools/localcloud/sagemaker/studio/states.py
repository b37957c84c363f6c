"""The states of what is in Studio, as a table: what happens in which state leads where.

"Amazon SageMaker AI domain entities and statuses" in the Amazon SageMaker AI Developer Guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Status = Literal[
    "Pending", "InService", "Failed", "Updating", "Update_Failed", "Deleting", "Delete_Failed", "Deleted"
]
Happening = Literal[
    "creation succeeds",
    "creation fails",
    "update is asked for",
    "update succeeds",
    "update fails",
    "deletion is asked for",
    "deletion succeeds",
    "deletion fails",
]

# Of domains, user profiles and spaces. Nobody sees that one of them is Deleted: it is not found then.
TRANSITIONS: Mapping[tuple[Status, Happening], Status] = {
    ("Pending", "creation succeeds"): "InService",
    ("Pending", "creation fails"): "Failed",
    ("InService", "update is asked for"): "Updating",
    ("Update_Failed", "update is asked for"): "Updating",
    ("Updating", "update succeeds"): "InService",
    ("Updating", "update fails"): "Update_Failed",
    ("InService", "deletion is asked for"): "Deleting",
    ("Failed", "deletion is asked for"): "Deleting",
    ("Update_Failed", "deletion is asked for"): "Deleting",
    ("Delete_Failed", "deletion is asked for"): "Deleting",
    ("Deleting", "deletion succeeds"): "Deleted",
    ("Deleting", "deletion fails"): "Delete_Failed",
}
APP_TRANSITIONS: Mapping[tuple[Status, Happening], Status] = {
    ("Pending", "creation succeeds"): "InService",
    ("Pending", "creation fails"): "Failed",
    ("InService", "deletion is asked for"): "Deleting",
    ("Deleting", "deletion succeeds"): "Deleted",
}
IN_PROGRESS: frozenset[Status] = frozenset({"Pending", "Updating", "Deleting"})
