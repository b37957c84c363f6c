"""Which image serves a framework's version, where, and on what."""

from __future__ import annotations

import re

import pytest
from botocore.loaders import create_loader

from catalog import CATALOG
from catalog import catalog as generated
from modelgate.errors import Refused
from modelgate.images import catalog
from modelgate.images.instances import Instance, instance

SKLEARN = "sagemaker-scikit-learn"
XGBOOST = "sagemaker-xgboost"
EU = "492215442770.dkr.ecr.eu-central-1.amazonaws.com"
US = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
DLC = "763104351884.dkr.ecr.eu-central-1.amazonaws.com"

# framework, version, region, instance type → URI; looked up by hand in AWS's data.
KNOWN = [
    ("sklearn", "0.20.0", "eu-central-1", "ml.m5.large", f"{EU}/{SKLEARN}:0.20.0-cpu-py3"),
    ("sklearn", "0.23-1", "us-east-1", "ml.c5.xlarge", f"{US}/{SKLEARN}:0.23-1-cpu-py3"),
    ("sklearn", "1.0-1", "eu-central-1", "ml.m5.large", f"{EU}/{SKLEARN}:1.0-1-cpu-py3"),
    ("sklearn", "1.2-1", "eu-central-1", "ml.m5.large", f"{EU}/{SKLEARN}:1.2-1-cpu-py3"),
    ("sklearn", "1.2-1", "us-east-1", "ml.r6i.large", f"{US}/{SKLEARN}:1.2-1-cpu-py3"),
    ("sklearn", "1.4-2-py312", "eu-central-1", "ml.m5.large", f"{EU}/{SKLEARN}:1.4-2-py312-cpu-py3"),
    ("sklearn", "1.4-2", "eu-central-1", "ml.m5.large", f"{EU}/{SKLEARN}:1.4-2-py312-cpu-py3"),
    ("sklearn", "1.9-0", "eu-central-1", "ml.t2.medium", f"{EU}/{SKLEARN}:1.9-0-cpu-py3"),
    ("sklearn", "1.0-1", "eu-central-1", "ml.c6g.large", f"{EU}/{SKLEARN}:1.0-1-arm64-cpu-py3"),
    ("sklearn", "1.0-1", "eu-central-1", "ml.m8g.large", f"{EU}/{SKLEARN}:1.0-1-arm64-cpu-py3"),
    (
        "sklearn",
        "1.2-1",
        "cn-north-1",
        "ml.m5.large",
        f"450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/{SKLEARN}:1.2-1-cpu-py3",
    ),
    (
        "sklearn",
        "1.2-1",
        "us-gov-west-1",
        "ml.m5.large",
        f"414596584902.dkr.ecr.us-gov-west-1.amazonaws.com/{SKLEARN}:1.2-1-cpu-py3",
    ),
    (
        "sklearn",
        "1.2-1",
        "us-iso-east-1",
        "ml.m5.large",
        f"833128469047.dkr.ecr.us-iso-east-1.c2s.ic.gov/{SKLEARN}:1.2-1-cpu-py3",
    ),
    (
        "sklearn",
        "1.2-1",
        "us-isob-east-1",
        "ml.m5.large",
        f"281123927165.dkr.ecr.us-isob-east-1.sc2s.sgov.gov/{SKLEARN}:1.2-1-cpu-py3",
    ),
    (
        "sklearn",
        "1.2-1",
        "us-isof-east-1",
        "ml.m5.large",
        f"108575199400.dkr.ecr.us-isof-east-1.csp.hci.ic.gov/{SKLEARN}:1.2-1-cpu-py3",
    ),
    (
        "sklearn",
        "1.2-1",
        "il-central-1",
        "ml.m5.large",
        f"898809789911.dkr.ecr.il-central-1.amazonaws.com/{SKLEARN}:1.2-1-cpu-py3",
    ),
    ("xgboost", "0.90-1", "eu-central-1", "ml.m5.large", f"{EU}/{XGBOOST}:0.90-1-cpu-py3"),
    ("xgboost", "0.90-2", "us-east-1", "ml.m5.large", f"{US}/{XGBOOST}:0.90-2-cpu-py3"),
    ("xgboost", "1.0-1", "eu-central-1", "ml.m5.large", f"{EU}/{XGBOOST}:1.0-1-cpu-py3"),
    ("xgboost", "1.2-1", "eu-central-1", "ml.m5.large", f"{EU}/{XGBOOST}:1.2-1"),
    ("xgboost", "1.3-1", "eu-central-1", "ml.c6gd.large", f"{EU}/{XGBOOST}:1.3-1-arm64"),
    ("xgboost", "1.5-1", "eu-central-1", "ml.r8g.large", f"{EU}/{XGBOOST}:1.5-1-arm64"),
    ("xgboost", "1.5-1", "eu-central-1", "ml.m5.large", f"{EU}/{XGBOOST}:1.5-1"),
    ("xgboost", "1.7-1", "eu-central-1", "ml.m5.large", f"{EU}/{XGBOOST}:1.7-1"),
    ("xgboost", "1.7-1", "eu-central-1", "ml.g5.xlarge", f"{EU}/{XGBOOST}:1.7-1"),
    ("xgboost", "3.0-5", "us-east-1", "ml.m7i.large", f"{US}/{XGBOOST}:3.0-5"),
    ("xgboost", "3.2-0", "eu-central-1", "ml.m5.large", f"{EU}/{XGBOOST}:3.2-0"),
    ("pytorch", "2.6.0", "eu-central-1", "ml.m5.large", f"{DLC}/pytorch-inference:2.6.0-cpu-py312"),
    ("pytorch", "2.6", "eu-central-1", "ml.g6e.xlarge", f"{DLC}/pytorch-inference:2.6-gpu-py312"),
    (
        "pytorch",
        "2.4",
        "eu-central-1",
        "ml.c7g.large",
        f"{DLC}/pytorch-inference-graviton:2.4-cpu-py311-ubuntu22.04-sagemaker",
    ),
    (
        "pytorch",
        "1.6",
        "eu-central-1",
        "ml.p4d.24xlarge",
        f"{DLC}/pytorch-inference:1.6-gpu-py36-cu110-ubuntu18.04-v3",
    ),
]


