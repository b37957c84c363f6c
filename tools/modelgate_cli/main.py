"""The `modelgate` command: parses, and calls what the modules beside it are named for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from modelgate_cli.complaints import FORESEEABLE, INTERRUPTED, USAGE, Complaint, complaint_about
from modelgate_cli.options import (
    Here,
    JsonOption,
    Options,
    ProfileOption,
    RegionOption,
    StackOption,
    with_options,
)
from modelgate_cli.screen import Screen
from modelgate_cli.studio_commands import studio

if TYPE_CHECKING:
    from modelgate_cli.instructing import What


class _Commands(TyperGroup):
    """Ends every command the same way: with an exit code, and with a complaint instead of a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002  the base's signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002
        **extra: Any,
    ) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)  # noqa: FBT003
        except (typer.TyperException, typer.Abort, KeyboardInterrupt, *FORESEEABLE) as error:
            code = _complained(error, as_json="--json" in given)
        sys.exit(code if isinstance(code, int) else 0)


class _BuildCommand(TyperCommand):
    """Tells people who come from `sm-docker build` or `docker build` where their options went."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from modelgate_cli.foreign_options import complain_about_foreign

        complain_about_foreign(args)
        return super().parse_args(ctx, args)


def _complained(error: BaseException, *, as_json: bool) -> int:
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        complaint = Complaint("interrupted", "what was begun goes on in AWS: modelgate status", INTERRUPTED)
    elif isinstance(error, typer.TyperException):
        words = " ".join(error.format_message().split())
        complaint = Complaint(words, "modelgate COMMAND --help shows what a command takes", USAGE)
    else:
        complaint = complaint_about(error)
    Screen(as_json=as_json).complain(complaint)
    return complaint.code


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="From a trained model to a served one: pack, submit, approve, look, ask.",
)
local = typer.Typer(help="AWS on this machine.")
app.add_typer(local, name="local")
container = typer.Typer(help="Containers of your own.")
app.add_typer(container, name="container")
app.add_typer(studio, name="studio")

GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="The model package group.")]
EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name.")]
VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version's number.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for what becomes of it.")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait so long at most.")
]
_Queues = Literal["failed", "undelivered", "all"]
_Scopes = Literal["inference", "training"]
_Splits = Literal["none", "line", "recordio", "tfrecord"]
_Halves = Literal["train", "serve"]


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  an option of the command line
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
    context.obj = Options(stack, region, profile, as_json)


@app.command()
@with_options
def pack(
    here: Here,
    smoke_test: Annotated[
        str, typer.Option("--smoke-test", metavar="BODY", help="A request that the model must answer.")
    ],
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="What the framework wrote, a file or a folder, or an MLflow model. Left out where the "
            "container has the model, or fetches it from a hub: --environment HF_MODEL_ID=NAME.",
        ),
    ] = None,
    framework: Annotated[
        str | None, typer.Option("--framework", help="sklearn, pytorch, huggingface, djl-lmi …")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Of the prebuilt container, such as 1.9-0.")
    ] = None,
    py_version: Annotated[
        str | None, typer.Option("--py-version", help="Where the container comes with several: py310.")
    ] = None,
    base_framework_version: Annotated[
        str | None,
        typer.Option("--base-framework-version", help="What Hugging Face's run on: pytorch2.1.0."),
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="An image of your own, instead of --version.")
    ] = None,
    artifact: Annotated[
        Literal["tarball", "folder"],
        typer.Option("--artifact", help="A folder is served as it is: for large weights."),
    ] = "tarball",
    metric: Annotated[list[str] | None, typer.Option("--metric", metavar="NAME=VALUE")] = None,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            "--metrics-file", exists=True, dir_okay=False, help="JSON: numbers, or SageMaker's report."
        ),
    ] = None,
    script: Annotated[Path | None, typer.Option("--script", help="Becomes code/inference.py.")] = None,
    code: Annotated[Path | None, typer.Option("--code", help="A folder; becomes code/.")] = None,
    requirements: Annotated[
        Path | None, typer.Option("--requirements", help="Becomes code/requirements.txt.")
    ] = None,
    content_type: Annotated[
        list[str] | None, typer.Option("--content-type", help="What it takes; the first is the smoke test's.")
    ] = None,
    response_type: Annotated[
        list[str] | None, typer.Option("--response-type", help="What it answers in.")
    ] = None,
    accept: Annotated[str | None, typer.Option("--accept", help="The smoke test's Accept header.")] = None,
    expect: Annotated[
        str | None, typer.Option("--expect", help="A text that its answer must contain.")
    ] = None,
    environment: Annotated[list[str] | None, typer.Option("--environment", metavar="NAME=VALUE")] = None,
    instance_type: Annotated[
        list[str] | None, typer.Option("--instance-type", help="Where it may run besides its policy's.")
    ] = None,
    description: Annotated[str, typer.Option("--description", help="For the registry.")] = "",
    metadata: Annotated[list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE")] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", help='Of the training code: "$(git rev-parse HEAD)".')
    ] = None,
    repository: Annotated[str | None, typer.Option("--repository", help="Where that code lies.")] = None,
    generated_by: Annotated[
        str | None, typer.Option("--generated-by", help="What made it, such as a training job's ARN.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help="That it belongs to.")] = None,
    source_uri: Annotated[
        str | None, typer.Option("--source-uri", help="Where it was tracked; an MLflow model knows its run.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="The folder to write into.")] = Path(
        "submission"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,  # noqa: FBT002
) -> None:
    """Make a model into a submission: an artifact that its container accepts, and manifest.yaml."""
    from modelgate.manifest import SmokeTest
    from modelgate_cli import packing
    from modelgate_cli.pack import pack as pack_submission

    takes = packing.takes(content_type or [], framework, model)
    lineage = {
        "commit": commit,
        "repository": repository,
        "generated_by": generated_by,
        "project": project,
        "source_uri": source_uri,
    }
    with packing.watched(here.screen) as watch:
        packed = pack_submission(
            model,
            framework=framework,
            version=version,
            py_version=py_version,
            base_framework_version=base_framework_version,
            image=image,
            artifact=artifact,
            metrics=packing.figures_or_file(metric or [], metrics_file),
            content_types=takes,
            response_types=response_type or ["application/json"],
            smoke_test=SmokeTest(content_type=takes[0], body=smoke_test, accept=accept, expect=expect),
            out=out,
            script=script,
            code=code,
            requirements=requirements,
            environment=packing.pairs(environment or [], "--environment"),
            instance_types=instance_type or [],
            description=description,
            metadata=packing.pairs(metadata or [], "--metadata"),
            lineage={key: value for key, value in lineage.items() if value is not None},
            overwrite=overwrite,
            watch=watch,
        )
    here.screen.result(packing.document(packed), *packing.shown(packed))


@app.command()
@with_options
def inspect(
    here: Here,
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="FILE|DIR|S3_URL", help="A model.tar.gz, or a folder for an uncompressed model."
        ),
    ],
    framework: Annotated[
        str | None, typer.Option("--framework", help="Whose contract it is held against; every one, without.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Of the prebuilt container, which is looked up then.")
    ] = None,
    environment: Annotated[list[str] | None, typer.Option("--environment", metavar="NAME=VALUE")] = None,
) -> None:
    """Look at an artifact as the gate will, wherever it lies. Exits with 1 when it would be refused."""
    from modelgate.aws.s3 import S3Bucket
    from modelgate_cli import inspecting, packing

    with packing.watched(here.screen) as watch:
        inspected = inspecting.inspect(
            artifact,
            framework=framework,
            version=version,
            environment=packing.pairs(environment or [], "--environment"),
            buckets=lambda name: S3Bucket(here.stack.s3, name),
            watch=watch,
        )
    here.screen.result(inspected.document(), *inspecting.shown(inspected))


@app.command(cls=_BuildCommand)
@with_options
def build(
    here: Here,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the Dockerfile.")],
    repository: Annotated[
        str | None,
        typer.Option("--repository", metavar="NAME[:TAG]", help="The image's name; the folder's without."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("-t", "--tag", metavar="NAME[:TAG]", help="As --repository; each names one more tag."),
    ] = None,
    build_arg: Annotated[
        list[str] | None,
        typer.Option("--build-arg", metavar="NAME=VALUE", help="For an ARG; no secrets: images show it."),
    ] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", metavar="PATH", help="The Dockerfile, somewhere in DIR.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="STAGE", help="Of the Dockerfile; the last, without.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option("--platform", help="linux/amd64, or linux/arm64 for Graviton.")
    ] = None,
    compute_type: Annotated[
        str | None,
        typer.Option("--compute-type", help="Of the build: small, medium, large, xlarge or 2xlarge."),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="NAME|ARN", help="Upload and look under this role, which is assumed."),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs/--no-logs", help="Show the build's log.")] = True,  # noqa: FBT002
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 14_400,
) -> None:
    """Build an image in the stack's CodeBuild project; this machine needs no Docker.

    Stdout gets the image's URI with its digest only: IMAGE=$(modelgate build DIR)
    What was built before is not built again. Exits with 1 when the build fails.
    DIR/.dockerignore leaves files out, DIR/build.yaml has options that always hold.
    """
    from modelgate_cli import build_options, building

    asked = build_options.Asked(repository, tag or (), build_arg or (), file, target, platform, compute_type)
    wanted = build_options.wanted_of(folder, asked, os.environ)
    stack = here.stack.under(role) if role is not None else here.stack
    built = building.build(folder, wanted, stack, here.screen, logs=logs, wait=wait, timeout=timeout)
    building.show(built, here.screen)


@app.command()
@with_options
def train(
    here: Here,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Has job.yaml, code/ and data/.")],
    here_only: Annotated[bool, typer.Option("--local", help="Run it here, with no cloud at all.")] = False,  # noqa: FBT002
    group: Annotated[
        str | None, typer.Option("--group", help="The model package group; the folder's name without.")
    ] = None,
    run_name: Annotated[
        str | None, typer.Option("--run", help="The run's name; <date>-<short sha256> without.")
    ] = None,
    hyperparameter: Annotated[
        list[str] | None,
        typer.Option("--hyperparameter", metavar="NAME=VALUE", help="Goes over job.yaml's of that name."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="CHANNEL=PATH", help="With --local: where a channel's data lie here."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", file_okay=False, help="With --local: for the results; in ~/.cache without."),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs/--no-logs", help="Show the job's log.")] = True,  # noqa: FBT002
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 172_800,
) -> None:
    """Train on SageMaker, and follow the job to the gate's verdict; or with --local, on this machine.

    DIR/job.yaml says what trains, on which data. Exits with 1 when it fails, or the gate refuses the model.
    """
    from modelgate_cli import packing, training_commands

    training_commands.train(
        here,
        training_commands.Asked(
            folder,
            group,
            run_name,
            hyperparameters=packing.pairs(hyperparameter or [], "--hyperparameter"),
            data=packing.pairs(data or [], "--data"),
            out=out,
            logs=logs,
        ),
        on_this_machine=here_only,
        wait=wait,
        timeout=timeout,
    )


@app.command("image-uri")
@with_options
def image_uri(
    here: Here,
    framework: Annotated[str, typer.Option("--framework", help="Such as sklearn, pytorch, huggingface.")],
    version: Annotated[str, typer.Option("--version", help="Of the prebuilt container, such as 1.9-0.")],
    instance_type: Annotated[str, typer.Option("--instance-type", help="What it runs on: ml.m5.large.")],
    scope: Annotated[_Scopes, typer.Option("--scope", help="What it is for.")] = "inference",
    py_version: Annotated[
        str | None, typer.Option("--py-version", help="Such as py310; the newest, without.")
    ] = None,
    base_framework_version: Annotated[
        str | None,
        typer.Option("--base-framework-version", help="Hugging Face's: pytorch2.6, tensorflow2.11."),
    ] = None,
) -> None:
    """Print the URI of a prebuilt image. Needs no stack and no credentials."""
    from modelgate_cli import image_uri as prebuilt

    region = prebuilt.region_or_complaint(here.region, prebuilt.configured_region)
    wanted = prebuilt.Wanted(
        framework, version, instance_type, region, scope, py_version, base_framework_version
    )
    uri = prebuilt.uri_of(wanted)
    here.screen.answer(wanted.document(uri), f"{uri}\n".encode())


@app.command()
@with_options
def submit(
    here: Here,
    files: Annotated[list[Path], typer.Argument(metavar="DIR|FILES...", exists=True)],
    group: GroupArgument,
    name: Annotated[
        str | None, typer.Option("--name", help="The submission's name; <date>-<short sha256> without.")
    ] = None,
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 900,
) -> None:
    """Upload a submission, and show the gate's verdict. Exits with 1 when it is refused."""
    from modelgate_cli import submission_files, submitting

    parts = submission_files.gather(files)
    submission = submitting.submission_of(group, name, parts)
    submission_files.examine(parts, group, here.stack)
    submitting.upload(parts, submission, here.stack, here.screen)
    submitted = submitting.Submitted(str(submission), "uploaded")
    if wait:
        with here.screen.progress() as progress:
            submitted = submitting.follow(submission, here.stack, progress, timeout=timeout)
    submitting.show(submitted, here.screen)


