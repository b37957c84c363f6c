"""Which image serves a framework's version, where, and on what."""

from __future__ import annotations

import re
from typing import cast

import pytest
from botocore.loaders import create_loader
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import CATALOG
from catalog import catalog as generated
from modelgate.errors import Refused
from modelgate.images import catalog
from modelgate.images.instances import instance

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


SCOPES: tuple[catalog.Scope, ...] = ("inference", "training")
ON_EACH_MACHINE = (
    "ml.m5.large",
    "ml.g5.xlarge",
    "ml.c7g.large",
    "ml.inf1.xlarge",
    "ml.inf2.xlarge",
    "ml.trn1.2xlarge",
)
HUGGING_FACE = f"{DLC}/huggingface-pytorch"


def uri(framework: str, version: str, region: str = "eu-central-1", on: str = "ml.m5.large") -> str:
    return catalog.resolve(framework, version, region=region, instance_type=on)


def any_uri(framework: str, version: str, scope: catalog.Scope, on: str) -> str | None:
    """Whatever image there is; of base frameworks some have to be named."""
    for base in (None, "pytorch1", "pytorch2"):
        try:
            return catalog.resolve(
                framework,
                version,
                region="us-west-2",
                instance_type=on,
                scope=scope,
                base_framework_version=base,
            )
        except Refused:
            continue
    return None


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


def test_every_listed_version_resolves_somewhere() -> None:
    listed = [
        (framework, scope, version)
        for framework in catalog.families()
        for scope in SCOPES
        for version in catalog.versions(framework, scope)
    ]

    for framework, scope, version in listed:
        answer = next(filter(None, (any_uri(framework, version, scope, on) for on in ON_EACH_MACHINE)), "")
        assert re.fullmatch(r"\d{12}\.dkr\.ecr\.us-west-2\.amazonaws\.com/[a-z0-9-]+:[\w.-]+", answer), (
            version
        )
    assert {framework for framework, _, _ in listed} == set(catalog.families())
    assert len(listed) > 800


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
        (("sklearn", "1.2-1", "eu-central-1", "ml.m7g.large"), "1.2-1' for inference on m7g instances"),
        (("pytorch", "2.6", "eu-central-1", "ml.inf2.xlarge"), "for the inf of inf2 instances"),
        (("djl-lmi", "0.36.0", "eu-central-1", "ml.c7g.large"), "on the ARM processors of c7g"),
        (("llama-cpp-arm64", "1"), "for ARM processors only; choose Graviton instances"),
        (("vw", "8.7.0"), "vw has no prebuilt image for inference; use it for training"),
        (("huggingface", "4.49.0", "eu-central-1", "ml.inf2.xlarge"), "nearest are 4.51, 4.51.3, 4.43"),
        (
            ("huggingface", "4.51", "eu-central-1", "ml.trn1.2xlarge"),
            "trn1 instances; choose instances with Inf",
        ),
        (("huggingface-neuronx", "4.51"), "for Inferentia2 and Trainium only; choose Inf2 or Trn1 instances"),
        (("huggingface-neuronx", "4.51", "eu-central-1", "ml.inf1.xlarge"), "Inferentia2 and Trainium only"),
        (("inferentia-pytorch", "1.9", "eu-central-1", "ml.inf2.xlarge"), "for the first Inferentia only"),
        (("huggingface-vllm", "0.1"), "the nearest are 0.14, 0.14.0, 0.17 (the newest is "),
        (("vllm", "0.30"), "for the cpu of m5 instances; choose instances with a GPU (ml.g5.xlarge)"),
        (("spark", "3.3"), "no prebuilt container is called 'spark'"),
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


def test_everything_that_is_not_known_is_told_even_where_no_version_is_chosen() -> None:
    with pytest.raises(Refused) as refused:
        catalog.resolve("sklearn", "7", region="mars-north-1", instance_type="m5.large")

    assert [problem.found for problem in refused.value.problems] == [
        "'m5.large' is not a SageMaker instance type",
        "there is no prebuilt sklearn '7' for inference",
        "sklearn has no prebuilt image in region 'mars-north-1'",
    ]


# ── Hugging Face: transformers on PyTorch or TensorFlow ───────────────────────────────────────────
def hugging_face(version: str, base: str | None, on: str = "ml.g5.xlarge", scope: str = "inference") -> str:
    return catalog.resolve(
        "huggingface",
        version,
        region="eu-central-1",
        instance_type=on,
        scope="training" if scope == "training" else "inference",
        base_framework_version=base,
    )


@pytest.mark.parametrize("base", [None, "pytorch2.6.0", "pytorch2.6", "pytorch2"])
@pytest.mark.parametrize("version", ["4.49.0", "4.49"])
def test_short_versions_and_the_only_base_framework_mean_the_same_image(
    version: str, base: str | None
) -> None:
    tag = "2.6.0-transformers4.49.0-gpu-py312-cu124-ubuntu22.04"
    assert hugging_face(version, base) == f"{HUGGING_FACE}-inference:{tag}"


