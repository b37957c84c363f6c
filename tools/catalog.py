"""Generates the catalog of prebuilt containers from the image data in sagemaker-core's wheel.

``python -m tools.catalog`` writes it to where ``modelgate.images.catalog`` reads it. The wheel is pinned
in requirements/catalog.txt, and installed without its dependencies: its data is read, it is never imported.

AWS's SDK keeps part of its knowledge in code. That part is stated here as data, so that the resolver has no
special cases: which tags the ARM images have, what is left out of a tag, what p4d adds to one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

CATALOG = Path(__file__).parents[1] / "layers/core/modelgate/images/catalog.jsonl"

# Modelgate trains and serves: images for processing, monitoring and debugging are left out, and so is
# Elastic Inference (eia), which AWS has closed.
SCOPES = {"inference": "inference", "training": "training", "inference_graviton": "inference_arm"}

KNOWN_FIELDS = frozenset(
    (
        "container_version",
        "processor_in_tag",
        "processors",
        "py_versions",
        "registries",
        "repository",
        "tag_prefix",
    )
)

# Their tags need something that neither the version nor the instance tells: the version of a base
# framework or of the Neuron SDK (seen in their fields), or of CUDA (not seen there).
NEEDS_CUDA_VERSION = frozenset(("pytorch-smp",))

# The tags of these families' ARM images; the SDK holds them in code (image_uris._get_image_tag).
ARM_TAG = {"sklearn": "{version}-arm64", "xgboost": "{version}-arm64"}
# What p4d instances add to a tag, by family and tag (the same place).
P4D_ENDINGS = {
    "tensorflow": {
        "1.15-gpu-py37": "cu110-ubuntu18.04-v8",
        "1.15.4-gpu-py37": "cu110-ubuntu18.04",
        "1.15.5-gpu-py37": "cu110-ubuntu18.04",
        "2.3-gpu-py37": "cu110-ubuntu18.04-v3",
        "2.3.1-gpu-py37": "cu110-ubuntu18.04",
        "2.3.2-gpu-py37": "cu110-ubuntu18.04",
    },
    "mxnet": {"1.8-gpu-py37": "cu110-ubuntu16.04-v1", "1.8.0-gpu-py37": "cu110-ubuntu16.04"},
    "pytorch": {
        "1.6-gpu-py3": "cu110-ubuntu18.04-v3",
        "1.6-gpu-py36": "cu110-ubuntu18.04-v3",
        "1.6.0-gpu-py3": "cu110-ubuntu18.04",
        "1.6.0-gpu-py36": "cu110-ubuntu18.04",
    },
}
# Triton's tags name the CPU and not the GPU (the same place).
UNTAGGED = {"sagemaker-tritonserver": ["gpu"]}
# The data lacks sklearn 1.4-2 for inference. The image of that version that there is has this tag.
RENAMED = {("sklearn", "inference"): {"1.4-2": "1.4-2-py312"}}

Json = dict[str, Any]


class Numbering:
    """Gives equal things the same number, in the order of their first appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, thing: Json) -> int:
        """The number of this thing; a new one if it is seen for the first time."""
        return self._numbers.setdefault(_compact(thing), len(self._numbers))

    def things(self) -> list[Json]:
        """Everything that has a number, in the order of the numbers."""
        return [json.loads(text) for text in self._numbers]


def source() -> tuple[str, Mapping[str, Json]]:
    """Name and version of the wheel that is installed, and its image data by family."""
    wheel = metadata.distribution("sagemaker-core")
    files = [file for file in wheel.files or () if file.parent.name == "image_uri_config"]
    data = {file.stem: json.loads(file.read_text()) for file in files if file.suffix == ".json"}
    return f"{wheel.name} {wheel.version}", data


def catalog() -> str:
    """The text of the catalog; the same for the same wheel."""
    name, data = source()
    registries = Numbering()
    lines = [line for family in sorted(data) if (line := _family(family, data[family], registries))]
    head: Json = {"catalog": 1, "source": name, "license": "Apache-2.0"}
    numbered = ({"registries": number, **thing} for number, thing in enumerate(registries.things()))
    return "".join(f"{_compact(line)}\n" for line in (head, *numbered, *lines))


