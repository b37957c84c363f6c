"""Who holds which access key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from threading import Lock

from localcloud.calls import AWS_ITSELF, ROOT, Caller

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class Credentials:
    """What a client signs with. The local cloud looks at the key only; it verifies no signature."""

    access_key: str
    secret_key: str
    session_token: str | None = None


# Any other key than those handed out here is the user's, who may do everything.
USER = Credentials("AKIALOCALCLOUDUSER00", "local-cloud-user-secret")


class Identities:
    """The access keys that were handed out, and whose they are."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._callers: dict[str, Caller] = {}
        self.aws_itself = self.issue(AWS_ITSELF)

    def issue(self, caller: Caller) -> Credentials:
        """New credentials for ``caller``."""
        key = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
        with self._lock:
            self._callers[key] = caller
        return Credentials(key, secrets.token_urlsafe(30), secrets.token_urlsafe(60))

    def caller(self, access_key: str | None) -> Caller:
        """Whose key this is; a key from elsewhere is the user's."""
        with self._lock:
            return self._callers.get(access_key or "", ROOT)
