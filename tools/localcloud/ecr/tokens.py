"""The tokens of GetAuthorizationToken, which a docker client sends as the password of the user ``AWS``."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import secrets
from dataclasses import dataclass
from threading import Lock

from localcloud.calls import Caller, now
from localcloud.errors import ServiceError

USER_NAME = "AWS"
_LIFE = dt.timedelta(hours=12)


@dataclass(frozen=True)
class Token:
    """What stands for a caller for twelve hours."""

    password: str
    expires: dt.datetime

    @property
    def basic(self) -> str:
        """User name and password, as HTTP's basic authentication encodes them."""
        return base64.b64encode(f"{USER_NAME}:{self.password}".encode()).decode()


class Tokens:
    """The tokens that were handed out, and whose they are."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders: dict[str, tuple[Caller, dt.datetime]] = {}

    def issue(self, caller: Caller) -> Token:
        """A new token for ``caller``."""
        token = Token(secrets.token_urlsafe(60), now() + _LIFE)
        with self._lock:
            self._holders[token.password] = (caller, token.expires)
        return token

    def holder(self, authorization: str | None) -> Caller:
        """Who sends a request with this Authorization header.

        Raises:
            ServiceError: nobody who is known, or a token that has expired.
        """
        name, password = _basic(authorization or "")
        with self._lock:
            found = self._holders.get(password) if name == USER_NAME else None
        if found is None:
            raise ServiceError("Unauthorized", "Your Authorization Token is invalid.", 401)
        caller, expires = found
        if expires <= now():
            message = "Your authorization token has expired. Reauthenticate and try again."
            raise ServiceError("AccessDeniedException", message, 403)
        return caller


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password
