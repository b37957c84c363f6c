"""SAM CLI, as a command of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from localcloud.credentials import USER
from localcloud.errors import LocalCloudError

# The image of the runtime is pulled where it is missing; there is no need to ask for it each time.
OPTIONS = ("--skip-pull-image",)


def command() -> Path:
    """The `sam` of this interpreter's environment.

    Raises:
        LocalCloudError: it is not installed.
    """
    found = Path(sys.executable).with_name("sam")
    if not found.is_file():
        raise LocalCloudError(f"there is no {found}: install aws-sam-cli beside Modelgate, or use make setup")
    return found


def environment(url: str, region: str) -> dict[str, str]:
    """The variables for it: it asks the local cloud, whatever credentials there are, and through no proxy.

    Args:
        url: the local cloud's.
    """
    given: Mapping[str, str] = os.environ
    here = ",".join(filter(None, (given.get("NO_PROXY", given.get("no_proxy")), "localhost,127.0.0.1")))
    without = {name: value for name, value in given.items() if name not in {"AWS_PROFILE", "no_proxy"}}
    return {
        **without,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": USER.access_key,
        "AWS_SECRET_ACCESS_KEY": USER.secret_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": here,
        "SAM_CLI_TELEMETRY": "0",
    }


def is_failure(payload: object) -> bool:
    """Whether what came of an invocation is an error that Lambda tells, and not what the function returned.

    Neither the runtime's emulator nor SAM CLI says which of the two it is.
    """
    return isinstance(payload, dict) and {"errorType", "errorMessage"} <= payload.keys()
