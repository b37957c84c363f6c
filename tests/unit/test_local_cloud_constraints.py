"""Requests against botocore's models, in AWS's words."""

from __future__ import annotations

import pytest
from moto.core.utils import get_service_model

from localcloud import constraints

SERVICES = (
    *("application-autoscaling", "cloudformation", "cloudwatch", "codebuild", "dynamodb", "ecr", "events"),
    *("iam", "lambda", "logs", "s3", "sagemaker", "sagemaker-runtime", "sns", "sqs", "ssm", "sts"),
)


def complaints(service: str, operation: str, **params: object) -> list[str]:
    """What AWS would say to a request."""
    shape = get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    return constraints.violations(shape, params)


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_of_a_service_can_be_checked(service: str) -> None:
    model = get_service_model(service)
    for name in model.shape_names:
        java = model.shape_for(name).metadata.get("pattern")
        if java:
            constraints.pattern(java)


def test_a_request_without_fault_has_no_complaints() -> None:
    assert complaints("sagemaker", "DescribeEndpoint", EndpointName="iris-1") == []


def test_what_is_missing_must_not_be_null() -> None:
    assert complaints("sagemaker", "CreateEndpoint", EndpointName="iris") == [
        "Value null at 'endpointConfigName' failed to satisfy constraint: Member must not be null"
    ]


def test_a_pattern_must_match_the_whole_value() -> None:
    (complaint,) = complaints("sagemaker", "DescribeEndpoint", EndpointName="iris_1")
    assert complaint == (
        "Value 'iris_1' at 'endpointName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_several_faults_are_told_at_once() -> None:
    found = complaints("sagemaker", "CreateEndpoint", EndpointName="a_b", EndpointConfigName="c_d")
    assert constraints.message(found).startswith(
        "2 validation errors detected: Value 'a_b' at 'endpointName'"
    )


def test_items_of_lists_are_counted_from_one() -> None:
    (complaint,) = complaints(
        "sagemaker",
        "CreateModel",
        ModelName="m",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/service",
        Containers=[{"Image": "fine"}, {"Image": "not fine"}],
    )
    assert "at 'containers.2.member.image' failed" in complaint


@pytest.mark.parametrize(
    ("value", "fits"),
    [("straße 42", True), ("日本", True), ("a\tb", False), ("mind the gap!", False)],
)
def test_letters_are_those_of_every_language(value: str, fits: bool) -> None:
    found = complaints(
        "sagemaker",
        "AddTags",
        ResourceArn="arn:aws:sagemaker:x:123456789012:y/z",
        Tags=[{"Key": "k", "Value": value}],
    )
    assert (found == []) is fits


def test_supplementary_characters_are_written_as_java_writes_them() -> None:
    java = r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*"
    assert constraints.pattern(java).fullmatch("smile 😀")
    assert not constraints.pattern(java).fullmatch("bell \x07")


def test_a_wrong_type_is_found_where_it_stands() -> None:
    shape = get_service_model("sagemaker").operation_model("CreateModel").input_shape
    assert shape is not None
    wrong = constraints.wrong_type(shape, {"Containers": [{"Image": 5}]})
    assert wrong == "a value of type int stands where the model has a string"
    assert constraints.wrong_type(shape, {"ModelName": "m"}) is None
