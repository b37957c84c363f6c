"""The peers whose start is compared with that of functions, as the package index has them.

Each is installed into an environment of its own below build/bench/peers, by its lock, with its byte code; the
second time it is there. Together they take 1 GB on disk, and half a minute to install.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import build
from bench import ROOT

_FOLDER = ROOT / "build" / "bench" / "peers"


@dataclass(frozen=True)
class Peer:
    """A program that people deploy models with from a function.

    Attributes:
        name: in the figures.
        package: at the package index.
        program: what it does until it could make its first call.
    """

    name: str
    package: str
    program: str

    @property
    def lock(self) -> Path:
        return ROOT / "requirements" / f"peers-{self.package}.txt"


PEERS = (
    Peer(
        "sagemaker_sdk_model",
        "sagemaker",
        """
import logging, warnings

logging.disable()
warnings.simplefilter("ignore")

import boto3
from sagemaker.model import Model
from sagemaker.session import Session

Model(
    image_uri="123456789012.dkr.ecr.eu-central-1.amazonaws.com/iris:1",
    model_data="s3://intake/model.tar.gz",
    role="arn:aws:iam::123456789012:role/execution",
    sagemaker_session=Session(boto3.Session(region_name="eu-central-1")),
)
""",
    ),
    Peer(
        "mlflow_client",
        "mlflow",
        """
from mlflow.deployments import get_deploy_client

get_deploy_client("sagemaker:/eu-central-1")
""",
    ),
)


class NotInstalledError(Exception):
    """A peer cannot be had here; the message says why."""


def installed(peer: Peer, python: Path) -> Path:
    """The interpreter of an environment that has the peer.

    Args:
        python: what it is to run on.

    Raises:
        NotInstalledError: it could not be installed.
    """
    folder = _FOLDER / peer.package
    into = folder / "bin" / "python"
    made_of = f"{python}\n{peer.lock.read_text()}"
    noted = folder / "made-of.txt"
    if noted.exists() and noted.read_text() == made_of:
        return into
    sys.stderr.write(f"cold_start: installs {peer.package}, which takes a minute\n")
    try:
        uv = str(build.uv())
    except build.BuildError as why:
        raise NotInstalledError(f"there is no uv here to install {peer.package}") from why
    _run(peer, uv, "venv", "--quiet", "--clear", "--python", str(python), str(folder))
    exactly = ("--require-hashes", "--compile-bytecode", "--python", str(into))
    _run(peer, uv, "pip", "sync", "--quiet", *exactly, str(peer.lock))
    noted.write_text(made_of)
    return into


def _run(peer: Peer, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)  # which may name the index, and figures are published
        raise NotInstalledError(f"{peer.package} could not be installed from the package index")
