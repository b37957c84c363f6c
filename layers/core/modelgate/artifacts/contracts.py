"""What each prebuilt container wants to find in a model.tar.gz, and the environment that it needs.

The layouts are those of the containers themselves; see Amazon SageMaker AI Developer Guide, "Use
Scikit-learn with Amazon SageMaker AI" and "XGBoost algorithm with Amazon SageMaker AI". Scripts are judged
by their syntax tree; nothing of an artifact is ever run here.
"""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from modelgate.artifacts.gzip_stream import PACK
from modelgate.artifacts.inspection import Artifact, is_script, printable
from modelgate.errors import Problem, Refused

# Amazon SageMaker API Reference, ModelPackageContainerDefinition: Environment has at most 16 entries.
MOST_ENVIRONMENT = 16

PROGRAM = "SAGEMAKER_PROGRAM"
SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"
_MODEL_DIRECTORY = "/opt/ml/model"
_DEFAULT_SCRIPT = "code/inference.py"
_EXCLUDED_BY_TRANSFORM = ("input_fn", "predict_fn", "output_fn")

# The container's own default for the folder is one that no artifact has, so both are always set.
_SCRIPT_ENVIRONMENT = MappingProxyType(
    {PROGRAM: "inference.py", SUBMIT_DIRECTORY: f"{_MODEL_DIRECTORY}/code"}
)

# A contract appends to the problems, and gives the environment that it adds to the user's.
_Contract = Callable[["_Judged"], Mapping[str, str]]


def families() -> tuple[str, ...]:
    """The frameworks that have a contract, in alphabetical order."""
    return tuple(sorted(_CONTRACTS))


def covers(family: str) -> bool:
    """Whether artifacts of this framework are checked. Others are passed through as they are."""
    return family in _CONTRACTS


def reads(environment: Mapping[str, str]) -> Callable[[str], bool]:
    """Which members' text ``check`` will want to see; the ``keep`` of ``inspection.inspect``."""
    script = _script_name(environment)
    return lambda name: name == script or is_script(name)


def check(
    family: str, artifact: Artifact, environment: Mapping[str, str], *, where: str = "model.tar.gz"
) -> Mapping[str, str]:
    """Judge an artifact by the contract of its container, and complete the environment.

    Args:
        family: the framework, as in the manifest: ``sklearn``. One without a contract (``covers`` tells)
            gets its environment back as it is.
        artifact: as inspected, with the texts that ``reads`` asks for.
        environment: what the user has set; those values win.
        where: how problems name the artifact.

    Returns:
        The environment that CreateModel has to set.

    Raises:
        Refused: the container could not serve this artifact. Says what was found and what it expects.
    """
    judged = _Judged(family, artifact, environment, where, [])
    added = _CONTRACTS[family](judged) if family in _CONTRACTS else {}
    complete = {**added, **environment}
    if len(complete) > MOST_ENVIRONMENT:
        names = ", ".join(sorted(set(added) - set(environment)))
        also = f", with {names}, which the container needs" if names else ""
        judged.environment_problem(
            "",
            f"has {len(complete)} entries{also}",
            f"SageMaker allows {MOST_ENVIRONMENT}",
        )
    if judged.problems:
        raise Refused(*judged.problems)
    return MappingProxyType(complete)


@dataclass(frozen=True)
class _Judged:
    """An artifact that is being judged, and what has been found wrong with it."""

    family: str
    artifact: Artifact
    environment: Mapping[str, str]
    where: str
    problems: list[Problem]

    def problem(self, place: str, found: str, mend: str) -> None:
        where = f"{self.where}: {printable(place)}" if place else self.where
        self.problems.append(Problem(where, found, mend))

    def environment_problem(self, entry: str, found: str, mend: str) -> None:
        place = f"container.environment.{entry}" if entry else "container.environment"
        self.problems.append(Problem(f"manifest.yaml: {place}", found, mend))


def _sklearn(judged: _Judged) -> Mapping[str, str]:
    if _is_wrapped(judged):
        return {}
    _check_script(judged)
    script = _script_name(judged.environment)
    folder = posixpath.dirname(script or _DEFAULT_SCRIPT)
    elsewhere = (
        member.name
        for member in judged.artifact.members
        if member.kind != "directory"
        and not member.hidden
        and not (folder and member.name.startswith(f"{folder}/"))
        and not member.name.endswith((".py", "requirements.txt"))
    )
    # A model_fn may read its file from beside the script as well, but not from a script.
    beside = (
        name
        for name in judged.artifact.files(folder)
        if not name.endswith((".py", ".pyc", ".txt", ".md", ".toml", ".cfg"))
    )
    if not any(elsewhere) and not any(beside):
        judged.problem("", "holds no model file", "put what model_fn loads at the root: model.joblib")
    return _SCRIPT_ENVIRONMENT


