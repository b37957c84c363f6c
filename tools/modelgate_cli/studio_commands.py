"""`modelgate studio`: parses, and calls what the modules beside it are named for."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from modelgate_cli.options import Here, with_options

studio = typer.Typer(help="Domains, user profiles and spaces of SageMaker Studio, as documents.")

SubjectArgument = Annotated[
    str, typer.Argument(metavar="FILE|DOMAIN", help="DOMAIN.yaml, or a domain's document in the bucket.")
]
DomainArgument = Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain's name.")]


@studio.callback()
def _studio() -> None:
    """Domains, user profiles and spaces of SageMaker Studio, as documents."""


@studio.command()
@with_options
def plan(
    here: Here,
    subject: SubjectArgument,
    exit_code: Annotated[  # noqa: FBT002
        bool, typer.Option("--exit-code", help="Exit with 4 when there is a difference.")
    ] = False,
) -> None:
    """Show what a document would make, change and delete. Does nothing of it."""
    from modelgate_cli import studio_planning

    planned = studio_planning.plan_of(here.stack, subject)
    here.screen.result(asdict(planned), *studio_planning.shown(planned))
    if exit_code and planned.differs:
        raise typer.Exit(studio_planning.DIFFERENCE)


@studio.command()
@with_options
def apply(
    here: Here,
    file: Annotated[str, typer.Argument(metavar="FILE", help="DOMAIN.yaml: named as the domain.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for what becomes of it.")] = True,  # noqa: FBT002
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait so long at most.")
    ] = 3600,
) -> None:
    """Show what a document would change, ask, upload it, and wait until what there is, is what it says.

    Exits with 1 when it is refused or something is in its way, with 3 when SageMaker stands in the way.
    """
    from modelgate_cli import studio_applying

    applied = studio_applying.apply(
        file, lambda: here.stack, here.screen, yes=yes, wait=wait, timeout=timeout
    )
    here.screen.result(asdict(applied), *studio_applying.shown_applied(applied))


@studio.command()
@with_options
def status(
    here: Here,
    domain: Annotated[str | None, typer.Argument(metavar="[DOMAIN]", help="All, without.")] = None,
) -> None:
    """Show how far documents are, what went wrong, what was changed, and what is other than they say."""
    from modelgate_cli import studio_status

    if domain is None:
        found = studio_status.statuses(here.stack)
        lines = studio_status.shown_all(found)
    else:
        found = [studio_status.status_of(here.stack, domain)]
        lines = studio_status.shown(found[0])
    here.screen.result({"domains": [asdict(each) for each in found]}, *lines)


@studio.command()
@with_options
def export(
    here: Here,
    domain: DomainArgument,
    domain_id: Annotated[
        str | None, typer.Option("--id", metavar="D-…", help="Where several domains have the name.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="The file to write; stdout, without.")
    ] = None,
) -> None:
    """Write the document of a domain that exists, whoever made it."""
    from modelgate_cli import studio_exporting

    studio_exporting.show(studio_exporting.export(here.stack, domain, domain_id, out), here.screen)


@studio.command()
@with_options
def rights(here: Here, subject: SubjectArgument) -> None:
    """Print the IAM policy with which an execution role keeps members' rights in shared spaces."""
    from modelgate_cli import studio_exporting

    document = studio_exporting.rights(here.stack, subject)
    here.screen.answer(document, f"{json.dumps(document, indent=2)}\n".encode())


@studio.command("open")
@with_options
def open_(
    here: Here,
    domain: DomainArgument,
    user_profile: Annotated[str, typer.Argument(metavar="PROFILE", help="The user profile's name.")],
    space: Annotated[str | None, typer.Option("--space", help="A space to go to.")] = None,
) -> None:
    """Print a URL that lets a user profile in, for five minutes. Only where authentication is iam."""
    from modelgate_cli import studio_exporting

    found = studio_exporting.way_in(here.stack, domain, user_profile, space)
    here.screen.answer(asdict(found), f"{found.url}\n".encode())