def uri(framework: str, version: str, region: str = "eu-central-1", on: str = "ml.m5.large") -> str:
    return catalog.resolve(framework, version, region=region, instance_type=on)


def refusal(framework: str, version: str, region: str = "eu-central-1", on: str = "ml.m5.large") -> str:
    with pytest.raises(Refused) as refused:
        uri(framework, version, region, on)
    return str(refused.value)


@pytest.mark.parametrize(("framework", "version", "region", "on", "expected"), KNOWN)
def test_known_images_resolve(framework: str, version: str, region: str, on: str, expected: str) -> None:
    assert uri(framework, version, region, on) == expected


@pytest.mark.parametrize(
    ("framework", "scope", "expected"),
    [
        ("sklearn", "inference", "0.20.0 0.23-1 1.0-1 1.2-1 1.4-2 1.4-2-py312 1.9-0"),
        ("sklearn", "training", "0.20.0 0.23-1 1.0-1 1.2-1 1.4-2 1.4-2-py312 1.9-0"),
        ("xgboost", "inference", "0.90-1 0.90-2 1 1.0-1 1.2-1 1.2-2 1.3-1 1.5-1 1.7-1 3.0-5 3.2-0 latest"),
        ("vw", "inference", ""),
        ("nothing", "training", ""),
    ],
)
def test_versions_are_listed_from_old_to_new(framework: str, scope: catalog.Scope, expected: str) -> None:
    assert " ".join(catalog.versions(framework, scope)) == expected


@pytest.mark.parametrize("framework", ["sklearn", "xgboost"])
@pytest.mark.parametrize("scope", ["inference", "training"])
def test_every_listed_version_resolves(framework: str, scope: catalog.Scope) -> None:
    for version in catalog.versions(framework, scope):
        answer = catalog.resolve(
            framework, version, region="eu-west-1", instance_type="ml.m5.large", scope=scope
        )
        assert re.fullmatch(r"\d{12}\.dkr\.ecr\.eu-west-1\.amazonaws\.com/[a-z-]+:[\w.-]+", answer)


def test_training_has_the_sklearn_that_inference_lacks() -> None:
    answer = catalog.resolve(
        "sklearn", "1.4-2", region="eu-central-1", instance_type="ml.m5.large", scope="training"
    )

    assert answer == f"{EU}/{SKLEARN}:1.4-2-cpu-py3"


