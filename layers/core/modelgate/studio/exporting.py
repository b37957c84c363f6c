"""`document_of(found) -> the document of what there is`: `wanting` read backwards. Pure.

Whoever begins with it plans no difference. What a document has no word for is told in its comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelgate.names import STACK_TAG
from modelgate.studio.document import LANDING_URI, MEMBERS_MAY_TAG, MEMBERS_TAG, PRIVATE, key_of
from modelgate.studio.resources import DOMAIN_TAG, RESERVED_TAGS, Found, Kind, Settings, There, Value
from modelgate.studio.vocabulary import (
    APP_TYPES,
    FOR_PROFILES,
    FOR_SPACES,
    LEAST_IDLE_MINUTES,
    MOST_IDLE_MINUTES,
    OF_DOMAIN,
    SPACE_APPS,
)
from modelgate.studio.wanting import lifecycle_name

_AUTHENTICATION = {"IAM": "iam", "SSO": "sso"}
_ACCESS = {"PublicInternetOnly": "public", "VpcOnly": "vpc_only"}
_MADE = re.compile(r"(?P<name>.+)-[0-9a-f]{8}")


def document_of(found: Found, *, stack: str) -> str:
    """The document of a domain that exists, as YAML.

    Args:
        found: with a domain in it.
        stack: whose tags say that it need not be adopted.

    Raises:
        ValueError: there is no domain.
    """
    domains = found.of(Kind.DOMAIN)
    if not domains:
        raise ValueError("there is no domain")
    exporting = _Exporting(found, domains[0], stack)
    told = exporting.document()
    head = [f"# {key_of(domains[0].ref.name)}: what there was of domain {found.domain_id}."]
    return "\n".join([*head, *(f"# {each}" for each in exporting.unsaid), "", *_yaml(told, 0), ""])


class _Exporting:
    def __init__(self, found: Found, domain: There, stack: str) -> None:
        self._found = found
        self._domain = domain
        self._stack = stack
        self.unsaid: list[str] = []
        self._configurations = {
            each.arn: (match["name"].removeprefix(f"{domain.ref.name}-"), each)
            for each in found.of(Kind.LIFECYCLE_CONFIGURATION)
            if (match := _MADE.fullmatch(each.ref.name)) and self._is_by_document(each, match["name"])
        }

    def _is_by_document(self, config: There, made: str) -> bool:
        """Whether the document of this name would call this content so."""
        domain = self._domain.ref.name
        name = made.removeprefix(f"{domain}-")
        app, script = str(config.fixed["app"]), str(config.fixed["script"])
        return self._own(config) and lifecycle_name(domain, name, app, script) == config.ref.name

    def _own(self, there: There) -> bool:
        tags = there.tags
        return tags.get(STACK_TAG) == self._stack and tags.get(DOMAIN_TAG) == self._domain.ref.name

    def document(self) -> dict[str, Any]:
        spaces = [each for each in self._found.of(Kind.SPACE) if self._can_be_said(each)]
        profiles = self._found.of(Kind.PROFILE)
        held = (self._domain, *profiles, *spaces)
        told: dict[str, Any] = {}
        if not all(map(self._own, held)):
            told["adopt"] = True
        told["domain"] = self._told_domain()
        if self._configurations:
            told["lifecycle_configurations"] = {
                name: {"app": each.fixed["app"], "script": each.fixed["script"]}
                for name, each in sorted(self._configurations.values(), key=lambda pair: pair[0])
            }
        if profiles:
            told["profiles"] = [self._told_profile(each) for each in profiles]
        if by_sharing := self._told_spaces(spaces, [each.ref.name for each in profiles]):
            told["spaces"] = by_sharing
        return told

    def _can_be_said(self, space: There) -> bool:
        if not space.fixed["owner"]:
            self.unsaid.append(f"{space.ref} has no owner, and is left out.")
        elif space.fixed["app"] not in SPACE_APPS:
            app = space.fixed["app"] or "no app type"
            self.unsaid.append(f"{space.ref} is for {app}, which a document cannot say; it is left out.")
        elif space.fixed["sharing"] == "Shared" and space.fixed["app"] != "JupyterLab":
            self.unsaid.append(f"{space.ref} is shared for {space.fixed['app']}; it is left out.")
        else:
            return True
        return False

    # ── the parts ─────────────────────────────────────────────────────────────────────────────
    def _told_domain(self) -> dict[str, Any]:
        settings, fixed = self._domain.settings, self._domain.fixed
        told: dict[str, Any] = {
            "authentication": _AUTHENTICATION[str(fixed["authentication"])],
            "network": {
                "vpc": fixed["vpc"],
                "subnets": _plain(settings["subnets"]),
                "access": _ACCESS[str(settings["network"])],
            },
        }
        role = settings[f"{FOR_PROFILES}execution_role"]
        if role:
            told["execution_role"] = role
        if fixed["kms_key"]:
            told["kms_key"] = fixed["kms_key"]
        if settings["tag_propagation"]:
            told["tag_propagation"] = True
        told |= _some("tags", _tags(self._domain))
        profiles = self._other_than(FOR_PROFILES, {"execution_role": role, "landing_uri": LANDING_URI})
        spaces = self._other_than(FOR_SPACES, {"execution_role": role})
        told |= _some("profile_settings", self._told_settings(profiles))
        return told | _some("space_settings", self._told_settings(spaces))

    def _other_than(self, prefix: str, defaults: Settings) -> dict[str, Value]:
        """What the document has to say for it to be wanted again."""
        return {
            key: value
            for full, value in self._domain.settings.items()
            if full.startswith(prefix)
            and value != defaults.get(key := full.removeprefix(prefix), OF_DOMAIN[full])
            and value != ""
        }

    def _told_profile(self, profile: There) -> dict[str, Any]:
        told: dict[str, Any] = {"name": profile.ref.name}
        if profile.fixed["sso_user"]:
            told["sso_user"] = profile.fixed["sso_user"]
        return {**told, **self._told_settings(profile.settings), **_some("tags", _tags(profile))}

    def _told_settings(self, settings: Settings) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for key in ("execution_role", "landing_uri", "web_portal", "security_groups"):
            if key in settings:
                told[key] = _plain(settings[key])
        if isinstance(hidden := settings.get("hidden_apps"), tuple):
            told["apps"] = [each for each in APP_TYPES if each not in hidden]
        for name in ("jupyterlab", "code_editor"):
            told |= _some(name, self._told_app(_under(name, settings)))
        return told | _some("storage", self._told_storage(_under("storage", settings)))

    def _told_app(self, said: Mapping[str, Value]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if "instance" in said:
            told["instance"] = said["instance"]
        if "lifecycle" in said:
            told["lifecycle"] = [self._named(str(arn)) for arn in _plain(said["lifecycle"])]
        if said.get("default_lifecycle"):
            told["default_lifecycle"] = self._named(str(said["default_lifecycle"]))
        if "repositories" in said:
            told["repositories"] = _plain(said["repositories"])
        if any(key.endswith("idle_minutes") for key in said):
            told["idle_shutdown"] = _idle(said)
        return told

    def _told_storage(self, said: Mapping[str, Value]) -> dict[str, Any]:
        if not said:
            return {}
        return {
            key: said.get(key, OF_DOMAIN[f"{FOR_PROFILES}storage.{key}"]) for key in ("default_gb", "most_gb")
        }

    def _named(self, arn: str) -> str:
        return self._configurations[arn][0] if arn in self._configurations else arn

    # ── spaces ────────────────────────────────────────────────────────────────────────────────
    def _told_spaces(self, spaces: list[There], profiles: list[str]) -> dict[str, Any]:
        private = {
            each.ref.name: self._told_space(each) for each in spaces if each.fixed["sharing"] == "Private"
        }
        shared = [self._told_space(each) for each in spaces if each.fixed["sharing"] == "Shared"]
        told: dict[str, Any] = {}
        for_each = _alike(private, profiles)
        if for_each is not None:
            told["private_for_each_profile"] = for_each
        elif private:
            told["private"] = list(private.values())
        return told | _some("shared", shared)

    def _told_space(self, space: There) -> dict[str, Any]:
        said = space.settings
        told: dict[str, Any] = {
            "name": space.ref.name,
            "owner": space.fixed["owner"],
            "app": space.fixed["app"],
        }
        for key in ("display_name", "instance", "storage_gb", "idle_minutes", "repositories"):
            if key in said:
                told[key] = _plain(said[key])
        if said.get("lifecycle"):
            told["lifecycle"] = self._named(str(said["lifecycle"]))
        members = space.tags.get(MEMBERS_TAG, "/")
        if space.fixed["sharing"] == "Shared" and members != "/":
            told["members"] = members.strip("/").split("/") if members.strip("/") else []
        if space.fixed["sharing"] == "Shared" and space.tags.get(MEMBERS_MAY_TAG) == "change":
            told["members_may"] = "change"
        return told | _some("tags", _tags(space))


def _alike(private: Mapping[str, dict[str, Any]], profiles: list[str]) -> dict[str, Any] | None:
    """What `private_for_each_profile` would say, if that is all that there is to say."""
    contents = []
    for profile in profiles:
        told = private.get(f"{profile}{PRIVATE}")
        if told is None or told["owner"] != profile or "display_name" in told:
            return None
        contents.append({key: value for key, value in told.items() if key not in {"name", "owner"}})
    if len(private) != len(profiles) or any(each != contents[0] for each in contents):
        return None
    return contents[0] if contents else None


def _idle(said: Mapping[str, Value]) -> Any:
    after = said.get("idle_minutes", 0)
    least = said.get("least_idle_minutes", LEAST_IDLE_MINUTES)
    most = said.get("most_idle_minutes", MOST_IDLE_MINUTES)
    if (least, most) == (LEAST_IDLE_MINUTES, MOST_IDLE_MINUTES):
        return after
    return {"after_minutes": after, "least_minutes": least, "most_minutes": most}


def _under(name: str, settings: Settings) -> dict[str, Value]:
    return {
        key.removeprefix(f"{name}."): value for key, value in settings.items() if key.startswith(f"{name}.")
    }


def _tags(there: There) -> dict[str, str]:
    return {
        key: value for key, value in sorted(there.tags.items()) if not key.lower().startswith(RESERVED_TAGS)
    }


def _some(key: str, content: Any) -> dict[str, Any]:
    return {key: content} if content else {}


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


# ── YAML ──────────────────────────────────────────────────────────────────────────────────────────
def _yaml(content: Mapping[str, Any], depth: int) -> Iterator[str]:
    """As people write it: a key to a line, texts in quotes only where they need them."""
    margin = "  " * depth
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield f"{margin}{_scalar(key)}:"
            yield from _yaml(value, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{margin}{_scalar(key)}:"
            for each in value:
                first, *rest = _yaml(each, depth + 2)
                yield f"{margin}  - {first.strip()}"
                yield from rest
        elif isinstance(value, str) and _is_block(value):
            yield f"{margin}{_scalar(key)}: |"
            yield from (f"{margin}  {line}" if line else "" for line in value[:-1].split("\n"))
        else:
            yield f"{margin}{_scalar(key)}: {_scalar(value)}"


_PRINTABLE = re.compile(r"[\n\x20-\x7e]+")


def _is_block(text: str) -> bool:
    """Whether a block says exactly this: lines that end, the first not indented, and no odd characters."""
    ends = text.endswith("\n") and not text.endswith("\n\n")
    return ends and text[0] not in " \n" and _PRINTABLE.fullmatch(text) is not None


_BARE = re.compile(r"[a-zA-Z][a-zA-Z0-9_./@-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def _scalar(value: Any) -> str:
    import json

    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, str):
        # JSON writes what is beyond 16 bits as two characters, and YAML has one for it.
        text = json.dumps(value, ensure_ascii=False)
        return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in text)
    return json.dumps(value)
