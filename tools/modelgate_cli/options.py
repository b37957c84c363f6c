"""The options that every command has, before or after its name."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Concatenate, get_type_hints

import typer

from modelgate_cli.screen import Screen
from modelgate_cli.stack import DEFAULT_STACK, STACK_VARIABLE, Stack

_STACK = typer.Option("--stack", help=f"The stack's name; {STACK_VARIABLE} or {DEFAULT_STACK} without.")
_REGION = typer.Option("--region", help="The AWS region.")
_PROFILE = typer.Option("--profile", help="The AWS profile.")
_JSON = typer.Option("--json", help="Print exactly one JSON document on stdout.")
StackOption = Annotated[str | None, _STACK]
RegionOption = Annotated[str | None, _REGION]
ProfileOption = Annotated[str | None, _PROFILE]
JsonOption = Annotated[bool, _JSON]


@dataclass(frozen=True)
class Options:
    """What was given, before the command's name or after it; what stands after it wins."""

    stack: str | None = None
    region: str | None = None
    profile: str | None = None
    as_json: bool = False

    def over(self, before: Options) -> Options:
        return Options(
            self.stack or before.stack,
            self.region or before.region,
            self.profile or before.profile,
            self.as_json or before.as_json,
        )


class Here:
    """What a command works with: the terminal, and the stack if it asks for it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.screen = Screen(as_json=options.as_json)

    @cached_property
    def stack(self) -> Stack:
        import boto3

        session = boto3.Session(profile_name=self._options.profile, region_name=self.region)
        return Stack(session, self.stack_name, os.environ)

    @property
    def stack_name(self) -> str:
        return self._options.stack or os.environ.get(STACK_VARIABLE) or DEFAULT_STACK

    @property
    def region(self) -> str | None:
        """The region that was asked for; None where the profile is to tell."""
        # botocore reads AWS_DEFAULT_REGION only, and everybody else writes AWS_REGION.
        return self._options.region or os.environ.get("AWS_REGION") or None


def with_options(command: Callable[Concatenate[Here, ...], None]) -> Callable[..., None]:
    """Gives a command the common options, and hands it `Here` in their stead."""

    @functools.wraps(command)
    def wrapped(context: typer.Context, **given: Any) -> None:
        after = Options(**{name: given.pop(name) for name in _COMMON})
        before = context.obj if isinstance(context.obj, Options) else Options()
        command(Here(after.over(before)), **given)

    own = list(inspect.signature(command).parameters.values())[1:]
    hints = get_type_hints(command, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *(each.replace(kind=keyword, annotation=hints[each.name]) for each in own),
        *(
            inspect.Parameter(name, keyword, default=default, annotation=hint)
            for name, (hint, default) in _COMMON.items()
        ),
    ]
    # typer reads a command's options from its signature.
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    del wrapped.__wrapped__
    return wrapped


_COMMON: dict[str, tuple[Any, Any]] = {
    "stack": (StackOption, None),
    "region": (RegionOption, None),
    "profile": (ProfileOption, None),
    "as_json": (JsonOption, False),
}
