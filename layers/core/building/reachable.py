"""Leaves out what no function can import."""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Sequence
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any, BinaryIO

# The composition root imports all that functions are made of. Besides it, handlers import the events, and
# what they return, which comes with the use cases.
ROOTS = (
    "modelgate.runtime",
    "modelgate.events.cloudtrail",
    "modelgate.events.codebuild",
    "modelgate.events.ecr",
    "modelgate.events.own",
    "modelgate.events.s3",
    "modelgate.events.sagemaker",
    "modelgate.events.schedule",
)
# Modules that are imported by a name which is put together at run time, or from C.
BY_NAME = (
    # pydantic gives out its parts when they are asked for, by a table of names.
    "pydantic.aliases",
    "pydantic.config",
    "pydantic.fields",
    "pydantic.functional_validators",
    "pydantic.main",
    "pydantic.type_adapter",
    "pydantic.types",
)
# Modules that are imported where no function ever comes.
NEVER = (
    "aws_lambda_powertools.event_handler",  # by the logger, if it is given a pydantic model to write
    "yaml._yaml",  # documents are read by the loaders in Python
    "pydantic.v1",  # for models that were written for pydantic 1
)
_CODE = (".py", ".pyc", ".so")
# Data that is read at run time, by folder; all other files are for people and for installers.
_DATA = ("botocore/data", "botocore/cacert.pem", "modelgate")


def prune(folder: Path) -> None:
    """Removes from a folder of packages each module that cannot be reached, and files that nothing reads."""
    kept = reachable(folder)
    packages = {file.parent for file in kept}
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        needed = (
            file in kept
            or (_is_extension(file, folder) and file.parent in packages)
            or (file.suffix not in _CODE and file.relative_to(folder).as_posix().startswith(_DATA))
        )
        if not needed:
            file.unlink()
    for each in sorted(folder.rglob("*"), reverse=True):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()


def _is_extension(file: Path, folder: Path) -> bool:
    """Whether it is an extension module that may be imported.

    These stay with their packages: their names say for which Python they are, and that need not be this one.
    """
    inside = file.relative_to(folder)
    name = ".".join((*inside.parent.parts, inside.name.partition(".")[0]))
    return file.suffix == ".so" and name not in NEVER


def reachable(folder: Path, roots: Sequence[str] = (*ROOTS, *BY_NAME)) -> set[Path]:
    """The files of all modules that the roots import, anywhere in them and however deep."""
    finder = _Finder(path=[str(folder)], excludes=NEVER)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 10_000))
    try:
        for name in roots:
            finder.import_hook(name)
    finally:
        sys.setrecursionlimit(limit)
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    return {Path(file) for file in files if file}


class _Finder(ModuleFinder):
    """Follows the imports of a run, and not those that are for type checkers alone."""

    def load_module(self, fqname: str, fp: Any, pathname: str, file_info: tuple[str, str, str]) -> Any:
        if fp is not None and pathname.endswith(".py"):
            fp = _as_run(fp)
        return super().load_module(fqname, fp, pathname, file_info)


def _as_run(source: BinaryIO) -> BinaryIO:
    tree = ast.parse(source.read())
    return io.BytesIO(ast.unparse(_Untyped().visit(tree)).encode())


class _Untyped(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        test = node.test
        if "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", "")):
            node.body = [ast.Pass()]
        return node
