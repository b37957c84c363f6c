"""Amazon EventBridge's schedules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from modelgate.events import Envelope


class SweepDue(Envelope):
    """Amazon EventBridge: "Scheduled Event"."""

    source: Literal["aws.events"]
    detail_type: Literal["Scheduled Event"] = Field(alias="detail-type")
