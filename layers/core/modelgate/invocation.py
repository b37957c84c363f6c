"""One run of a function, as far as those it works beside need to know of it."""

from __future__ import annotations

from datetime import datetime

from modelgate.values import dataclass


@dataclass(frozen=True)
class Invocation:
    """One run of a function.

    Attributes:
        id: Lambda's request id; Lambda's own retries of an event keep it.
        until: when Lambda ends it, whatever it is doing; what it has begun is nobody's from then on.
    """

    id: str
    until: datetime