def test_of_several_pythons_the_newest_is_taken_unless_one_is_asked_for() -> None:
    def pytorch(py_version: str | None) -> str:
        return catalog.resolve(
            "pytorch", "1.4", region="eu-central-1", instance_type="ml.m5.large", py_version=py_version
        )

    assert pytorch(None).endswith(":1.4-cpu-py36")
    assert pytorch("py3").endswith(":1.4-cpu-py3")
    with pytest.raises(Refused, match=r"no prebuilt image with 'py27'; the nearest are py36, py3"):
        pytorch("py27")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (("sklern", "1.2-1"), "'sklern'; the nearest is sklearn; or name an image of your own"),
        (("sklearn", "1.2"), "the nearest are 1.2-1, 1.0-1, 1.4-2 (the newest is 1.9-0)"),
        (("sklearn", "1.5-1"), "the nearest are 1.4-2, 1.4-2-py312, 1.2-1 (the newest is 1.9-0)"),
        (("xgboost", "newest"), "no prebuilt xgboost 'newest' for inference"),
        (("sklearn", "1.2-1", "eu-central-3"), "region 'eu-central-3'; the nearest are eu-central-"),
        (
            ("sklearn", "1.2-1", "eu-central-1", "ml.g5.xlarge"),
            "for the gpu of g5 instances; choose instances",
        ),
        (("sklearn", "1.2-1", "eu-central-1", "ml.m7g.large"), "1.2-1' for inference on such instances"),
        (("pytorch", "2.6", "eu-central-1", "ml.inf2.xlarge"), "for the inf of inf2 instances"),
        (("djl-lmi", "0.36.0", "eu-central-1", "ml.c7g.large"), "on the ARM processors of c7g"),
        (("llama-cpp-arm64", "1"), "for ARM processors only; choose Graviton instances"),
        (("vw", "8.7.0"), "vw has no prebuilt image for inference; use it for training"),
        (("sklearn", "1.2-1", "eu-central-1", "m5.large"), "'m5.large' is not a SageMaker instance type"),
        (("sklearn", "1.2-1", "eu-central-1", "ml.m5"), "'ml.m5' is not a SageMaker instance type"),
        (("sklearn", "1.2-1", "eu-central-1", "ml.zz9.large"), "'ml.zz9.large' is not"),
        (('x","images', "1"), "no prebuilt container is called"),
        (("", ""), "no prebuilt container is called ''"),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest(asked: tuple[str, ...], reason: str) -> None:
    assert reason in refusal(*asked)


def test_everything_that_is_not_known_is_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        catalog.resolve(
            "sklearn",
            "1.2-1",
            region="eu-central-9",
            instance_type="ml.p3.2xlarge",
            where="manifest.yaml: container.version",
        )

    assert [problem.where for problem in refused.value.problems] == ["manifest.yaml: container.version"] * 2


def test_the_committed_catalog_is_what_the_generator_writes() -> None:
    assert CATALOG.read_text() == generated(), "call make catalog"


def test_the_catalog_stays_small() -> None:
    assert CATALOG.stat().st_size < 100_000


def test_domains_are_those_of_aws_partitions() -> None:
    regions = set(re.findall(r'[" ]([a-z]+(?:-[a-z]+)+-\d)\b', CATALOG.read_text()))
    partitions = create_loader().load_data("partitions")["partitions"]

    for region in regions:
        suffixes = [p["outputs"]["dnsSuffix"] for p in partitions if re.match(p["regionRegex"], region)]
        assert [catalog._domain(region)] == suffixes
    assert len(regions) > 40


@pytest.mark.parametrize(
    "shape", ["ProductionVariantInstanceType", "TrainingInstanceType", "TransformInstanceType"]
)
def test_every_instance_type_of_the_api_is_understood(shape: str) -> None:
    model = create_loader().load_service_model("sagemaker", "service-2")

    for name in model["shapes"][shape]["enum"]:
        understood = instance(name)
        assert understood is not None
        assert understood.family == name.split(".")[1]


@pytest.mark.parametrize(
    ("name", "processor", "arm"),
    [
        ("ml.m5.large", "cpu", False),
        ("ml.c7i-flex.large", "cpu", False),
        ("ml.c6gn.xlarge", "cpu", True),
        ("ml.r7gd.large", "cpu", True),
        ("ml.m8g.48xlarge", "cpu", True),
        ("ml.g4dn.xlarge", "gpu", False),
        ("ml.g5g.xlarge", "gpu", True),
        ("ml.g6e.xlarge", "gpu", False),
        ("ml.p5en.48xlarge", "gpu", False),
        ("ml.p6-b200.48xlarge", "gpu", False),
        ("ml.p6e-gb200.36xlarge", "gpu", True),
        ("ml.inf2.xlarge", "inf", False),
        ("ml.trn1n.32xlarge", "trn", False),
        ("ml.dl1.24xlarge", "dl", False),
    ],
)
def test_an_instance_types_name_tells_its_processor(name: str, processor: str, *, arm: bool) -> None:
    assert instance(name) == Instance(name.split(".")[1], processor, arm)
