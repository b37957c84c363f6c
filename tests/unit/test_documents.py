"""Documents are read strictly, and their errors name the field and the mend."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from modelgate import plain_yaml
from modelgate.documents import MAX_DOCUMENT_BYTES
from modelgate.errors import Problem, Refused
from modelgate.manifest import Manifest, read_manifest
from modelgate.policy import DEFAULT, Instances, Policy, read_policy
from modelgate.submission import SubmissionId

MANIFEST = {
    "container": {"framework": "sklearn", "version": "1.4-2"},
    "metrics": {"accuracy": 0.953},
    "content_types": ["text/csv"],
    "response_types": ["application/json"],
    "smoke_test": {"content_type": "text/csv", "body": "5.1,3.5,1.4,0.2"},
}


def manifest(**changes: object) -> bytes:
    """The manifest above with some keys changed; None takes a key out."""
    content = {key: value for key, value in {**MANIFEST, **changes}.items() if value is not None}
    return yaml.safe_dump(content).encode()


def problems_of(text: bytes) -> tuple[Problem, ...]:
    with pytest.raises(Refused) as refused:
        read_manifest(text)
    return refused.value.problems


def problem_of(text: bytes) -> Problem:
    (problem,) = problems_of(text)
    return problem


def test_a_right_manifest_is_read() -> None:
    (container,) = read_manifest(manifest()).served.values()
    assert container.version == "1.4-2"


@pytest.mark.parametrize(
    ("container", "tarball", "folder"),
    [
        ({"framework": "sklearn", "version": "1.4-2"}, "model.tar.gz", None),
        ({"image": "trees:v1", "artifact": "trees.tar.gz"}, "trees.tar.gz", None),
        ({"image": "trees:v1", "artifact": "model/"}, None, "model/"),
        ({"image": "trees:v1", "artifact": "none"}, None, None),
        ({"image": "a", "environment": {"HF_MODEL_ID": "org/model"}}, None, None),
        ({"image": "a", "environment": {"HF_MODEL_ID": "/opt/ml/model"}}, "model.tar.gz", None),
        ({"image": "a", "artifact": "model/", "environment": {"HF_MODEL_ID": "org/m"}}, None, "model/"),
    ],
)
def test_a_container_has_a_tarball_a_folder_or_neither(
    container: dict[str, object], tarball: str | None, folder: str | None
) -> None:
    (read,) = read_manifest(manifest(container=container)).served.values()
    assert (read.tarball, read.folder) == (tarball, folder)


def test_an_unknown_key_gets_the_nearest_known_one() -> None:
    problem = problem_of(manifest(metric={"accuracy": 1.0}))
    assert problem.where == "manifest.yaml: metric"
    assert problem.mend.startswith("did you mean metrics?")


def test_an_unknown_key_inside_names_the_keys_that_are_known_there() -> None:
    problem = problem_of(manifest(container={"framework": "sklearn", "versoin": "1", "version": "1.4-2"}))
    assert problem.where == "manifest.yaml: container.versoin"
    assert "framework" in problem.mend
    assert "smoke_test" not in problem.mend


def test_every_problem_is_named_not_only_the_first() -> None:
    problems = problems_of(manifest(content_types=None, response_types="text/csv", typo=1))
    assert {problem.where for problem in problems} == {
        "manifest.yaml: content_types",
        "manifest.yaml: response_types",
        "manifest.yaml: typo",
    }


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"smoke_test": None}, "manifest.yaml: smoke_test", "is missing; add it"),
        ({"metrics": {"accuracy": "high"}}, "manifest.yaml: metrics.accuracy", 'is "high"'),
        ({"metrics": {"accuracy": True}}, "manifest.yaml: metrics.accuracy", "is true"),
        ({"metrics": {"accuracy": float("nan")}}, "manifest.yaml: metrics.accuracy", "finite number"),
        ({"metrics": {"accuracy": float("inf")}}, "manifest.yaml: metrics.accuracy", "finite number"),
        ({"metrics": {}}, "manifest.yaml: metrics", "at least 1 item"),
        ({"metrics": None}, "manifest.yaml", "neither metrics nor metrics_file"),
        ({"container": None}, "manifest.yaml", "neither container nor containers"),
        ({"containers": [{"image": "a"}, {"image": "b"}]}, "manifest.yaml", "both container and containers"),
        (
            {"container": None, "containers": [{"image": "a"}, {"image": "b"}]},
            "manifest.yaml",
            "names model.tar.gz for several containers",
        ),
        ({"container": None, "containers": [{"image": "a"}]}, "manifest.yaml: containers", "at least 2"),
        ({"container": {}}, "manifest.yaml: container", "neither framework and version nor image"),
        ({"container": {"framework": "sklearn"}}, "manifest.yaml: container", "has no version"),
        ({"container": {"image": "a", "version": "1"}}, "manifest.yaml: container", "has version beside"),
        ({"container": {"image": "a", "artifact": "../x"}}, "manifest.yaml: container.artifact", "is '../x'"),
        ({"container": {"image": "a", "artifact": "m.zip"}}, "manifest.yaml: container.artifact", "m.zip"),
        ({"instance_types": ["m5.large"]}, "manifest.yaml: instance_types.0", "pattern"),
        ({"lineage": {"comit": "4be1f0c"}}, "manifest.yaml: lineage.comit", "not a key"),
        ({"metrics_file": "evaluation.json"}, "manifest.yaml", "both metrics and metrics_file"),
        ({"metrics": None, "metrics_file": "../x.json"}, "manifest.yaml: metrics_file", "pattern"),
        ({"metrics": {"a b": 1.0}}, "manifest.yaml: metrics", "no name that can be used"),
        ({"metadata": {"modelgate.stack": "mine"}}, "manifest.yaml: metadata", "Modelgate's own"),
        ({"metadata": {"note": "50 €"}}, "manifest.yaml: metadata", "SageMaker does not take"),
        (
            {"container": {"framework": "xgboost", "version": 3.0}},
            "manifest.yaml: container.version",
            'in quotes: "3.0"',
        ),
        ({"content_types": "text/csv"}, "manifest.yaml: content_types", "write a list, such as [a, b]"),
        ({"metrics": ["accuracy"]}, "manifest.yaml: metrics", "write a mapping, such as {key: value}"),
        (
            {"lineage": "4be1f0c"},
            "manifest.yaml: lineage",
            "write a mapping with the keys commit, repository",
        ),
        (
            {"container": None, "containers": ["trees:v1", {"image": "b"}]},
            "manifest.yaml: containers.0",
            "write a mapping with the keys framework, version",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_mend(changes: dict[str, object], where: str, says: str) -> None:
    problem = problem_of(manifest(**changes))
    assert where in problem.where
    assert says in str(problem)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a: &x 1\nb: *x\n", "alias or anchor 'x'"),
        (b"a: &x [1, 2]\n", "alias or anchor 'x'"),
        (b"a: 1\na: 2\n", "a second time"),
        (b"a: !!python/object:os.system {}\n", "is not YAML"),
        (b"a: [1, 2\n", "is not YAML"),
        (b"\xff\xfe\xfa", "is not"),
        (b"- 1\n- 2\n", "write a mapping with the keys container"),
        (b"just text", "write a mapping"),
        (b"a: " + b"[" * 40 + b"]" * 40, "nested deeper"),
        (b"x" * (MAX_DOCUMENT_BYTES + 1), "larger than 64 KB"),
        (b"a: 1\n---\nb: 2\n", "is not YAML"),
        (b'a: 1\nb: "\\ud83c!"\n', "line 2: escapes one half of a character"),
    ],
    ids=[
        "alias",
        "anchor",
        "key twice",
        "python tag",
        "syntax",
        "not utf-8",
        "list",
        "text",
        "deep",
        "large",
        "two documents",
        "half a character",
    ],
)
def test_yaml_that_is_more_than_a_plain_document_is_refused(text: bytes, says: str) -> None:
    assert says in str(problem_of(text))


def test_a_billion_laughs_are_refused_before_they_are_built() -> None:
    lines = ["a0: &a0 [lol, lol]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert "alias or anchor" in str(problem_of("\n".join(lines).encode()))


def test_numbers_and_dates_are_taken_as_people_mean_them() -> None:
    text = manifest(metrics=None) + b"metrics: {a: 1e-3, b: -.5, c: 3}\ndescription: 2026-03-01\n"
    read = read_manifest(text)
    assert read.metrics == {"a": 0.001, "b": -0.5, "c": 3.0}
    assert read.description == "2026-03-01"


# JSON leaves DEL as it is, which YAML takes nowhere.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8)


@given(
    content=st.dictionaries(
        TEXTS,
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | TEXTS,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    ),
    indent=st.sampled_from([None, 2]),
)
@example({"🌺": ["🌺", "\ud7ff\ue000"]}, None)
def test_json_is_read_as_it_is_meant(content: dict[str, object], indent: int | None) -> None:
    assert plain_yaml.load(json.dumps(content, indent=indent).encode(), "a.yaml") == content


def test_a_key_is_the_same_however_it_is_escaped() -> None:
    assert "a second time" in str(problem_of('{"🌺": 1, "\\ud83c\\udf3a": 2}'.encode()))


@given(st.binary(max_size=200))
def test_whatever_is_uploaded_is_read_or_refused(text: bytes) -> None:
    try:
        read_manifest(text)
    except Refused as refused:
        assert all(problem.mend for problem in refused.problems)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=5)
            | st.lists(st.integers(), max_size=2)
            for key in Manifest.model_fields
        },
    )
)
def test_any_mapping_is_read_or_refused_by_the_name_of_a_field(content: dict[str, object]) -> None:
    try:
        read_manifest(yaml.safe_dump(content).encode())
    except Refused as refused:
        assert all(problem.where.startswith("manifest.yaml") for problem in refused.problems)


# ── names ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "key",
    [
        "models/my iris/run/manifest.yaml",
        "models/iris+1/run/manifest.yaml",
        "models/iris%20/run/manifest.yaml",
        "models/größe/run/manifest.yaml",
        "models/-iris/run/manifest.yaml",
        f"models/{'x' * 64}/run/manifest.yaml",
        "models/iris/run 1/manifest.yaml",
        "models/iris/run+1/manifest.yaml",
        "models/iris/run%201/manifest.yaml",
        "models/iris/läufe/manifest.yaml",
        "models/iris/2026/03/manifest.yaml",
        "models//run/manifest.yaml",
        "models/iris//manifest.yaml",
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_what_can(key: str) -> None:
    with pytest.raises(Refused) as refused:
        SubmissionId.of_key(key).check()
    assert "upload under another name" in str(refused.value)


def test_a_usable_name_is_taken_apart_and_put_together_again() -> None:
    submission = SubmissionId.of_key("models/iris/2026-03-02_depth.4/manifest.yaml")
    submission.check()
    assert submission.key("model.tar.gz") == "models/iris/2026-03-02_depth.4/model.tar.gz"


# ── policies ──────────────────────────────────────────────────────────────────────────────────────
def test_an_empty_policy_demands_nothing_and_serves_on_one_instance() -> None:
    policy = read_policy(b"", "iris")
    assert policy.gate.metrics == []
    assert policy.deployment.instances == Instances(type="ml.m5.large", count=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "gate: {metrics: [{name: a, goal: maximize, at_least: -0.1}]}",
            "a negative threshold; write 0 or more",
        ),
        ("gate: {metrics: [{name: a, goal: maximize, champion_tolerance: -1}]}", "a negative threshold"),
        (
            "gate: {metrics: [{name: a, goal: minimize, at_least: 1}]}",
            "has at_least for a metric to minimize",
        ),
        ("gate: {metrics: [{name: a, goal: maximize}]}", "demands nothing of a"),
        ("gate: {metrics: [{name: a, goal: max, at_least: 1}]}", "'maximize' or 'minimize'"),
        (
            "gate: {metrics: [{name: a, goal: minimize, at_most: 1}, {name: a, goal: minimize, at_most: 2}]}",
            "names a more than once",
        ),
        ("deployment: {instances: {type: m5.large}}", "deployment.instances.type"),
        ("deployment: {instances: {count: 0}}", "deployment.instances.count"),
        ("deployment: {instances: {count: two}}", "write a whole number"),
        ("gate: {metrics: [{name: a, goal: maximize, at_least: high}]}", "write a number"),
        ("deployment: {endpoint: my_iris}", "no name that SageMaker takes"),
        ("deployment: {startup_timeout_seconds: 10}", "deployment.startup_timeout_seconds"),
        ("deployment: {rollouts: {strategy: canary}}", "did you mean rollout?"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_mend(text: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        read_policy(text.encode(), "iris")
    assert says in str(refused.value)
    assert str(refused.value).startswith("policies/iris.yaml")


def test_the_default_policy_names_no_endpoint() -> None:
    with pytest.raises(Refused, match="all groups without a policy would share"):
        read_policy(b"deployment: {endpoint: shared}", DEFAULT)


def test_policies_that_serve_alike_have_the_same_digest() -> None:
    def digest(text: bytes) -> str:
        return read_policy(text, "iris").deployment.digest

    assert digest(b"deployment: {endpoint: a}") == digest(b"deployment: {endpoint: b, instances: {count: 1}}")
    assert digest(b"{}") != digest(b"deployment: {instances: {count: 2}}")


def test_a_policy_survives_its_way_through_json() -> None:
    policy = read_policy(b"deployment: {instances: {type: ml.c5.xlarge, volume_gb: 30}}", "iris")
    assert Policy.model_validate_json(policy.model_dump_json()) == policy
