"""What comes in: the events of AWS that Modelgate reacts to. The contract's only definition.

The models take what AWS was seen to send, not only what it documents: times in four notations, tags
as a list or as a map, fields that come and go. What Modelgate does not read is not modelled. There is a
module for each service that sends events, because a function starts the faster the fewer models it has.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _moment(value: object) -> object:
    """AWS writes times as ISO 8601, as epoch milliseconds, and as those in a string."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, UTC)
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value


Moment = Annotated[datetime, BeforeValidator(_moment)]


class Event(BaseModel):
    """Whatever starts a function; keys that are not modelled are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Envelope(Event):
    """What EventBridge puts around every event."""

    id: str
    source: str
    detail_type: str = Field(alias="detail-type")
    account: str
    region: str
    time: Moment
    resources: list[str] = []
