"""Metrics files: which figures come out of them, and what SageMaker is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgate.documents import MAX_DEPTH
from modelgate.errors import Problem, Refused
from modelgate.metrics import MAX_BYTES, MAX_FIGURES, Metrics, as_model_quality, constraints, of_figures, read
from modelgate.policy import GatePolicy, Threshold

FILE = "evaluation.json"


def entry(value: object) -> dict[str, object]:
    """A metric as SageMaker writes it."""
    return {"value": value, "standard_deviation": "NaN"}


# As a model quality job writes its statistics.
SAGEMAKERS = {
    "version": 0.0,
    "dataset": {"item_count": 4, "evaluation_time": "2026-11-22T12:00:00.000Z"},
    "binary_classification_metrics": {
        "confusion_matrix": {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}},
        "accuracy": entry(0.5),
        "auc": {"value": 1.0, "standard_deviation": 0.25},
        "f1": entry("NaN"),
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": [0.0],
            "true_positive_rates": [1.0],
        },
    },
}


def metrics_of(content: object) -> Metrics:
    return read(json.dumps(content).encode(), FILE)


def problems_of(text: bytes) -> tuple[Problem, ...]:
    with pytest.raises(Refused) as refused:
        read(text, FILE)
    return refused.value.problems


# ── figures ───────────────────────────────────────────────────────────────────────────────────────
def test_a_flat_file_has_its_figures_by_their_names() -> None:
    assert metrics_of({"accuracy": 0.9, "log_loss": 1}).figures == {"accuracy": 0.9, "log_loss": 1.0}


def test_a_file_in_sagemakers_format_has_the_values_of_its_groups() -> None:
    metrics = metrics_of(SAGEMAKERS)
    assert metrics.figures == {
        "binary_classification_metrics.accuracy": 0.5,
        "binary_classification_metrics.auc": 1.0,
    }


def test_what_is_left_out_of_sagemakers_format_is_told_with_what_it_is() -> None:
    group = "binary_classification_metrics"
    assert metrics_of(SAGEMAKERS).left_out == {
        "version": "a note of SageMaker's",
        "dataset": "a note of SageMaker's",
        f"{group}.confusion_matrix": "a confusion matrix",
        f"{group}.accuracy.standard_deviation": "a standard deviation",
        f"{group}.auc.standard_deviation": "a standard deviation",
        f"{group}.f1": '"NaN"',
        f"{group}.f1.standard_deviation": "a standard deviation",
        f"{group}.receiver_operating_characteristic_curve": "a curve",
    }


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("auc", "binary_classification_metrics.auc"),
        ("auc.value", "binary_classification_metrics.auc"),
        ("binary_classification_metrics.auc", "binary_classification_metrics.auc"),
        ("binary_classification_metrics.auc.value", "binary_classification_metrics.auc"),
        ("f1", "binary_classification_metrics.f1"),
    ],
)
def test_a_metric_has_its_path_and_the_last_part_of_it_for_names(name: str, path: str) -> None:
    assert metrics_of(SAGEMAKERS).paths(name) == (path,)


def test_a_name_that_is_a_whole_path_means_that_one() -> None:
    metrics = metrics_of({"rmse": 1.0, "val": {"rmse": 2.0}, "test": {"rmse": 3.0, "mae": 4.0}})
    assert metrics.paths("rmse") == ("rmse",)
    assert metrics_of({"val": {"rmse": 2.0}, "test": {"rmse": 3.0}}).paths("rmse") == (
        "val.rmse",
        "test.rmse",
    )


def test_a_metric_may_be_called_value() -> None:
    assert metrics_of({"value": 1.0, "of": {"value": {"value": 2.0}}}).figures == {
        "value": 1.0,
        "of.value": 2.0,
    }


def test_a_file_may_be_nested_as_deep_as_a_document() -> None:
    assert read(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, FILE).figures == {
        ".".join("a" * MAX_DEPTH): 1.0
    }


# ── what is refused ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "evaluation.json: is not JSON"),
        (b"\xff", "evaluation.json: is not JSON"),
        (b"[" * 5000, "evaluation.json: is not JSON"),
        (b"[1]", "evaluation.json: is [1]; write a JSON object"),
        (b"{}", "evaluation.json: holds no figure"),
        (b'{"accuracy": "0.9"}', 'accuracy: is "0.9"; write a finite number, without quotes'),
        (b'{"accuracy": NaN}', "accuracy: is NaN; write a finite number, or leave it out"),
        (b'{"accuracy": "NaN"}', 'accuracy: is "NaN"; write a finite number'),
        (b'{"accuracy": -Infinity}', "accuracy: is -Infinity; write a finite number"),
        (b'{"accuracy": 1e999}', "accuracy: is Infinity; write a finite number"),
        (b'{"accuracy": ' + b"9" * 309 + b"}", "accuracy: is 999"),
        (b'{"accuracy": ' + b"9" * 5000 + b"}", "accuracy: is Infinity"),
        (b'{"accuracy": true}', "accuracy: is true"),
        (b'{"accuracy": null}', "evaluation.json: accuracy: is null"),
        (b'{"accuracy": [0.9]}', "accuracy: is [0.9]"),
        (b'{"val": {"accuracy": null}}', "evaluation.json: val.accuracy: is null"),
        (b'{"macro avg": 0.9}', "macro avg: is a name that cannot be used; use letters"),
        (b'{"\\ud800": 0.9}', "is a name that cannot be used"),
        (b'{"a": 1, "a": 2}', 'has the key "a" a second time'),
        (b'{"a.b": 1, "a": {"b": 2}}', "a.b: is there twice"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested deeper"),
        (b" " * (MAX_BYTES + 1), "is larger than 1,024 KB"),
        (b'{"regression_metrics": {"rmse": {"value": "NaN"}}}', "holds no figure"),
        (b'{"regression_metrics": {"rmse": {"value": 1}, "rmse": {"value": 2}}}', "a second time"),
    ],
)
def test_a_wrong_file_is_refused_with_the_mend(text: bytes, says: str) -> None:
    (problem,) = problems_of(text)
    assert says in str(problem)
    assert str(problem).encode()


def test_every_problem_is_named() -> None:
    problems = problems_of(b'{"a": "x", "b": 0.5, "c": {"d": null, "e f": 1}}')
    assert [problem.where for problem in problems] == [f"{FILE}: a", f"{FILE}: c.d", f"{FILE}: c.e f"]


def test_thousands_of_problems_are_counted() -> None:
    problems = problems_of(json.dumps(dict.fromkeys(map("m{}".format, range(5000)))).encode())
    assert len(problems) < 100
    assert "more problems" in problems[-1].found


def test_a_file_holds_so_many_figures_and_no_more() -> None:
    figures = {f"m{number}": 1.0 for number in range(MAX_FIGURES)}
    assert metrics_of(figures).figures == figures
    (problem,) = problems_of(json.dumps({**figures, "more": 1.0}).encode())
    assert f"holds {MAX_FIGURES + 1} figures" in problem.found


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda key: key != "value")
trees = st.recursive(
    st.dictionaries(keys, numbers | numbers.map(entry), min_size=1, max_size=4),
    lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=8,
)
junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["value", "regression_metrics", "confusion_matrix"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


def figures_in(tree: dict[str, Any], above: str = "") -> dict[str, float]:
    """Every number of a tree of groups and metrics, by its path."""
    found: dict[str, float] = {}
    for key, value in tree.items():
        if not isinstance(value, dict):
            found[above + key] = value
        elif "standard_deviation" in value:
            found[above + key] = value["value"]
        else:
            found |= figures_in(value, f"{above}{key}.")
    return found


@given(trees)
@settings(max_examples=50)
def test_every_figure_is_found_and_a_name_means_one_only_if_it_is_the_only_one(tree: dict[str, Any]) -> None:
    figures = figures_in(tree)
    metrics = metrics_of(tree)
    assert metrics.figures == figures
    last_parts = [path.rpartition(".")[2] for path in figures]
    for path, last in zip(figures, last_parts, strict=True):
        assert metrics.paths(path) == (path,)
        if last not in figures:
            assert (metrics.paths(last) == (path,)) == (last_parts.count(last) == 1)


@given(junk | st.fixed_dictionaries({"regression_metrics": junk}, optional={"version": junk}))
def test_whatever_json_comes_is_read_or_refused(content: object) -> None:
    try:
        metrics = metrics_of(content)
    except Refused as refused:
        assert all(problem.mend and str(problem).encode() for problem in refused.problems)
    else:
        assert metrics.figures
        assert json.loads(as_model_quality(metrics), parse_constant=pytest.fail)


@given(st.binary(max_size=50))
@settings(max_examples=30)
def test_whatever_bytes_come_are_read_or_refused(text: bytes) -> None:
    try:
        assert read(text, FILE).figures
    except Refused as refused:
        assert refused.problems[0].where.startswith(FILE)


# ── what SageMaker is shown ───────────────────────────────────────────────────────────────────────
def test_a_file_in_sagemakers_format_goes_out_as_it_came() -> None:
    text = json.dumps(SAGEMAKERS).encode()
    assert as_model_quality(read(text, FILE)) == text
    assert as_model_quality(read(b"\xef\xbb\xbf" + text, FILE)) == text


def test_a_bare_nan_goes_out_as_the_text_that_sagemaker_writes() -> None:
    text = b'{"regression_metrics": {"rmse": {"value": 4.1, "standard_deviation": NaN}, "n": 3}}'
    assert json.loads(as_model_quality(read(text, FILE))) == {
        "regression_metrics": {"rmse": {"value": 4.1, "standard_deviation": "NaN"}, "n": 3}
    }


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("rmse", "regression_metrics"),
        ("val.rmse", "regression_metrics"),
        ("auc", "binary_classification_metrics"),
        ("accuracy", "multiclass_classification_metrics"),
        ("lift", "multiclass_classification_metrics"),
    ],
)
def test_other_figures_go_out_in_the_group_that_fits_their_names(name: str, group: str) -> None:
    shown = json.loads(as_model_quality(of_figures({"loss": 0.1, name: 0.5})))
    assert shown == {group: {"loss": entry(0.1), name: entry(0.5)}}


@given(trees)
@settings(max_examples=30)
def test_what_goes_out_has_the_figures_that_came_in(tree: dict[str, Any]) -> None:
    metrics = metrics_of(tree)
    out = read(as_model_quality(metrics), FILE).figures
    assert sorted(out.values()) == sorted(metrics.figures.values())


GATE = GatePolicy(
    metrics=[
        Threshold(name="auc", goal="maximize", at_least=0.9),
        Threshold(name="rmse", goal="minimize", at_most=5.0),
        Threshold(name="accuracy", goal="maximize", champion_tolerance=0.01),
    ]
)


def test_the_gates_bounds_are_sagemakers_constraints() -> None:
    """The operator says what violates: so at_least is violated by less."""
    text = constraints(of_figures({"rmse": 1.0, "accuracy": 1.0}), GATE)
    assert text is not None
    assert json.loads(text) == {
        "version": 0.0,
        "regression_constraints": {"rmse": {"threshold": 5.0, "comparison_operator": "GreaterThanThreshold"}},
    }
    text = constraints(metrics_of(SAGEMAKERS), GATE)
    assert text is not None
    assert json.loads(text)["binary_classification_constraints"] == {
        "auc": {"threshold": 0.9, "comparison_operator": "LessThanThreshold"}
    }


@pytest.mark.parametrize("figures", [{"accuracy": 0.9}, {"a.auc": 1.0, "b.auc": 1.0}])
def test_without_a_bound_on_one_metric_there_are_no_constraints(figures: dict[str, float]) -> None:
    assert constraints(of_figures(figures), GATE) is None