@app.command()
@with_options
def report(
    here: Here,
    group: GroupArgument,
    which: Annotated[
        str, typer.Argument(metavar="VERSION|SUBMISSION", help="A version's number, or a submission's name.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="The file to write; a temporary one without.")
    ] = None,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,  # noqa: FBT002
) -> None:
    """Fetch the report of a version, or of a submission that became none, and open it."""
    from modelgate_cli import reporting

    fetched = reporting.fetch(here.stack, group, which, out)
    if browse and not here.screen.as_json and not reporting.open_in_browser(fetched.path):
        here.screen.say("there is no browser to open it in")
    here.screen.result(asdict(fetched), reporting.shown(fetched))


@app.command()
@with_options
def versions(
    here: Here,
    group: GroupArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 20,
) -> None:
    """Show the versions of a group."""
    from modelgate_cli import versions as listing

    found = listing.versions_of(here.stack, group, limit)
    here.screen.result({"group": group, "versions": [asdict(each) for each in found]}, listing.shown(found))


@app.command()
@with_options
def approve(
    here: Here,
    group: GroupArgument,
    version: VersionArgument,
    note: Annotated[str, typer.Option("--note", help="Why; kept with the version.")] = "",
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 1800,
) -> None:
    """Approve a version, as the console does, and wait until it is live."""
    from modelgate_cli import deciding

    package, endpoint = deciding.approve(here.stack, group, version, note)
    decided = deciding.Decided(group, version, package.approval, endpoint, "decided")
    if wait:
        with here.screen.progress() as progress:
            decided = deciding.follow_approval(here.stack, package, endpoint, progress, timeout=timeout)
    here.screen.result(asdict(decided), deciding.shown(decided))


@app.command()
@with_options
def reject(
    here: Here,
    group: GroupArgument,
    version: VersionArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the version.")],
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 1800,
) -> None:
    """Reject a version; if it serves, wait until its endpoint has gone back to the release before it."""
    from modelgate_cli import deciding

    before = deciding.endpoint_of(here.stack, group)
    package = deciding.reject(here.stack, group, version, reason)
    decided = deciding.Decided(group, version, package.approval, before.name if before else "", "decided")
    if wait:
        with here.screen.progress() as progress:
            decided = deciding.follow_rejection(here.stack, package, before, progress, timeout=timeout)
    here.screen.result(asdict(decided), deciding.shown(decided))


@app.command()
@with_options
def status(
    here: Here,
    endpoint: Annotated[str | None, typer.Argument(metavar="[ENDPOINT]", help="All, without.")] = None,
) -> None:
    """Show what is desired on an endpoint and why, what is live, and what is under way."""
    from modelgate_cli import endpoints

    found = endpoints.statuses(here.stack, endpoint)
    here.screen.result({"endpoints": [asdict(each) for each in found]}, *endpoints.shown(found))


@app.command()
@with_options
def plan(here: Here, group: GroupArgument) -> None:
    """Show what would be done about a group's endpoint now, and why. Does nothing of it."""
    from modelgate_cli import planning

    found = planning.plan_of(here.stack, group)
    here.screen.result(asdict(found), *planning.shown(found))


@app.command()
@with_options
def history(
    here: Here,
    endpoint: EndpointArgument,
    releases: Annotated[bool, typer.Option("--releases", help="Only those that went live.")] = False,  # noqa: FBT002
) -> None:
    """Show every attempt on an endpoint, who approved it, and which of them were releases."""
    from modelgate_cli import endpoints

    tried = endpoints.history(here.stack, endpoint, releases_only=releases)
    document = {"endpoint": endpoint, "attempts": [asdict(each) for each in tried]}
    here.screen.result(document, endpoints.shown_history(tried))


@app.command()
@with_options
def pin(
    here: Here,
    group: GroupArgument,
    version: VersionArgument,
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 1800,
) -> None:
    """Keep an approved version on a group's endpoint, whatever is approved later."""
    _instruct(here, "pin", group, version, wait=wait, timeout=timeout)


@app.command()
@with_options
def unpin(
    here: Here,
    group: GroupArgument,
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 1800,
) -> None:
    """Let the version that was approved last have the endpoint again."""
    _instruct(here, "unpin", group, wait=wait, timeout=timeout)


@app.command()
@with_options
def freeze(here: Here, group: GroupArgument) -> None:
    """Deploy nothing on a group's endpoint; what is decided meanwhile is remembered."""
    _instruct(here, "freeze", group)


@app.command()
@with_options
def unfreeze(
    here: Here,
    group: GroupArgument,
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 1800,
) -> None:
    """Take up what was decided while a group's endpoint was frozen."""
    _instruct(here, "unfreeze", group, wait=wait, timeout=timeout)


@app.command()
@with_options
def retry(
    here: Here,
    group: GroupArgument,
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 1800,
) -> None:
    """Try again what is blocked, or what has failed."""
    _instruct(here, "retry", group, wait=wait, timeout=timeout)


@app.command()
@with_options
def adopt(
    here: Here,
    endpoint: EndpointArgument,
    group: Annotated[
        str | None, typer.Option("--group", help="Whose policy names it; the endpoint's name without.")
    ] = None,
) -> None:
    """Take over an endpoint that Modelgate did not make."""
    from modelgate_cli import instructing

    instructing.expect_policy_names(here.stack, group or endpoint, endpoint)
    _instruct(here, "adopt", group or endpoint)


@app.command()
@with_options
def retire(
    here: Here,
    group: GroupArgument,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="One that the group's policy no longer names.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 1800,
) -> None:
    """Delete a group's endpoint, until something is approved again."""
    from modelgate_cli import instructing

    if not yes:
        does = instructing.what_retiring_does(here.stack, group, endpoint)
        here.screen.confirm(does, f"Retire {endpoint or group}?")
    _instruct(here, "retire", group, endpoint=endpoint, wait=wait, timeout=timeout)


@app.command()
@with_options
def redrive(
    here: Here,
    queue: Annotated[
        _Queues, typer.Option("--queue", help="Failed invocations, undelivered events, or all.")
    ] = "all",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show them only.")] = False,  # noqa: FBT002
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
) -> None:
    """Send dead letters again: to the functions that failed on them, or that they never reached."""
    from modelgate_cli import redriving

    queues = tuple(each for each in redriving.OUTPUTS if queue in {each, "all"})
    with here.screen.progress() as progress:
        redriven = redriving.redrive(here.stack, queues, progress, dry_run=dry_run, limit=limit)
    redriving.show(redriven, here.screen)


@app.command()
@with_options
def invoke(
    here: Here,
    endpoint: EndpointArgument,
    body: Annotated[str | None, typer.Option("--body", help="The request.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", exists=True, dir_okay=False, help="The request.")
    ] = None,
    content_type: Annotated[str, typer.Option("--content-type")] = "text/csv",
    accept: Annotated[str | None, typer.Option("--accept")] = None,
) -> None:
    """Ask an endpoint, and print what the model answers."""
    from modelgate_cli import predicting

    request = predicting.request_body(body, file)
    answer = predicting.invoke(here.stack, endpoint, request, content_type, accept)
    here.screen.answer(answer.document(), answer.body)


@app.command()
@with_options
def transform(
    here: Here,
    group: GroupArgument,
    questions: Annotated[
        str, typer.Argument(metavar="INPUT", help="A file, a folder, or s3://BUCKET/PREFIX/.")
    ],
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="An approved one; the one that is live without.")
    ] = None,
    content_type: Annotated[
        str | None, typer.Option("--content-type", help="Of the input; what its names end in tells, without.")
    ] = None,
    split: Annotated[
        _Splits | None, typer.Option("--split", help="What a record is; a line of CSV, without.")
    ] = None,
    accept: Annotated[str | None, typer.Option("--accept", help="What the answers shall be.")] = None,
    join: Annotated[bool, typer.Option("--join", help="Put each record before its answer.")] = False,  # noqa: FBT002
    instance_type: Annotated[
        str | None, typer.Option("--instance-type", help="What it runs on; ml.m5.large without.")
    ] = None,
    instances: Annotated[int, typer.Option("--instances", min=1, help="How many share the input.")] = 1,
    run_name: Annotated[
        str | None, typer.Option("--run", help="The run's name; <date>-<time>-<short sha256> without.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", file_okay=False, help="The folder to bring the answers into.")
    ] = None,
    logs: Annotated[bool, typer.Option("--logs/--no-logs", help="Show the job's log.")] = False,  # noqa: FBT002
    wait: WaitOption = True,  # noqa: FBT002
    timeout: TimeoutOption = 86_400,
) -> None:
    """Have a version answer a file of questions, without an endpoint. Exits with 1 when that fails."""
    from datetime import UTC, datetime

    from modelgate_cli import transforming

    wanted = transforming.wanted(
        questions,
        version=version,
        content_type=content_type,
        split=split,
        accept=accept,
        join=join,
        instance_type=instance_type,
        count=instances,
    )
    if out is not None and not wait:
        raise Complaint("--out brings answers here, and --no-wait waits for none", "leave one out", USAGE)
    where = transforming.run_of(group, run_name, wanted.digest, datetime.now(UTC))
    transformed = transforming.transform(
        wanted, where, here.stack, here.screen, out=out, logs=logs, wait=wait, timeout=timeout
    )
    transforming.show(transformed, here.screen)


