"""The scripts that containers import, judged by their syntax tree; nothing of an artifact is ever run.

Amazon SageMaker AI Developer Guide, "Adapt your own inference container" and "Use Scikit-learn with Amazon
SageMaker AI".
"""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from modelgate.artifacts.contracts.judged import MODEL_DIRECTORY, Judged, local_folder
from modelgate.artifacts.inspection import Artifact, is_script, printable

PROGRAM = "SAGEMAKER_PROGRAM"
SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"
DEFAULT_SCRIPT = "code/inference.py"
REQUIREMENTS = "requirements.txt"

_HOOKS = ("model_fn", "transform_fn", "input_fn", "predict_fn", "output_fn")
_EXCLUDED_BY_TRANSFORM = ("input_fn", "predict_fn", "output_fn")


class Script(NamedTuple):
    """A script that the container imports.

    Attributes:
        defined: what its names are bound by; None where that cannot be known.
    """

    name: str
    defined: Mapping[str, ast.stmt] | None

    def may_define(self, function: str) -> bool:
        return self.defined is None or function in self.defined


def reads(environment: Mapping[str, str]) -> Callable[[str], bool]:
    """The names whose text these checks want to see."""
    script = script_name(environment)
    return lambda name: name == script or is_script(name)


def script_name(environment: Mapping[str, str]) -> str | None:
    """The script's name in the artifact; None when the environment says that it is not in there."""
    directory = posixpath.normpath(environment.get(SUBMIT_DIRECTORY, f"{MODEL_DIRECTORY}/code"))
    folder = local_folder(directory)
    if folder is None:
        return None
    program = environment.get(PROGRAM) or posixpath.basename(DEFAULT_SCRIPT)
    return posixpath.normpath(posixpath.join(folder, program if program.endswith(".py") else f"{program}.py"))


def check_required(judged: Judged, *, transform_excludes: bool = True) -> None:
    """Notes what is wrong with the script that the container cannot do without: it must have a model_fn."""
    name = script_name(judged.environment)
    if name is None:
        directory = judged.environment[SUBMIT_DIRECTORY]
        # The container fetches an archive of scripts from S3 by itself; what is in there is its matter.
        if not directory.startswith("s3://"):
            judged.environment_problem(
                SUBMIT_DIRECTORY,
                f"is {directory!r}, which is not in the artifact",
                f"leave it out, or name a folder below {MODEL_DIRECTORY}",
            )
        return
    if name in judged.texts:
        check_begun(judged, transform_excludes=transform_excludes)
        _check_requirements(judged, posixpath.dirname(name))
        return
    member = next((member for member in judged.artifact.members if member.name == name), None)
    if member is None:
        there = "there" if judged.is_folder else "in the archive"
        judged.problem(name, f"is not {there}", _mend_of_missing_script(judged.artifact, name))
    elif member.kind == "file":
        judged.problem(name, "lies too deep to be read", f"keep the script at {DEFAULT_SCRIPT}")
    else:
        judged.problem(name, f"is a {member.kind}", "pack the script itself there, as a file (tar -h)")


def check_begun(judged: Judged, *, transform_excludes: bool = True) -> None:
    """Notes what is wrong with the script whose model_fn the container needs, if it is there."""
    script = read(judged, script_name(judged.environment))
    if script is None:
        return
    if not script.may_define("model_fn"):
        judged.problem(script.name, "has no model_fn", "define model_fn(model_dir), which returns the model")
    _check_functions(judged, script, transform_excludes=transform_excludes)


def loads_the_model(judged: Judged) -> bool | None:
    """Whether there is a script that may load the model, in a container that can do without one.

    Returns:
        None where something is wrong with it, which was noted: then nothing else need be.
    """
    before = len(judged.problems)
    script = check_optional(judged)
    if len(judged.problems) > before:
        return None
    if script is None or not script.may_define("model_fn"):
        return False
    judged.words.append(f"{script.name}, whose model_fn loads the model")
    return True


def check_optional(judged: Judged) -> Script | None:
    """Notes what is wrong with the script of a container that can do without one.

    A script that was meant and would not be imported is a problem as well.

    Returns:
        The script; None where there is none.
    """
    name = script_name(judged.environment)
    script = check_optional_begun(judged)
    if script is not None:
        _check_requirements(judged, posixpath.dirname(script.name))
        return script
    if name is None:
        return None
    if name in judged.members:
        return Script(name, None)  # a link, or too deep to be read
    if judged.environment.get(PROGRAM):
        check_required(judged)
        return None
    meant = _defining(judged.artifact, _HOOKS)
    here = [each for each in meant if each == posixpath.basename(name) or each.startswith("code/")]
    if here:
        mend = _mend_of_missing_script(judged.artifact, name, _HOOKS)
        judged.problem(here[0], f"is not what the container imports, which is {name}", mend)
    return None


