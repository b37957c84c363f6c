"""`make invoke`: one function with one event by `sam local invoke`, against a local cloud that runs already.

The function runs as it was built, in the container of its runtime, with the environment and the rights that
the local cloud gives it. What it logs goes to stderr; what it returns is the last that stands on stdout.
Exits with 1 if the function failed, and with 2 if it could not be called.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError
from samtranslator.yaml_helper import yaml_parse

from build import BuildError, build_if_outdated
from localcloud.credentials import USER, Credentials
from localcloud.engine import Engine
from localcloud.errors import LocalCloudError
from localcloud.sam import cli
from localcloud.sam.derived import ContainerFunction, built_template, derive
from localcloud.sam.doorway import Doorway

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "template.yaml"
URL = "http://127.0.0.1:4566"


class CannotInvoke(Exception):
    """The function cannot be called. The message says why, and the mend."""


def logical_id(folder: str) -> str:
    """The function whose code lies in functions/<folder>.

    Raises:
        CannotInvoke: there is none.
    """
    resources = yaml_parse(TEMPLATE.read_text())["Resources"]
    folders = {
        Path(resource["Properties"]["CodeUri"]).name: name
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    if folder not in folders:
        raise CannotInvoke(f"there is no function {folder}; there are {', '.join(sorted(folders))}")
    return str(folders[folder])


def function_at(url: str, name: str) -> ContainerFunction:
    """A function as a local cloud has it, with credentials of its role.

    Raises:
        CannotInvoke: no local cloud answers there, or it has no such function.
    """
    # The local cloud does not look at the region that a client signs for; the function's own is in its ARN.
    session = boto3.Session(USER.access_key, USER.secret_key, region_name="eu-central-1")
    # It answers soon or never, and no proxy knows it.
    config = Config(connect_timeout=5, read_timeout=65, retries={"total_max_attempts": 1}, proxies={})
    told: Any
    try:
        told = session.client("lambda", endpoint_url=url, config=config).get_function_configuration(
            FunctionName=name
        )
        sts = session.client("sts", endpoint_url=url, config=config)
        given = sts.assume_role(RoleArn=told["Role"], RoleSessionName=told["FunctionName"])["Credentials"]
    except (EndpointConnectionError, HTTPClientError) as error:
        raise CannotInvoke(f"no local cloud answers at {url}: start one with make local") from error
    except ClientError as error:
        raise CannotInvoke(f"the local cloud at {url} refuses: {error}") from error
    logging = told["LoggingConfig"]
    return ContainerFunction(
        logical_id=name,
        region=told["FunctionArn"].split(":")[3],
        environment=told["Environment"]["Variables"],
        timeout=told["Timeout"],
        log_group=logging["LogGroup"],
        log_stream="sam-local-invoke",
        json_logs=logging["LogFormat"] == "JSON",
        credentials=Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]),
    )


def invoke(folder: str, event: Path, url: str = URL) -> str:
    """Invokes; the JSON of what the function returned, or of how it failed.

    Raises:
        CannotInvoke: SAM could not run it.
        LocalCloudError: there is no engine, or no build.
    """
    name = logical_id(folder)
    function = function_at(url, name)
    with tempfile.TemporaryDirectory(prefix="modelgate-sam-") as scratch:
        engine = Engine()
        try:
            with Doorway(engine, urlsplit(url).port or 80) as doorway:
                built = built_template(TEMPLATE)
                told = derive(built, [function], Path(scratch), url=doorway.url)
                done = subprocess.run(
                    [cli.command(), "local", "invoke", name, "--event", event.resolve(), *told, *cli.OPTIONS],
                    env=cli.environment(url, function.region),
                    cwd=scratch,
                    stdout=subprocess.PIPE,
                    text=True,
                    check=False,
                )
        finally:
            engine.close()
    if done.returncode != 0:
        raise CannotInvoke(f"sam local invoke ended with {done.returncode}; what it says stands above")
    return done.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make invoke", description=__doc__.partition("\n")[0])
    parser.add_argument("function", help="the name of its folder in functions/")
    parser.add_argument("event", type=Path, help="a file in events/<function>/")
    parser.add_argument("--url", default=URL, help="the local cloud's; %(default)s if it is not given")
    told = parser.parse_args()
    if not told.event.is_file():
        parser.error(f"there is no file {told.event}")
    try:
        build_if_outdated()
        result = invoke(told.function, told.event, told.url)
    except (CannotInvoke, LocalCloudError, BuildError) as error:
        sys.stderr.write(f"invoke: {error}\n")
        return 2
    sys.stderr.flush()
    sys.stdout.write(f"{result}\n")
    try:
        failed = cli.is_failure(json.loads(result))
    except ValueError:  # what the runtime says when the function ran into its time limit
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
