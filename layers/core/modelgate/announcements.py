"""What goes out: the events that Modelgate publishes on its own bus.

An announcement is delivered at least once. Its ``id`` is derived from what it tells of, so a second
delivery carries the same one.
"""

from __future__ import annotations

import hashlib
from dataclasses import field
from enum import StrEnum

from modelgate.values import dataclass

SOURCE = "modelgate"
SCHEMA = 1


class Kind(StrEnum):
    """The detail-types on the bus."""

    SUBMISSION_WAITING = "Submission Waiting"
    SUBMISSION_REFUSED = "Submission Refused"
    INSPECTION_PAUSED = "Inspection Paused"
    MODEL_REGISTERED = "Model Registered"
    RELEASE_LIVE = "Release Live"
    DEPLOYMENT_FAILED = "Deployment Failed"
    DEPLOYMENT_SUPERSEDED = "Deployment Superseded"
    DEPLOYMENT_REFUSED = "Deployment Refused"
    DEPLOYMENT_BLOCKED = "Deployment Blocked"
    POLICY_ACCEPTED = "Policy Accepted"
    POLICY_REFUSED = "Policy Refused"
    POLICY_FAILED = "Policy Failed"
    INSTRUCTION_TAKEN = "Instruction Taken"
    ENDPOINT_DELETED = "Endpoint Deleted"
    NOTHING_TO_SERVE = "Nothing To Serve"
    PERSON_NEEDED = "Person Needed"
    SOURCE_REFUSED = "Source Refused"
    IMAGE_PUBLISHED = "Image Published"
    IMAGE_REFUSED = "Image Refused"
    IMAGE_BUILD_FAILED = "Image Build Failed"
    TRAINING_STARTED = "Training Started"
    TRAINING_REFUSED = "Training Refused"
    TRAINING_FINISHED = "Training Finished"
    TRAINING_FAILED = "Training Failed"
    TRAINING_STOPPED = "Training Stopped"
    TRANSFORM_STARTED = "Transform Started"
    TRANSFORM_REFUSED = "Transform Refused"
    TRANSFORM_FINISHED = "Transform Finished"
    TRANSFORM_FAILED = "Transform Failed"
    TRANSFORM_STOPPED = "Transform Stopped"
    STUDIO_SETTLED = "Studio Settled"
    STUDIO_REFUSED = "Studio Refused"
    STUDIO_DRIFTED = "Studio Drifted"
    STUDIO_ORPHANED = "Studio Orphaned"
    STUDIO_FAILED = "Studio Failed"


@dataclass(frozen=True)
class Announcement:
    """One event for the bus.

    Attributes:
        kind: the detail-type.
        id: the same for every delivery of the same news.
        message: the news in one sentence, for people.
        group: the group that it is about; of images, which serve any group, the image's name;
            of Studio, the domain's.
        facts: the rest of the detail, for machines; JSON values only.
    """

    kind: Kind
    id: str
    message: str
    group: str
    facts: dict[str, object] = field(default_factory=dict)

    def detail(self) -> dict[str, object]:
        return {"schema": SCHEMA, "id": self.id, "message": self.message, "group": self.group, **self.facts}


def id_of(*parts: object) -> str:
    """A stable id for what the parts name."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
