"""Which policy holds for a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Problem, Refused
from modelgate.policy import DEFAULT, GroupPolicy, key_of, read_policy

if TYPE_CHECKING:
    from modelgate.policy import Policy
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
            found = self._read(name)
            if found:
                policy, uploaded = found
                return GroupPolicy(group, policy, own=name == group, uploaded=uploaded)
        mend = f"upload one there, or {key_of(DEFAULT)} for all groups"
        raise Refused(Problem(key_of(group), "there is no policy for this group", mend))

    def default(self) -> Policy | None:
        """The default policy, if there is one.

        Raises:
            Refused: it is wrong.
        """
        found = self._read(DEFAULT)
        return found[0] if found else None

    def has_own(self, group: str) -> bool:
        """Whether there is a policy of the group's own, right or wrong."""
        return self._bucket.head(key_of(group)) is not None

    def _read(self, name: str) -> tuple[Policy, str] | None:
        found = self._bucket.read(key_of(name), MAX_DOCUMENT_BYTES)
        return (read_policy(found[0], name), found[1].version) if found else None
