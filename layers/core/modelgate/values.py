"""Frozen dataclasses that cost the start of a function next to nothing.

The standard decorator writes the methods of each class as source and compiles it: a third of a millisecond
for each class, at every start. Here all classes have the same few methods. In everything else they are
dataclasses: `fields`, `replace`, `asdict`, match statements, pydantic and type checkers take them for what
they are. To make an instance takes two microseconds instead of one; so what is made by the thousand, such as
the members of an artifact, keeps the standard decorator.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from dataclasses import Field, dataclass

    __all__ = ["dataclass"]
else:

    def dataclass(*, frozen):
        """`dataclasses.dataclass`, of which this knows ``frozen=True``, defaults and ``compare=False``."""
        if not frozen:
            raise TypeError("what is made here is frozen; for anything else take the standard decorator")
        return _with_shared_methods


def _with_shared_methods(cls: type) -> type:
    # Without a docstring the standard decorator would make one up of the signature, which is as slow.
    cls.__doc__ = cls.__doc__ or cls.__name__
    fields = dataclasses.fields(dataclasses.dataclass(init=False, repr=False, eq=False)(cls))
    for name, method in {"__init__": _initializer(fields), **_methods(fields)}.items():
        if name not in cls.__dict__:
            setattr(cls, name, method)
    return cls


def _initializer(fields: Iterable[Field[Any]]) -> Callable[..., None]:
    names = {field.name: None for field in fields}
    missing = dataclasses.MISSING
    defaults = {field.name: field.default for field in fields if field.default is not missing}
    makers = {field.name: field.default_factory for field in fields if field.default_factory is not missing}

    def initialize(self: object, *given: object, **named: object) -> None:
        placed = dict(zip(names, given, strict=False))
        values = {**defaults, **placed, **named}
        for name, make in makers.items():
            if name not in values:
                values[name] = make()
        if values.keys() != names.keys() or len(placed) < len(given) or not named.keys().isdisjoint(placed):
            raise TypeError(f"{type(self).__name__} is made of {', '.join(names)}, each of them once")
        self.__dict__.update(values)

    return initialize


def _methods(fields: Iterable[Field[Any]]) -> dict[str, Callable[..., Any]]:
    names = [field.name for field in fields]
    compared = [field.name for field in fields if field.compare]
    of: Callable[[Any], object] = attrgetter(*compared) if compared else type

    def show(self: object) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    def equals(self: object, other: object) -> bool:
        return of(self) == of(other) if type(other) is type(self) else NotImplemented

    def hashed(self: object) -> int:
        return hash(of(self))

    return {
        "__repr__": show,
        "__eq__": equals,
        "__hash__": hashed,
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
    }


def _refuse_to_set(_: object, name: str, __: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
