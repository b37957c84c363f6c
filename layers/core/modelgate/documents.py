"""The documents that people write: read strictly, with errors that name the field and the mend."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from modelgate.errors import Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

# A document of ours is a page of text. Larger ones are mistakes or attacks, and YAML grows in memory.
MAX_DOCUMENT_BYTES = 64 * 1024
MAX_DEPTH = 20


class Document(BaseModel):
    """A document, or a part of one: unknown keys are errors, and values are taken as they are meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


D = TypeVar("D", bound=Document)

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # chosen at run time: the C loader where it was compiled
    """YAML as people mean it: `1e-3` is a number, `2026-11-22` is a text, a key stands once."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?$|^[-+]?[0-9]+[eE][-+]?[0-9]+$|^[-+]?\.(inf|nan)$",
        re.IGNORECASE,
    ),
    list("-+0123456789."),
)


def read(text: bytes, model: type[D], name: str) -> D:
    """Reads a YAML document into its model.

    Args:
        text: the document, UTF-8.
        model: what it should be.
        name: how errors call the document, such as ``manifest.yaml``.

    Raises:
        Refused: the text is no YAML of the plain kind, or says something that the model does not allow.
    """
    return validate(_load(text, name), model, name)


def validate(content: object, model: type[D], name: str) -> D:
    """Holds what was read against its model.

    Raises:
        Refused: with one problem for each field that is wrong.
    """
    if not isinstance(content, dict):
        keys = ", ".join(model.model_fields)
        raise Refused(Problem(name, f"holds {_shown(content)}", f"write a mapping with the keys {keys}"))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise Refused(*(_problem(detail, model, name) for detail in error.errors())) from error


def _load(text: bytes, name: str) -> object:
    _check_size(text, name)
    try:
        _refuse_what_plain_documents_do_not_need(text, name)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return {}
            _refuse_repeated_keys(node, name)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise Refused(Problem(name, f"is not UTF-8 ({error.reason})", "save it as UTF-8")) from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise Refused(Problem(name, f"is not YAML ({reason})", "mend the place that it names")) from error


def _check_size(text: bytes, name: str) -> None:
    if len(text) > MAX_DOCUMENT_BYTES:
        limit = f"{MAX_DOCUMENT_BYTES // 1024} KB"
        raise Refused(
            Problem(
                name,
                f"is larger than {limit}",
                f"keep it under {limit}; large values belong in files beside it",
            )
        )


def _refuse_what_plain_documents_do_not_need(text: bytes, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if anchor := getattr(event, "anchor", None):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise Refused(
                Problem(f"{name}: line {line}", f"has the alias or anchor {anchor!r}", "write the value out")
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Refused(Problem(name, f"is nested deeper than {MAX_DEPTH} levels", "write it flat"))


def _refuse_repeated_keys(root: yaml.Node, name: str) -> None:
    problems = []
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                nodes.append(value)
                if str(key.value) in seen:
                    where = f"{name}: line {key.start_mark.line + 1}"
                    problems.append(
                        Problem(where, f"has the key {key.value!r} a second time", "keep one of them")
                    )
                seen.add(str(key.value))
    if problems:
        raise Refused(*problems)


def _problem(detail: ErrorDetails, model: type[BaseModel], name: str) -> Problem:
    path = ".".join(str(part) for part in detail["loc"])
    where = f"{name}: {path}" if path else name
    kind = detail["type"]
    if kind == "extra_forbidden":
        key, known = str(detail["loc"][-1]), sorted(_fields_at(model, detail["loc"][:-1]))
        close = difflib.get_close_matches(key, known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return Problem(where, "is not a key that is known here", f"{meant}known are {', '.join(known)}")
    if kind == "missing":
        return Problem(where, "is missing", "add it")
    if kind == "value_error":
        found, _, mend = str(detail["ctx"]["error"]).partition("; ")
        return Problem(where, found, mend or "mend it")
    found = f"is {_shown(detail['input'])}"
    if kind == "string_type" and not isinstance(detail["input"], dict | list):
        return Problem(where, found, f'write a text, in quotes: "{detail["input"]}"')
    message = detail["msg"].removeprefix("Input ").replace("Value error, ", "")
    return Problem(where, found, f"it {message}")


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    models: list[type[BaseModel]] = [model]
    for part in path:
        fields = [field for each in models if (field := each.model_fields.get(str(part)))]
        models = [inner for field in fields for inner in _models_in(field.annotation)] or models
    return [key for each in models for key in each.model_fields]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _shown(value: object) -> str:
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
