"""The bus for announcements in Amazon EventBridge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from modelgate.announcements import SOURCE, Announcement
from modelgate.aws.errors import translated
from modelgate.errors import Throttled

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_ENTRIES_A_CALL = 10


class EventBridgeBus:
    """A `modelgate.ports.Bus`."""

    def __init__(self, client: EventBridgeClient, name: str) -> None:
        self._client = client
        self._name = name

    def announce(self, *announcements: Announcement) -> None:
        for first in range(0, len(announcements), _ENTRIES_A_CALL):
            self._put(announcements[first : first + _ENTRIES_A_CALL])

    def _put(self, announcements: tuple[Announcement, ...]) -> None:
        with translated("PutEvents"):
            answer = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._name,
                        "Source": SOURCE,
                        "DetailType": announcement.kind.value,
                        "Detail": json.dumps(announcement.detail()),
                    }
                    for announcement in announcements
                ]
            )
        # PutEvents succeeds when entries in it failed.
        if answer["FailedEntryCount"]:
            failed = next(entry for entry in answer["Entries"] if "ErrorCode" in entry)
            raise Throttled("PutEvents", failed["ErrorCode"], failed.get("ErrorMessage", ""))
