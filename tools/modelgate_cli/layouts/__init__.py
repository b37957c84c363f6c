"""From what people have on disk to what becomes what in an artifact.

``material`` says what goes in and what comes out, ``families`` how each framework's models are laid out,
``mlflow`` what an MLflow model holds, ``scripts`` what is generated, ``folders`` which files count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelgate.errors import Gathering, Problem, Refused
from modelgate_cli.layouts import families, mlflow
from modelgate_cli.layouts.folders import files_in
from modelgate_cli.layouts.material import REQUIREMENTS, SCRIPT, Content, Layout, Material

# What a first read of the beginning of an artifact should hold: the code, and the small files after it.
_SMALL = 64 * 1024


def lay_out(material: Material) -> Layout:
    """Decides what is packed, and under which names. Reads the folders, and nothing of the weights.

    Returns:
        ``code/`` comes first in its files, then what is small, then the rest; each by name.

    Raises:
        Refused: something is not there, its container could not load it, or two files would have one name.
    """
    missing = list(_missing(material))
    if missing:
        raise Refused(*missing)
    problems = Gathering()
    layout = Layout()
    with problems.collected():
        if material.model is not None:
            of_mlflow = mlflow.described(material.model)
            lay = families.lay_out if of_mlflow is None else of_mlflow.lay_out
            layout = lay(material, material.model)
    with problems.collected():
        layout = _with_code(material, layout)
    problems.refuse()
    return replace(layout, files=dict(sorted(layout.files.items(), key=_place)))


def _missing(material: Material) -> Iterator[Problem]:
    model = material.model
    if model is not None and not (model.is_file() or model.is_dir()):
        yield Problem(str(model), "is neither a file nor a folder", "name one that exists")
    for file in (material.script, material.requirements):
        if file is not None and not file.is_file():
            yield Problem(str(file), "is not a file", "name one that exists")
    if material.code is not None and not material.code.is_dir():
        yield Problem(str(material.code), "is not a folder", "name one that exists")


def _with_code(material: Material, layout: Layout) -> Layout:
    if material.code is not None:
        found = files_in(material.code, apart=material.apart)
        layout = layout.with_files({f"code/{name}": path for name, path in found.files.items()})
        left_out = (f"code/{name}" for name in found.left_out)
        layout = replace(layout, left_out=(*layout.left_out, *left_out))
    if material.script is not None:
        layout = layout.with_files({SCRIPT: material.script})
    if material.requirements is not None:
        layout = _without_generated_requirements(layout).with_files({REQUIREMENTS: material.requirements})
    return layout


def _without_generated_requirements(layout: Layout) -> Layout:
    """The user knows better what the container shall install than what is generated."""
    if REQUIREMENTS not in layout.generated:
        return layout
    files = {name: content for name, content in layout.files.items() if name != REQUIREMENTS}
    generated = tuple(name for name in layout.generated if name != REQUIREMENTS)
    return replace(layout, files=files, generated=generated)


def _place(entry: tuple[str, Content]) -> tuple[bool, bool, str]:
    name, content = entry
    return not name.startswith("code/"), _size(content) > _SMALL, name


def _size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)
