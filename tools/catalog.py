"""Generates the catalog of prebuilt containers from the image data in sagemaker-core's wheel.

``python -m tools.catalog`` writes it to where ``modelgate.images.catalog`` reads it. The wheel is pinned
in requirements/catalog.txt, and installed without its dependencies: its data is read, it is never imported.

AWS's SDK keeps part of its knowledge in code. That part is stated here as data, and what comes out is a tag
for each machine, with the version and the Python to be filled in: the resolver has no special cases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

CATALOG = Path(__file__).parents[1] / "layers/core/modelgate/images/catalog.jsonl"

# Modelgate trains and serves: what is for processing, monitoring, debugging and evaluation only is left out,
# and so is Elastic Inference (eia), which AWS has closed.
SCOPES = {"inference": "inference", "training": "training", "inference_graviton": "inference"}
# sagemaker-base-python (remote functions) has no scope, and instance_gpu_info is no image data.

KNOWN_FIELDS = frozenset(
    (
        "container_version",
        "processor_in_tag",
        "processors",
        "py_versions",
        "registries",
        "repository",
        "sdk_versions",
        "tag_prefix",
    )
)

# On Neuron instances these families have the images of others (image_uris.retrieve).
ON_NEURON = {"huggingface": ("huggingface-neuron", "huggingface-neuronx"), "pytorch": ("pytorch-neuron",)}
# Made with Neuron's first SDK, which only Inf1 understands; all later machines need neuronx.
FIRST_NEURON = ("huggingface-neuron", "inferentia-mxnet", "inferentia-pytorch", "inferentia-tensorflow")
# What the tags of these call Neuron machines: the inference_tool that AWS's classes ask with.
NEURON_TOOLS = {
    "huggingface-llm-neuronx": "neuronx",
    "huggingface-neuron": "neuron",
    "huggingface-neuronx": "neuronx",
    "pytorch-neuron": "neuron",
}

# The tags of these families' ARM images (image_uris._get_image_tag).
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
UNTAGGED = {"sagemaker-tritonserver": ("gpu",)}
# The data lacks sklearn 1.4-2 for inference. The image of that version that there is has this tag.
RENAMED = {"sklearn": {"1.4-2": "1.4-2-py312"}}
# What the first Hugging Face images for training end with; the data has it from 4.6 on
# (image_uris.get_training_image_uri).
HUGGING_FACE_CUDA = {"gpu": "cu110-ubuntu18.04"}
# The CUDA versions of the model parallel library, by PyTorch's (the same place).
SMP = "pytorch-smp"
SMP_CUDA = {"2.1": "cu121", "2.2": "cu121", "2.3": "cu121", "2.4": "cu121", "2.5": "cu124"}
SMP_CUDA_OF_OTHERS = {"gpu": "cu118", "p5": "cu121", "p5e": "cu121", "p5en": "cu121"}

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


class Asked(NamedTuple):
    """A version as people ask for it.

    Attributes:
        file: AWS's file that has it.
        version: as it was asked for: an alias, perhaps.
        prefix: what its tags begin with.
        arm: whether its images are for Graviton.
    """

    file: str
    version: str
    prefix: str
    arm: bool


def source() -> tuple[str, Mapping[str, Json]]:
    """Name and version of the wheel that is installed, and its image data by family."""
    wheel = metadata.distribution("sagemaker-core")
    files = [file for file in wheel.files or () if file.parent.name == "image_uri_config"]
    data = {file.stem: json.loads(file.read_text()) for file in files if file.suffix == ".json"}
    return f"{wheel.name} {wheel.version}", data


def catalog() -> str:
    """The text of the catalog; the same for the same wheel.

    Raises:
        ValueError: AWS's data has a field that is not understood here.
    """
    name, data = source()
    registries = Numbering()
    lines = [line for family in sorted(data) if (line := _family(family, data, registries))]
    head: Json = {"catalog": 1, "source": name, "license": "Apache-2.0"}
    numbered = ({"registries": number, **thing} for number, thing in enumerate(registries.things()))
    return "".join(f"{_compact(line)}\n" for line in (head, *numbered, *lines))


def _family(family: str, data: Mapping[str, Json], registries: Numbering) -> Json | None:
    images, tables = Numbering(), Numbering()
    scopes: dict[str, dict[str, int]] = {}
    for file in (family, *ON_NEURON.get(family, ())):
        for theirs, table in _scopes(data[file]):
            kind = _kind(file, theirs, table)
            made = _table(file, table, images, registries, arm=theirs == "inference_graviton")
            scopes.setdefault(SCOPES[theirs], {})[kind] = tables.number(made)
    if not scopes:
        return None
    return {"family": family, "images": images.things(), "scopes": scopes, "tables": tables.things()}


def _scopes(config: Json) -> Iterator[tuple[str, Json]]:
    """The two shapes of AWS's files: one table that lists the scopes it is for, or one table per scope."""
    for scope in SCOPES:
        if scope in config.get("scope", ()):
            yield scope, config
        elif "versions" in config.get(scope, ()):
            yield scope, config[scope]


def _kind(file: str, scope: str, table: Json) -> str:
    """The machines that a table is for, where they cannot use any other, as `Instance.kind` calls them."""
    versions = table["versions"].values()
    if scope == "inference_graviton" or all(
        each.get("repository", "").endswith("-arm64") for each in versions
    ):
        return "arm"
    processors = table.get("processors", ("cpu",))
    if all(name.startswith(("inf", "trn", "neuron")) for name in processors):
        return "neuron" if file in FIRST_NEURON else "neuronx"
    return "x86"


