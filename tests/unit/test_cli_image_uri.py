"""`modelgate image-uri`: the URI, or the nearest choices and exit code 2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ProfileNotFound

from modelgate_cli.complaints import USAGE, Complaint
from modelgate_cli.image_uri import Wanted, configured_region, region_or_complaint, uri_of

SKLEARN = Wanted("sklearn", "1.2-1", "ml.m5.large", "eu-central-1")
URI = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def complaint(wanted: Wanted) -> Complaint:
    with pytest.raises(Complaint) as complained:
        uri_of(wanted)
    return complained.value


def test_it_tells_the_uri() -> None:
    assert uri_of(SKLEARN) == URI


def test_every_option_counts() -> None:
    wanted = Wanted("huggingface", "4.17", "ml.g5.xlarge", "cn-north-1", "training", "py38", "tensorflow2.6")
    assert uri_of(wanted) == (
        "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/huggingface-tensorflow-training"
        ":2.6.3-transformers4.17.0-gpu-py38-cu112-ubuntu20.04"
    )


def test_the_document_says_what_was_asked() -> None:
    assert SKLEARN.document(URI) == {
        "uri": URI,
        "framework": "sklearn",
        "version": "1.2-1",
        "instance_type": "ml.m5.large",
        "region": "eu-central-1",
        "scope": "inference",
        "py_version": None,
        "base_framework_version": None,
    }


def test_an_unknown_choice_is_a_wrong_command_line_and_the_nearest_are_told() -> None:
    told = complaint(replace(SKLEARN, version="1.2"))

    assert told.code == USAGE
    assert told.error == ("image-uri: there is no prebuilt sklearn '1.2' for inference on m5 instances")
    assert told.mend.startswith("the nearest are 1.2-1, 1.0-1")


def test_all_unknown_choices_are_told_at_once() -> None:
    told = complaint(replace(SKLEARN, region="eu-central-9", instance_type="ml.p3.2xlarge"))

    assert [problem.found for problem in told.problems] == [
        "sklearn 1.2-1 has no prebuilt image for the gpu of p3 instances",
        "sklearn 1.2-1 has no prebuilt image in region 'eu-central-9'",
    ]
    assert len(told.document()["problems"]) == 2


def test_the_region_that_is_given_goes_first() -> None:
    assert region_or_complaint("eu-west-1", lambda: "us-east-1") == "eu-west-1"
    assert region_or_complaint(None, lambda: "us-east-1") == "us-east-1"


def test_without_any_region_it_asks_for_one() -> None:
    with pytest.raises(Complaint, match=r"no region is chosen.*name one with --region") as complained:
        region_or_complaint(None, lambda: None)
    assert complained.value.code == USAGE


def test_the_region_comes_from_the_environment_or_from_the_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile mine]\nregion = sa-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    assert configured_region() is None
    assert configured_region("mine") == "sa-east-1"
    with pytest.raises(ProfileNotFound):
        configured_region("yours")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    assert configured_region() == "us-east-2"
