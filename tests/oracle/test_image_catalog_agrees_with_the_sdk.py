"""AWS's own resolver is the oracle: its source comes with the wheel that the data comes from.

Importing it as it is would take its 300 MB of dependencies, none of which it needs to answer; they are
stood in for here. Every difference is either listed in ``modelgate.images.catalog`` or a failure.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from modelgate.errors import Refused
from modelgate.images import catalog
from modelgate.images.catalog import Scope
from modelgate.images.instances import instance

X86 = ("ml.m5.large", "ml.c5.xlarge", "ml.r7i.large", "ml.g5.xlarge", "ml.p3.2xlarge", "ml.p4d.24xlarge")
ARM = ("ml.c6g.large", "ml.m6gd.large", "ml.c7g.xlarge")
NEURON = ("ml.inf1.xlarge", "ml.inf2.xlarge")
REGIONS = ("eu-central-1", "us-east-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "atlantis-1")


def stand_in(name: str, **attributes: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    return module


def family_of(instance_type: str | None) -> str:
    found = re.match(r"ml[._]([a-z\d-]+)\.?\w*$", instance_type or "")
    return found[1] if found else ""


def listed(name: str) -> Any:
    """A list that the SDK's source states, read without running it."""
    text = sdk_file("fw_utils.py").read_text()
    return re.findall(r'"([a-z\d]+)"', text[text.index(f"{name} = ") :].split("]")[0])


def sdk_file(name: str) -> Path:
    found = next(f for f in metadata.files("sagemaker-core") or () if str(f) == f"sagemaker/core/{name}")
    return Path(str(found.locate()))


@pytest.fixture(scope="module")
def sdk() -> Iterator[Any]:
    resolver = EndpointResolver(create_loader().load_data("endpoints"))
    core = "sagemaker.core"
    modules = [
        stand_in("sagemaker", __path__=[]),
        stand_in(
            core,
            __path__=[],
            common_utils=stand_in(
                "common_utils", get_instance_type_family=family_of, _botocore_resolver=lambda: resolver
            ),
        ),
        stand_in(f"{core}.jumpstart", __path__=[], artifacts=None),
        stand_in(
            f"{core}.jumpstart.constants", DEFAULT_JUMPSTART_SAGEMAKER_SESSION=None, JUMPSTART_LOGGER=None
        ),
        stand_in(f"{core}.jumpstart.enums", JumpStartModelType=stand_in("types", OPEN_WEIGHTS=None)),
        stand_in(f"{core}.jumpstart.utils", is_jumpstart_model_input=lambda *_: False),
        stand_in(f"{core}.spark", defaults=stand_in("defaults", SPARK_NAME="spark")),
        stand_in(f"{core}.workflow", __path__=[], is_pipeline_variable=lambda _: False),
        stand_in(f"{core}.workflow.utilities", override_pipeline_parameter_var=lambda function: function),
        stand_in(
            f"{core}.fw_utils",
            GRAVITON_ALLOWED_TARGET_INSTANCE_FAMILY=listed("GRAVITON_ALLOWED_TARGET_INSTANCE_FAMILY"),
            GRAVITON_ALLOWED_FRAMEWORKS=set(listed("GRAVITON_ALLOWED_FRAMEWORKS")),
        ),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setitem(sys.modules, module.__name__, module)
        spec = importlib.util.spec_from_file_location("sdk_image_uris", sdk_file("image_uris.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        patch.setattr(module, "config_for_framework", sdk_data)
        yield module


@cache
def sdk_data(family: str) -> Any:
    return json.loads(sdk_file(f"image_uri_config/{family}.json").read_text())


def sdk_says(sdk: Any, family: str, case: Mapping[str, Any]) -> str | None:
    scope = case["scope"]
    try:
        answer = sdk.retrieve(
            family,
            case["region"],
            version=case["version"],
            py_version=case["py_version"],
            instance_type=case["instance_type"],
            image_scope=scope,
        )
    except (ValueError, KeyError, TypeError):
        return None
    return str(answer)


def catalog_says(family: str, case: Mapping[str, Any]) -> str | None:
    try:
        return catalog.resolve(family, **case)
    except Refused:
        return None


def cases(family: str) -> Iterator[dict[str, Any]]:
    """Everything that matters, but regions and instances not multiplied with each other."""
    for scope in get_args(Scope):
        for version in catalog.versions(family, scope):
            for py_version in pythons(family, scope, version):
                base = {"scope": scope, "version": version, "py_version": py_version}
                for region in REGIONS:
                    for instance_type in (*X86, *ARM, *NEURON):
                        yield {**base, "region": region, "instance_type": instance_type}
                for region in every_region(family):
                    for instance_type in ("ml.m5.large", "ml.g5.xlarge"):
                        yield {**base, "region": region, "instance_type": instance_type}


def pythons(family: str, scope: str, version: str) -> set[str | None]:
    data = sdk_data(family)
    found: set[str | None] = {"py27"}
    for table in (data, *(v for k, v in data.items() if k.startswith(scope))):
        if version in (*table.get("versions", ()), *table.get("version_aliases", ())):
            fields = table["versions"].get(table.get("version_aliases", {}).get(version, version), {})
            available = fields.get("py_versions", []) if "repository" in fields else list(fields)
            found.update(available)
            if len(available) < 2:
                found.add(None)  # the SDK demands one where there are several
    return found


def every_region(family: str) -> set[str]:
    return set(re.findall(r'"([a-z]+-[a-z-]+-\d)": "\d{12}"', json.dumps(sdk_data(family))))


def is_deliberate(family: str, case: Mapping[str, Any], ours: str | None) -> bool:
    machine = instance(case["instance_type"])
    assert machine is not None
    return (
        (family == "sklearn" and case["version"] == "1.4-2" and case["scope"] == "inference")
        or (family == "llama-cpp-arm64" and (ours is None) != machine.arm)
        or (case["scope"] == "training" and machine.arm and ours is None)
        # Of versions that Graviton has no image for, the SDK makes the only one that it has.
        or (family == "sklearn" and case["version"] != "1.0-1" and machine.arm and ours is None)
    )


@pytest.mark.parametrize("family", catalog.families())
def test_the_catalog_answers_as_the_sdk_does(sdk: Any, family: str) -> None:
    count, differences = 0, []
    for case in cases(family):
        count += 1
        theirs, ours = sdk_says(sdk, family, case), catalog_says(family, case)
        if theirs != ours and not is_deliberate(family, case, ours):
            differences.append((case, theirs, ours))
    assert differences == []
    assert count