def _instruct(
    here: Here,
    what: What,
    group: str,
    version: int | None = None,
    *,
    endpoint: str | None = None,
    wait: bool = False,
    timeout: float = 0,
) -> None:
    from modelgate_cli import instructing

    told, after = instructing.tell(here.stack, what, group, version, endpoint)
    if wait:
        with here.screen.progress() as progress:
            told = instructing.follow_instruction(here.stack, told, after, progress, timeout=timeout)
    here.screen.result(asdict(told), *instructing.shown(told))


@container.callback()
def _container() -> None:
    """Containers of your own."""


@container.command()
@with_options
def check(
    here: Here,
    subject: Annotated[
        str, typer.Argument(metavar="IMAGE|DIR", help="An image, or a folder with a Dockerfile to build.")
    ],
    only: Annotated[
        _Halves | None, typer.Option("--only", help="For a container that does nothing else.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            exists=True,
            file_okay=False,
            help="A folder with a folder for each channel, or the files of the channel train.",
        ),
    ] = None,
    hyperparameter: Annotated[
        list[str] | None, typer.Option("--hyperparameter", metavar="NAME=VALUE")
    ] = None,
    bad_hyperparameter: Annotated[
        list[str] | None,
        typer.Option(
            "--bad-hyperparameter",
            metavar="NAME=VALUE",
            help="Training must fail with it; a word for a number, without.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", exists=True, help="A folder or model.tar.gz to serve, not what was trained."),
    ] = None,
    content_type: Annotated[str | None, typer.Option("--content-type", help="Of the request.")] = None,
    body: Annotated[str | None, typer.Option("--body", help="A request that it must answer.")] = None,
    expect: Annotated[
        str | None, typer.Option("--expect", help="A text that the answer must contain.")
    ] = None,
    environment: Annotated[list[str] | None, typer.Option("--environment", metavar="NAME=VALUE")] = None,
    instance_type: Annotated[
        str | None,
        typer.Option("--instance-type", help="Whose memory and CPUs it gets; ml.m5.large without."),
    ] = None,
    network: Annotated[bool, typer.Option("--network", help="It may need a network to serve.")] = False,  # noqa: FBT002
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", min=1, metavar="SECONDS", help="For a training, and for the start of serve."
        ),
    ] = None,
) -> None:
    """Run a container through what SageMaker demands of one, and say what is wrong. Needs Docker, and no AWS.

    What it is tried with comes from DIR/job.yaml where these options do not say it, or is made up.
    Exits with 1 when anything fails.
    """
    from container_check.trial import Given
    from modelgate_cli import checking, packing

    given = Given(
        data=data,
        hyperparameters=packing.pairs(hyperparameter or [], "--hyperparameter"),
        bad_hyperparameter=checking.bad_one(
            packing.pairs(bad_hyperparameter or [], "--bad-hyperparameter"), only
        ),
        environment=packing.pairs(environment or [], "--environment"),
        model=model,
        content_type=content_type,
        body=body,
        expect=expect,
        instance_type=instance_type,
        may_use_network=network,
        limits=checking.limits_of(timeout),
    )
    checking.show(checking.check(subject, given, checking.parts_of(only), here.screen), here.screen)


@local.callback()
def _local() -> None:
    """AWS on this machine."""


@local.command()
@with_options
def up(
    here: Here,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for one that is free.")] = 4566,
    template: Annotated[Path, typer.Option("--template")] = Path("template.yaml"),
    handlers: Annotated[
        Literal["process", "sam"],
        typer.Option(
            "--lambda",
            help="Where the functions run: in this process, or as make build has built them, in the "
            "containers of sam local start-lambda.",
        ),
    ] = "process",
) -> None:
    """Run the local cloud, until it is interrupted."""
    from modelgate_cli import local_cloud

    local_cloud.run(
        here.screen,
        template,
        port=port,
        region=here.region or "eu-central-1",
        stack=here.stack_name,
        handlers=handlers,
    )


def run() -> None:
    """The entry point."""
    # What is piped into head ends quietly when head has seen enough.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    app()


if __name__ == "__main__":
    run()
