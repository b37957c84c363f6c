"""Which policy holds for a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Problem, Refused
from modelgate.policy import DEFAULT, GroupPolicy, key_of, read_policy

if TYPE_CHECKING:
    from modelgate.ports import Bucket


class Policies:
    """Reads the policies in the bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def of(self, group: str) -> GroupPolicy:
        """The group's own policy, or the default one.

        Raises:
            Refused: the policy is wrong, or there is none.
        """
        for name in (group, DEFAULT):
            found = self._bucket.read(key_of(name), MAX_DOCUMENT_BYTES)
            if found is not None:
                return GroupPolicy(group, read_policy(found[0], name), own=name == group)
        mend = f"upload one there, or {key_of(DEFAULT)} for all groups"
        raise Refused(Problem(key_of(group), "there is no policy for this group", mend))
