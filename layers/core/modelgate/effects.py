"""What is owed after an outcome. It is written down with the outcome and ticked off when done.

So whoever crashes between the two leaves a note, and the next invocation that comes along does the
rest. An effect may therefore be carried out twice, and never not at all.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from modelgate.announcements import Announcement
from modelgate.values import dataclass


@dataclass(frozen=True)
class Announce:
    """Publish the announcement."""

    announcement: Announcement
    kind: Literal["announce"] = "announce"

    @property
    def id(self) -> str:
        return f"announce:{self.announcement.id}"


@dataclass(frozen=True)
class Reject:
    """Reject a version's package with the reason, unless somebody decided again since.

    Attributes:
        attempt: the number of the attempt that failed.
        version: the version that failed on its first way.
        reason: why, for ApprovalDescription.
        package_modified_at: the package's LastModifiedTime when the attempt was opened.
    """

    attempt: int
    version: int
    reason: str
    package_modified_at: datetime
    kind: Literal["reject"] = "reject"

    @property
    def id(self) -> str:
        return f"reject:{self.attempt}"


Effect = Announce | Reject
