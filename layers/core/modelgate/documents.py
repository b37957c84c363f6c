"""The documents that people write: read strictly, with errors that name the field and the mend."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from modelgate.errors import Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails

# A document of ours is a page of text. Larger ones are mistakes or attacks, and YAML grows in memory.
MAX_DOCUMENT_BYTES = 64 * 1024
MAX_DEPTH = 20
# pydantic speaks of Python's types, and people who write YAML do not.
_MENDS = {
    "bool_type": "write true or false",
    "int_type": "write a whole number",
    "float_type": "write a number",
    "list_type": "write a list, such as [a, b]",
    "tuple_type": "write a list, such as [a, b]",
    "dict_type": "write a mapping, such as {key: value}",
}


class Document(BaseModel):
    """A document, or a part of one: unknown keys are errors, and values are taken as they are meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


D = TypeVar("D", bound=Document)


def read(text: bytes, model: type[D], name: str) -> D:
    """Reads a YAML document into its model.

    Args:
        text: the document, UTF-8.
        model: what it should be.
        name: how errors call the document, such as ``manifest.yaml``.

    Raises:
        Refused: the text is no YAML of the plain kind, or says something that the model does not allow.
    """
    return cast("D", _read(text, model, name))


# The same policy and the same manifest are read by one event after the other; documents are frozen.
@lru_cache(maxsize=16)
def _read(text: bytes, model: type[Document], name: str) -> Document:
    from modelgate import plain_yaml  # most events need no document

    return validate(plain_yaml.load(text, name), model, name)


def validate(content: object, model: type[D], name: str) -> D:
    """Holds what was read against its model.

    Raises:
        Refused: with one problem for each field that is wrong.
    """
    if not isinstance(content, dict):
        raise Refused(Problem(name, f"holds {_shown(content)}", _mapping_of(model.model_fields)))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise Refused(*(_problem(detail, model, name) for detail in error.errors())) from error


def _problem(detail: ErrorDetails, model: type[BaseModel], name: str) -> Problem:
    path = ".".join(str(part) for part in detail["loc"])
    where = f"{name}: {path}" if path else name
    kind = detail["type"]
    if kind == "extra_forbidden":
        import difflib

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
    if kind == "model_type":
        return Problem(where, found, _mapping_of(_fields_at(model, detail["loc"])))
    if kind in _MENDS:
        return Problem(where, found, _MENDS[kind])
    message = detail["msg"].removeprefix("Input ").replace("Value error, ", "")
    return Problem(where, found, f"it {message}")


def _mapping_of(keys: Iterable[str]) -> str:
    return f"write a mapping with the keys {', '.join(keys)}"


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