def test_of_several_pytorches_the_newest_is_taken_unless_one_is_asked_for() -> None:
    neuronx = f"{HUGGING_FACE}-inference-neuronx"
    newest = hugging_face("4.36.2", None, "ml.inf2.xlarge")
    older = hugging_face("4.36.2", "pytorch1.13", "ml.inf2.xlarge")

    assert newest == f"{neuronx}:2.1.2-transformers4.36.2-neuronx-py310-sdk2.18.0-ubuntu20.04"
    assert older == f"{neuronx}:1.13.1-transformers4.36.2-neuronx-py310-sdk2.16.1-ubuntu20.04"


def test_between_pytorch_and_tensorflow_the_user_decides() -> None:
    with pytest.raises(Refused, match=r"different frameworks; choose pytorch1.10.2 or tensorflow2.6.3 as"):
        hugging_face("4.17.0", None)
    assert "huggingface-tensorflow-inference:2.6.3-" in hugging_face("4.17.0", "tensorflow2")


@pytest.mark.parametrize("base", ["pytorch3.0", "pytorch2.", "py", "", "jax0.4"])
def test_a_base_framework_that_is_not_there_is_refused_with_those_that_are(base: str) -> None:
    with pytest.raises(
        Refused, match=rf"no prebuilt image on '{base}'; choose pytorch2.6.0 as base_framework_v"
    ):
        hugging_face("4.49.0", base)


def test_a_base_framework_for_what_has_none_is_refused() -> None:
    with pytest.raises(Refused, match=r"not made on another framework.*leave base_framework_version out"):
        catalog.resolve(
            "sklearn",
            "1.2-1",
            region="eu-central-1",
            instance_type="ml.m5.large",
            base_framework_version="pytorch2.1",
        )


# ── machines with a chip of their own ─────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("version", "on", "scope", "image"),
    [
        (
            "4.12",
            "ml.inf1.xlarge",
            "inference",
            "inference-neuron:1.9.1-transformers4.12.3-neuron-py37-sdk1.17.1",
        ),
        (
            "4.55",
            "ml.inf2.xlarge",
            "inference",
            "inference-neuronx:2.8.0-transformers4.55.4-neuronx-py310-sdk2.26",
        ),
        (
            "4.48",
            "ml.trn1.2xlarge",
            "training",
            "training-neuronx:2.1.2-transformers4.48.1-neuronx-py310-sdk2.20",
        ),
    ],
)
def test_hugging_face_on_neuron_is_made_with_its_sdk(version: str, on: str, scope: str, image: str) -> None:
    assert hugging_face(version, None, on, scope).startswith(f"{HUGGING_FACE}-{image}")


@pytest.mark.parametrize(
    ("framework", "version", "on", "scope", "image"),
    [
        (
            "pytorch",
            "1.11",
            "ml.trn1.2xlarge",
            "training",
            "pytorch-training-neuron:1.11-neuron-py38-sdk2.4.0",
        ),
        (
            "pytorch-smp",
            "2.0",
            "ml.p4d.24xlarge",
            "training",
            "smdistributed-modelparallel:2.0-gpu-py310-cu118",
        ),
        (
            "pytorch-smp",
            "2.0",
            "ml.p5en.48xlarge",
            "training",
            "smdistributed-modelparallel:2.0-gpu-py310-cu121",
        ),
        (
            "pytorch-smp",
            "2.5.1",
            "ml.p5.48xlarge",
            "training",
            "smdistributed-modelparallel:2.5.1-gpu-py311-cu124",
        ),
        (
            "huggingface-llm-neuronx",
            "0.3",
            "ml.inf2.xlarge",
            "inference",
            "huggingface-pytorch-tgi-inference:2.7.0",
        ),
        (
            "huggingface-vllm-neuronx",
            "0.4.4",
            "ml.trn2.48xlarge",
            "inference",
            "huggingface-vllm-inference-neuronx",
        ),
        (
            "sagemaker-tritonserver",
            "24.09",
            "ml.m5.large",
            "inference",
            "sagemaker-tritonserver:24.09-py3-cpu",
        ),
        ("vllm-server", "latest", "ml.g6e.xlarge", "inference", "vllm:server-sagemaker-cuda-v2"),
        ("djl-neuronx", "0.29.0", "ml.trn1.2xlarge", "inference", "djl-inference:0.29.0-neuronx-sdk2.19.1"),
        ("llama-cpp-arm64", "1.0", "ml.m8g.large", "inference", "llama-cpp-arm64:server-sagemaker-cpu-v1.0"),
        (
            "huggingface-tei-cpu",
            "1.8",
            "ml.c7i.large",
            "inference",
            "tei-cpu:2.0.1-tei1.8.2-cpu-py310-ubuntu22.04",
        ),
    ],
)
def test_each_machine_gets_its_own_image(
    framework: str, version: str, on: str, scope: catalog.Scope, image: str
) -> None:
    answer = catalog.resolve(framework, version, region="us-west-2", instance_type=on, scope=scope)
    assert answer.partition("/")[2].startswith(image)


