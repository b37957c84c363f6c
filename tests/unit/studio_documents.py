"""Documents of Studio, made by hand and by hypothesis."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

ROLE = "arn:aws:iam::123456789012:role/studio"
ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
PEOPLE = ("ana", "ben", "cleo", "dora")
_INSTANCES = ("ml.t3.medium", "ml.m5.large", "ml.g5.xlarge")
_SCRIPTS = ("echo hello", "echo bye", "pip install polars")


def document(*people: str, **changes: Any) -> dict[str, Any]:
    """A domain with these profiles and no spaces; ``changes`` are further keys."""
    told: dict[str, Any] = {
        "domain": {"network": {"vpc": "vpc-1a2b3c4d", "subnets": ["subnet-1a2b3c4d"]}},
        "profiles": [{"name": name} for name in people],
    }
    return {**told, **changes}


def written(told: dict[str, Any]) -> bytes:
    """As it is uploaded; JSON is YAML."""
    return json.dumps(told).encode()


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_tags = st.dictionaries(st.sampled_from(["team", "office", "cost"]), st.sampled_from(["a", "b"]), max_size=2)
_idle = st.sampled_from([0, 60, 120]) | st.just(
    {"after_minutes": 90, "least_minutes": 60, "most_minutes": 480}
)
_storage = st.sampled_from([{"default_gb": 5, "most_gb": 100}, {"default_gb": 10, "most_gb": 200}])


def _app(lifecycles: list[str], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields: dict[str, st.SearchStrategy[Any]] = {
        "instance": st.sampled_from(_INSTANCES),
        "idle_shutdown": _idle,
        **more,
    }
    if lifecycles:
        fields["lifecycle"] = st.lists(st.sampled_from(lifecycles), unique=True, max_size=2)
    return _optional(**fields)


def _with_default(app: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """One of the lifecycle configurations may run where nobody chooses."""
    if not app.get("lifecycle"):
        return st.just(app)
    default = st.sampled_from(app["lifecycle"])
    return st.just(app) | default.map(lambda name: {**app, "default_lifecycle": name})


def _profile_settings(lifecycles: list[str]) -> dict[str, st.SearchStrategy[Any]]:
    repositories = st.lists(st.just("https://example.com/notebooks.git"), max_size=1)
    return {
        "apps": st.just(["JupyterLab", "CodeEditor"]) | st.just(["CodeEditor", "JupyterLab", "Canvas"]),
        "jupyterlab": _app(lifecycles, repositories=repositories).flatmap(_with_default),
        "code_editor": _app([]),
        "storage": _storage,
        "security_groups": st.lists(st.sampled_from(["sg-1", "sg-2"]), unique=True, max_size=2),
        "web_portal": st.booleans(),
        "landing_uri": st.just("app:JupyterServer:"),
    }


def _led_elsewhere(told: dict[str, Any]) -> dict[str, Any]:
    """People who cannot reach Studio are led to Studio Classic."""
    return {**told, "landing_uri": "app:JupyterServer:"} if told.get("web_portal") is False else told


def _content(lifecycles: list[str]) -> dict[str, st.SearchStrategy[Any]]:
    fields: dict[str, st.SearchStrategy[Any]] = {
        "instance": st.sampled_from(_INSTANCES),
        "storage_gb": st.sampled_from([5, 20, 50]),
        "idle_minutes": st.sampled_from([60, 120]),
        "tags": _tags,
    }
    return fields | ({"lifecycle": st.sampled_from(lifecycles)} if lifecycles else {})


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Any document that is right, with up to four profiles; sometimes one that wants nothing."""
    switches = draw(_optional(prune=st.booleans()))
    if not draw(st.integers(0, 6)):
        return switches
    people = draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=4))
    scripts = draw(st.dictionaries(st.sampled_from(["packages", "mounts"]), st.sampled_from(_SCRIPTS)))
    lifecycles = sorted(scripts)
    groups = draw(st.dictionaries(st.just("scientists"), _optional(jupyterlab=_app(lifecycles), tags=_tags)))
    settings = _profile_settings(lifecycles)
    of_groups = st.lists(st.sampled_from(sorted(groups)), max_size=1) if groups else st.just([])
    profile = _optional(**settings, tags=_tags, groups=of_groups)
    domain = _optional(
        tags=_tags,
        tag_propagation=st.booleans(),
        profile_settings=_optional(**settings).map(_led_elsewhere),
        space_settings=_optional(jupyterlab=_app(lifecycles).flatmap(_with_default), storage=_storage),
    )
    subnets = st.lists(st.sampled_from(["subnet-1", "subnet-2"]), unique=True, min_size=1)
    told: dict[str, Any] = {
        **switches,
        "domain": {"network": {"vpc": "vpc-1a2b3c4d", "subnets": draw(subnets)}, **draw(domain)},
        "lifecycle_configurations": {
            name: {"app": "JupyterLab", "script": script} for name, script in scripts.items()
        },
        "groups": groups,
        "profiles": [{"name": name, **draw(profile)} for name in people],
    }
    if people:
        told["spaces"] = draw(_spaces(people, lifecycles))
    return told


@st.composite
def _spaces(draw: st.DrawFn, people: list[str], lifecycles: list[str]) -> dict[str, Any]:
    content = _content(lifecycles)
    told: dict[str, Any] = {}
    if draw(st.booleans()):
        told["private_for_each_profile"] = {"app": "JupyterLab", **draw(_optional(**content))}
    names = draw(st.lists(st.sampled_from(["lab", "den"]), unique=True))
    # What SageMaker can never change is the same in all documents: that is refused, and has tests of its own.
    told["private"] = [
        {"name": f"{people[0]}-{name}", "owner": people[0], "app": "JupyterLab", **draw(_optional(**content))}
        for name in names
    ]
    if "ana" in people and draw(st.booleans()):
        team = {"name": "team", "owner": "ana", "app": "JupyterLab", **draw(_optional(**content))}
        others = [each for each in people if each != "ana"]
        if others:
            members = st.lists(st.sampled_from(others), unique=True)
            team |= draw(_optional(members=members, members_may=st.sampled_from(["use", "change"])))
        told["shared"] = [team]
    return told