def _table(file: str, table: Json, images: Numbering, registries: Numbering, *, arm: bool) -> Json:
    """By version: the number of its image, or of several, of which base framework or Python choose one."""
    versions, aliases = table["versions"], table.get("version_aliases", {})
    prefix = ARM_TAG.get(file, "{version}") if arm else "{version}"
    renamed = {
        name: tag for name, tag in RENAMED.get(file, {}).items() if name not in versions and tag in versions
    }
    made: Json = {}
    # An alias may be the name of another version, and goes before it then (image_uris._version_for_config).
    for name in {**versions, **aliases, **renamed}:
        target = aliases.get(name) or renamed.get(name, name)
        asked = Asked(file, name, renamed.get(name, prefix), arm)
        numbers = [
            images.number(image)
            for image in _images(asked, target, versions[target], table.get("processors"), registries)
        ]
        made[name] = numbers if len(numbers) > 1 else numbers[0]
    return made


def _images(
    asked: Asked, version: str, fields: Json, processors: list[str] | None, registries: Numbering
) -> Iterator[Json]:
    if "repository" in fields:
        yield from _by_ending(asked, fields, processors, registries)
        return
    for name in sorted(fields.keys() - {"version_aliases"}):
        if re.fullmatch(r"py\d+", name):
            # Some versions have an image per Python, with a repository or a region more or less.
            yield from _by_ending(asked, {**fields[name], "py_versions": [name]}, processors, registries)
        elif found := re.fullmatch(r"(?:pytorch|tensorflow)([\d.]+)", name):
            prefix = f"{found[1]}-transformers{version}"
            for image in _by_ending(asked._replace(prefix=prefix), fields[name], processors, registries):
                yield {**image, "base": name}
        else:
            raise ValueError(f"{asked.file} {asked.version}: what is {name!r}? teach it to this module")


def _by_ending(
    asked: Asked, fields: Json, processors: list[str] | None, registries: Numbering
) -> Iterator[Json]:
    """What p4d adds to a tag may depend on the Python: those with the same are one image."""
    if unknown := fields.keys() - KNOWN_FIELDS:
        raise ValueError(f"{asked.file} {asked.version}: what is {unknown}? teach it to this module")
    endings = P4D_ENDINGS.get(asked.file, {})
    by_ending: dict[str, list[str]] = {}
    for python in sorted(fields.get("py_versions", ()), key=_python):
        by_ending.setdefault(endings.get(f"{asked.version}-gpu-{python}", ""), []).append(python)
    for ending, pythons in (by_ending or {"": []}).items():
        tags = _tags(asked, fields, processors or fields.get("processors") or (), with_python=bool(pythons))
        if ending:
            tags["p4d"] = f"{tags['gpu']}-{ending}"
        accounts: dict[str, list[str]] = {}
        for region, account in sorted(fields["registries"].items()):
            accounts.setdefault(account, []).append(region)
        numbered = {"accounts": {name: " ".join(found) for name, found in accounts.items()}}
        image = {
            "repository": fields["repository"],
            "registries": registries.number(numbered),
            "tags": tags,
            "pythons": pythons,
        }
        yield {name: value for name, value in image.items() if value != []}


def _tags(asked: Asked, fields: Json, processors: Sequence[str], *, with_python: bool) -> Json:
    """The tag for each machine, by what an instance type is called there; "" for whichever it is."""
    python = "{python}" if with_python else ""
    prefix = fields.get("tag_prefix", asked.prefix)
    if not processors:
        return {"": _joined(prefix, python)}
    suffixes = _suffixes(asked, fields, processors)
    in_tag = fields.get("processor_in_tag", True)
    untagged = UNTAGGED.get(asked.file, ())
    tags = {}
    for name in {**dict.fromkeys(processors), **suffixes}:
        processor = NEURON_TOOLS.get(asked.file, name if name in processors else processors[0])
        shown = processor if in_tag and name not in untagged else ""
        tags[name] = _joined(prefix, shown, python, suffixes.get(name, ""))
    return tags


def _suffixes(asked: Asked, fields: Json, processors: Sequence[str]) -> Mapping[str, str]:
    if asked.file == SMP:
        cuda = SMP_CUDA.get(".".join(asked.version.split(".")[:2]))
        return {"gpu": cuda} if cuda else SMP_CUDA_OF_OTHERS
    suffixes = fields.get("container_version", HUGGING_FACE_CUDA if asked.file == "huggingface" else {})
    if "sdk_versions" in fields:
        # The one suffix stands under the name of another processor, here and there.
        newest = max(fields["sdk_versions"], key=lambda name: tuple(map(int, re.findall(r"\d+", name))))
        only = next(iter(suffixes.values()))
        return {name: f"{newest}-{suffixes.get(name, only)}" for name in processors}
    # AWS appends "-sagemaker" in code for these repositories; see image_uris.retrieve.
    arm = fields["repository"] in (f"{asked.file}-inference-graviton", f"{asked.file}-inference-arm64")
    return {name: f"{suffix}-sagemaker" if arm else suffix for name, suffix in suffixes.items()}


def _joined(*parts: str) -> str:
    return "-".join(part for part in parts if part)


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