def check_optional_begun(judged: Judged) -> Script | None:
    """Notes what is wrong with the script for certain, if it is there, and gives it."""
    script = read(judged, script_name(judged.environment))
    if script is not None:
        _check_functions(judged, script, transform_excludes=True)
    return script


def read(judged: Judged, name: str | None) -> Script | None:
    """The script of that name; None where its text is not there. What is not Python is noted."""
    text = judged.texts.get(name) if name else None
    if name is None or text is None:
        return None
    try:
        defined = _defined(text)
    except SyntaxError as error:
        judged.problem(name, f"is not Python: line {error.lineno}: {error.msg}", "correct the script")
        return Script(name, None)
    except _UNPARSABLE as error:
        judged.problem(name, f"cannot be parsed ({error})", "correct the script")
        return Script(name, None)
    # What a star import or a module's __getattr__ brings cannot be known without running it.
    unknown = "*" in defined or "__getattr__" in defined
    return Script(name, None if unknown else MappingProxyType(defined))


def _check_functions(judged: Judged, script: Script, *, transform_excludes: bool) -> None:
    defined = script.defined or {}
    if "model_fn" in defined and not _takes_an_argument(defined["model_fn"]):
        judged.problem(
            script.name, "has a model_fn without an argument", "let it take one: model_fn(model_dir)"
        )
    excluded = [function for function in _EXCLUDED_BY_TRANSFORM if function in defined]
    if transform_excludes and "transform_fn" in defined and excluded:
        judged.problem(
            script.name,
            f"has transform_fn beside {' and '.join(excluded)}",
            "keep one or the other: transform_fn does what the others do",
        )


def _check_requirements(judged: Judged, folder: str) -> None:
    """What lies at the root is not installed; MLflow writes one there for its own purposes."""
    beside = posixpath.join(folder, REQUIREMENTS)
    names = judged.members
    if folder and REQUIREMENTS in names and beside not in names and "MLmodel" not in names:
        found = f"lies at the root, and the container installs what {beside} names"
        judged.problem(REQUIREMENTS, found, f"move it to {beside}")


def mend_by_moving(judged: Judged) -> str | None:
    """Points at a script with a model_fn that lies where no container looks."""
    misplaced = next(iter(_defining(judged.artifact, ("model_fn",))), None)
    return f"{printable(misplaced)} has a model_fn: move it to {DEFAULT_SCRIPT}" if misplaced else None


def _mend_of_missing_script(artifact: Artifact, name: str, hooks: tuple[str, ...] = ("model_fn",)) -> str:
    """Points at the script that was meant, where there is one."""
    defining = _defining(artifact, hooks)
    folder = posixpath.dirname(name)
    for script, function in defining.items():
        if posixpath.dirname(script) == folder:
            program = posixpath.basename(script)
            return f"{printable(script)} has a {function}: set container.environment.{PROGRAM} to {program}"
    for script, function in defining.items():
        return f"{printable(script)} has a {function}: move it to {name}"
    return "put a script there with a model_fn(model_dir) that loads the model"


def _defining(artifact: Artifact, hooks: tuple[str, ...]) -> dict[str, str]:
    """The scripts that define one of the hooks, each with the first that it does."""
    found = {}
    for script, text in artifact.texts.items():
        if not script.endswith(".py") or not any(hook in text for hook in hooks):
            continue
        try:
            defined = _defined(text)
        except (SyntaxError, *_UNPARSABLE):
            continue
        hook = next((hook for hook in hooks if hook in defined), None)
        if hook is not None:
            found[script] = hook
    return found


def _defined(text: str) -> dict[str, ast.stmt]:
    """The names that a module has once it was imported, each with what binds it last.

    Raises:
        SyntaxError, or one of _UNPARSABLE.
    """
    with warnings.catch_warnings():
        # The script's invalid escape sequences are its author's matter, not this log's.
        warnings.simplefilter("ignore")
        return dict(_definitions(ast.parse(text).body))


# What the parser raises for texts that no person writes: zero bytes, thousands of nested blocks.
_UNPARSABLE = (ValueError, RecursionError, MemoryError)


def _definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name, statement
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name, statement) for alias in statement.names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            yield from ((name, statement) for name in _assigned(statement))
        else:
            yield from _definitions(_inner(statement))


def _assigned(statement: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _inner(statement: ast.stmt) -> list[ast.stmt]:
    """The statements that run as part of this one: the branches of an if, a try, a with."""
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [branch.body for name in ("handlers", "cases") for branch in getattr(statement, name, [])]
    return [inner for block in blocks for inner in block]


def _takes_an_argument(definition: ast.stmt) -> bool:
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    arguments = definition.args
    return bool(arguments.posonlyargs or arguments.args or arguments.vararg)
