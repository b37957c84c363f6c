"""boto3 clients of the local cloud, for its own use and for the user's."""

from __future__ import annotations

from threading import Lock
from typing import Any

from localcloud.calls import Caller
from localcloud.credentials import USER, Credentials, Identities
from localcloud.function_session import Hook, LocalSession


class Clients:
    """Makes clients, each kind once for each who calls."""

    def __init__(self, url: str, region: str, identities: Identities) -> None:
        self._url = url
        self._region = region
        self._identities = identities
        self._lock = Lock()
        self._of_roles: dict[Caller, Credentials] = {}
        self._sessions: dict[str, LocalSession] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def user(self, service: str) -> Any:
        """A client of the user's, who may do everything."""
        return self._client("user", USER, service)

    def aws(self, service: str) -> Any:
        """A client of AWS's own services, which no fault meets."""
        return self._client("aws", self._identities.aws_itself, service)

    def of_role(self, caller: Caller, service: str) -> Any:
        """A client of a role's."""
        with self._lock:
            if caller not in self._of_roles:
                self._of_roles[caller] = self._identities.issue(caller)
            credentials = self._of_roles[caller]
        return self._client(f"role {caller.role}", credentials, service)

    def session(
        self, credentials: Credentials, before: Hook | None = None, after: Hook | None = None
    ) -> LocalSession:
        """A session of its own."""
        return LocalSession(
            url=self._url, region=self._region, credentials=credentials, before=before, after=after
        )

    def _client(self, who: str, credentials: Credentials, service: str) -> Any:
        with self._lock:
            if who not in self._sessions:
                self._sessions[who] = self.session(credentials)
            if (who, service) not in self._clients:
                self._clients[who, service] = self._sessions[who].client(service)
            return self._clients[who, service]

    def close(self) -> None:
        """Close the connections of every client made here."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