def test_training_on_graviton_has_no_image() -> None:
    with pytest.raises(
        Refused, match=r"pytorch has no prebuilt image for training on the ARM processors of m7g"
    ):
        catalog.resolve("pytorch", "2.6", region="us-west-2", instance_type="ml.m7g.large", scope="training")


# ── whatever is asked ─────────────────────────────────────────────────────────────────────────────
def known_or_any(*known: str) -> st.SearchStrategy[str]:
    return st.sampled_from(known) | st.text(max_size=12) | st.from_regex(r"[0-9]{1,30}", fullmatch=True)


@settings(max_examples=150, deadline=None)
@given(
    framework=known_or_any(
        "sklearn", "huggingface", "pytorch", "mxnet", "huggingface-neuronx", "llama-cpp-arm64"
    ),
    version=known_or_any("1.2-1", "4.17", "4.36.2", "2.6", "1.4.1", "1", "latest", "9" * 5000),
    region=known_or_any("eu-central-1", "cn-north-1", "us-isob-east-1"),
    on=known_or_any(*ON_EACH_MACHINE, "ml.dl1.24xlarge", "ml.m\u0665.large"),
    scope=known_or_any("inference", "training", "inference_arm", "arm"),
    python=st.none() | known_or_any("py3", "py310", "py\u0665"),
    base=st.none() | known_or_any("pytorch2.1", "tensorflow2", "pytorch"),
)
def test_whatever_is_asked_the_answer_is_a_uri_or_a_refusal_with_a_mend(
    framework: str, version: str, region: str, on: str, scope: str, python: str | None, base: str | None
) -> None:
    try:
        answer = catalog.resolve(
            framework,
            version,
            region=region,
            instance_type=on,
            scope=cast("catalog.Scope", scope),
            py_version=python,
            base_framework_version=base,
        )
    except Refused as refused:
        assert all(problem.found and problem.mend for problem in refused.problems)
    else:
        assert f".dkr.ecr.{region}.{catalog.domain(region)}/" in answer


LISTED = [(name, scope) for name in catalog.families() for scope in SCOPES if catalog.versions(name, scope)]


@given(st.sampled_from(LISTED), st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}-no", fullmatch=True))
def test_an_unknown_version_is_refused_with_known_ones(
    asked: tuple[str, catalog.Scope], version: str
) -> None:
    framework, scope = asked
    named = []
    for on in ON_EACH_MACHINE:
        with pytest.raises(Refused) as refused:
            catalog.resolve(framework, version, region="us-west-2", instance_type=on, scope=scope)
        for problem in refused.value.problems:
            if version in problem.found:
                words = re.match(r"the nearest (?:is|are) (.+?)(?: \(the newest is (.+)\))?$", problem.mend)
                assert words is not None
                named += [*words[1].split(", "), *filter(None, [words[2]])]

    assert named
    assert set(named) <= set(catalog.versions(framework, scope))


# ── the data ──────────────────────────────────────────────────────────────────────────────────────
def test_images_for_processing_only_are_not_there() -> None:
    assert not {"clarify", "spark", "model-monitor", "debugger"} & set(catalog.families())


def test_the_committed_catalog_is_what_the_generator_writes() -> None:
    assert CATALOG.read_text() == generated(), "call make catalog"


def test_the_catalog_stays_small() -> None:
    assert CATALOG.stat().st_size < 120_000


def test_domains_are_those_of_aws_partitions() -> None:
    regions = set(re.findall(r'[" ]([a-z]+(?:-[a-z]+)+-\d)\b', CATALOG.read_text()))
    partitions = create_loader().load_data("partitions")["partitions"]

    for region in regions:
        suffixes = [p["outputs"]["dnsSuffix"] for p in partitions if re.match(p["regionRegex"], region)]
        assert [catalog.domain(region)] == suffixes
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
    found = instance(name)
    assert found is not None
    assert (found.family, found.processor, found.arm) == (name.split(".")[1], processor, arm)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("ml.m5.large", ("x86",)),
        ("ml.c7g.large", ("arm",)),
        ("ml.inf1.xlarge", ("neuron", "x86")),
        ("ml.inf2.xlarge", ("neuronx", "x86")),
        ("ml.inf10.xlarge", ("neuronx", "x86")),
        ("ml.trn1.2xlarge", ("neuronx", "x86")),
        ("ml.trn2.48xlarge", ("neuronx", "x86")),
    ],
)
def test_an_instance_types_name_tells_what_images_run_on_it(name: str, kinds: tuple[str, ...]) -> None:
    found = instance(name)
    assert found is not None
    assert found.kinds == kinds