def _family(family: str, config: Json, registries: Numbering) -> Json | None:
    images, tables = Numbering(), Numbering()
    scopes = {}
    for scope, versions in _scopes(config):
        if _needs_more(family, versions):
            return None
        scopes[scope] = tables.number(_table(family, scope, versions, images, registries))
    if not scopes:
        return None
    if all(image["repository"].endswith("-arm64") for image in images.things()):
        scopes = {"inference_arm": scopes["inference"]}
    return {"family": family, "images": images.things(), "scopes": scopes, "tables": tables.things()}


def _scopes(config: Json) -> Iterator[tuple[str, Json]]:
    """The two shapes of AWS's files: one table that lists the scopes it is for, or one table per scope."""
    for theirs, ours in SCOPES.items():
        if theirs in config.get("scope", ()):
            yield ours, config
        elif "versions" in config.get(theirs, ()):
            yield ours, config[theirs]


def _needs_more(family: str, table: Json) -> bool:
    """Whether a tag of this table takes more than version, Python, instance type and region."""
    if family in NEEDS_CUDA_VERSION:
        return True
    return not all(
        fields.keys() <= KNOWN_FIELDS or all(re.fullmatch(r"py\d+", name) for name in fields)
        for fields in table["versions"].values()
    )


def _table(family: str, scope: str, config: Json, images: Numbering, registries: Numbering) -> Json:
    table: Json = {"versions": {}}
    for version, fields in config["versions"].items():
        image = _image(family, scope, fields, config.get("processors"), registries)
        if scope == "inference_arm" and family in ARM_TAG:
            image["tag"] = ARM_TAG[family].format(version=version)
        table["versions"][version] = images.number(image)
    renamed = RENAMED.get((family, scope), {})
    if aliases := {**config.get("version_aliases", {}), **renamed}:
        table["aliases"] = aliases
    if renamed:
        table["renamed"] = renamed
    if family in P4D_ENDINGS and scope != "inference_arm":
        table["endings"] = {"p4d": P4D_ENDINGS[family]}
    return table


def _image(
    family: str, scope: str, fields: Json, processors: list[str] | None, registries: Numbering
) -> Json:
    if "repository" not in fields:
        return _image_by_python(family, scope, fields, processors, registries)
    accounts: dict[str, list[str]] = {}
    for region, account in sorted(fields["registries"].items()):
        accounts.setdefault(account, []).append(region)
    number = registries.number({"accounts": {name: " ".join(found) for name, found in accounts.items()}})
    image: Json = {"repository": fields["repository"], "registries": number}
    if "tag_prefix" in fields:
        image["tag"] = fields["tag_prefix"]
    if found := processors or fields.get("processors"):
        image["processors"] = found
        image["untagged"] = found if not fields.get("processor_in_tag", True) else UNTAGGED.get(family, [])
    if "py_versions" in fields:
        image["pythons"] = sorted(fields["py_versions"], key=_python)
    if "container_version" in fields:
        image["suffixes"] = _suffixes(family, fields)
    return {name: value for name, value in image.items() if value != []}


def _image_by_python(
    family: str, scope: str, fields: Json, processors: list[str] | None, registries: Numbering
) -> Json:
    """Some versions have an image per Python version, with a repository or a region more or less."""
    pythons = sorted(fields, key=_python)
    images = {name: _image(family, scope, fields[name], processors, registries) for name in pythons}
    newest = images[pythons[-1]]
    differing = {
        name: {field: value for field, value in image.items() if newest.get(field) != value}
        for name, image in images.items()
    }
    return {**newest, "pythons": pythons, "by_python": {name: by for name, by in differing.items() if by}}


def _suffixes(family: str, fields: Json) -> Json:
    # AWS appends "-sagemaker" in code for these repositories; see image_uris.retrieve.
    arm = fields["repository"] in (f"{family}-inference-graviton", f"{family}-inference-arm64")
    return {
        processor: f"{suffix}-sagemaker" if arm else suffix
        for processor, suffix in fields["container_version"].items()
    }


def _python(name: str) -> tuple[int, int]:
    """Sorts py2, py3, py36, py310 by what they mean; py3 says less than py36, so it is older."""
    digits = name.removeprefix("py")
    return int(digits[0]), int(digits[1:] or -1)


def _compact(thing: Json) -> str:
    return json.dumps(thing, separators=(",", ":"), ensure_ascii=True)


def main() -> None:
    """Write the catalog."""
    CATALOG.write_text(catalog(), encoding="ascii")


if __name__ == "__main__":
    main()