def _xgboost(judged: _Judged) -> Mapping[str, str]:
    if _is_wrapped(judged):
        return {}
    if PROGRAM in judged.environment or any(name.endswith(".py") for name in judged.artifact.files("code")):
        return _sklearn(judged)
    files = judged.artifact.files()
    if not files:
        judged.problem(
            "",
            "holds no model file at its root",
            f"the container loads the one file there (a pickle, or Booster.save_model): {PACK}",
        )
    elif len(files) > 1:
        judged.problem(
            "",
            f"holds {len(files)} files at its root ({_some(files)})",
            "leave only the model there, since the container loads whatever it finds; "
            f"or load it yourself, by model_fn in {_DEFAULT_SCRIPT}",
        )
    return {}


def _is_wrapped(judged: _Judged) -> bool:
    wrapper = judged.artifact.wrapper
    if wrapper is None or wrapper == "code":
        return False
    found = "holds everything, and the container looks at the root of the archive"
    judged.problem(
        f"{wrapper}/", found, f"pack what is in it: tar -C {printable(wrapper)} -czf model.tar.gz ."
    )
    return True


def _script_name(environment: Mapping[str, str]) -> str | None:
    """The script's name in the artifact; None when the environment says that it is not in there."""
    directory = posixpath.normpath(environment.get(SUBMIT_DIRECTORY, f"{_MODEL_DIRECTORY}/code"))
    if directory != _MODEL_DIRECTORY and not directory.startswith(f"{_MODEL_DIRECTORY}/"):
        return None
    folder = directory.removeprefix(_MODEL_DIRECTORY).strip("/")
    program = environment.get(PROGRAM, posixpath.basename(_DEFAULT_SCRIPT))
    return posixpath.normpath(posixpath.join(folder, program if program.endswith(".py") else f"{program}.py"))


def _check_script(judged: _Judged) -> None:
    name = _script_name(judged.environment)
    if name is None:
        directory = judged.environment[SUBMIT_DIRECTORY]
        # The container fetches an archive of scripts from S3 by itself; what is in there is its matter.
        if not directory.startswith("s3://"):
            judged.environment_problem(
                SUBMIT_DIRECTORY,
                f"is {directory!r}, which is not in the artifact",
                f"leave it out, or name a folder below {_MODEL_DIRECTORY}",
            )
        return
    text = judged.artifact.texts.get(name)
    if text is not None:
        _check_functions(judged, name, text)
        return
    member = next((member for member in judged.artifact.members if member.name == name), None)
    if member is None:
        judged.problem(name, "is not in the archive", _mend_of_missing_script(judged.artifact, name))
    elif member.kind == "file":
        judged.problem(name, "lies too deep to be read", f"keep the script at {_DEFAULT_SCRIPT}")
    else:
        judged.problem(name, f"is a {member.kind}", "pack the script itself there, as a file (tar -h)")


def _mend_of_missing_script(artifact: Artifact, name: str) -> str:
    """Points at the script that was meant, where there is one."""
    defining = [
        script
        for script, text in artifact.texts.items()
        if (tree := _parsed(text)) is not None and "model_fn" in dict(_definitions(tree.body))
    ]
    folder = posixpath.dirname(name)
    for script in defining:
        if posixpath.dirname(script) == folder:
            program = posixpath.basename(script)
            return f"{script} has a model_fn: set container.environment.{PROGRAM} to {program}"
    if defining:
        return f"{defining[0]} has a model_fn: move it to {name}"
    return "put a script there with a model_fn(model_dir) that loads the model"


def _check_functions(judged: _Judged, name: str, text: str) -> None:
    try:
        tree = _parse(text)
    except SyntaxError as error:
        judged.problem(name, f"is not Python: line {error.lineno}: {error.msg}", "correct the script")
        return
    except (ValueError, RecursionError, MemoryError) as error:
        judged.problem(name, f"cannot be parsed ({error})", "correct the script")
        return
    defined = dict(_definitions(tree.body))
    if "*" in defined:
        return  # What a star import brings cannot be known without running it.
    if "model_fn" not in defined:
        judged.problem(name, "has no model_fn", "define model_fn(model_dir), which returns the model")
    elif not _takes_an_argument(defined["model_fn"]):
        judged.problem(name, "has a model_fn without an argument", "let it take one: model_fn(model_dir)")
    excluded = [function for function in _EXCLUDED_BY_TRANSFORM if function in defined]
    if "transform_fn" in defined and excluded:
        judged.problem(
            name,
            f"has transform_fn beside {' and '.join(excluded)}",
            "keep one or the other: transform_fn does what the others do",
        )


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        # The script's invalid escape sequences are its author's matter, not this log's.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _parsed(text: str) -> ast.Module | None:
    try:
        return _parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _definitions(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """The names that a module has once it was imported, each with what binds it."""
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
    blocks += [handler.body for handler in getattr(statement, "handlers", [])]
    return [inner for block in blocks for inner in block]


def _takes_an_argument(definition: ast.stmt) -> bool:
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    arguments = definition.args
    return bool(arguments.posonlyargs or arguments.args or arguments.vararg)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(printable(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown}, …"


_CONTRACTS: Mapping[str, _Contract] = MappingProxyType({"sklearn": _sklearn, "xgboost": _xgboost})
