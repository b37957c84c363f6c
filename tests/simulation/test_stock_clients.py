"""A whole submission and approval with the stock AWS CLI, as an operator without our command would do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.simulation.chain import Chain, artifact, manifest


def aws(chain: Chain, *arguments: str) -> Any:
    """What the AWS CLI answers, in an environment that `modelgate local up` prints."""
    command = [str(Path(sys.executable).with_name("aws")), *arguments, "--output", "json"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **chain.cloud.environment()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout


def test_the_aws_cli_submits_approves_and_invokes(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(artifact("first"))
    (tmp_path / "manifest.yaml").write_bytes(manifest())
    (stack,) = aws(chain, "cloudformation", "describe-stacks", "--stack-name", "modelgate")["Stacks"]
    bucket = next(out["OutputValue"] for out in stack["Outputs"] if out["OutputKey"] == "Bucket")
    aws(
        chain,
        "s3",
        "cp",
        "--quiet",
        "--recursive",
        str(tmp_path),
        f"s3://{bucket}/models/{chain.group}/by-cli/",
    )
    chain.cloud.settle()
    (package,) = aws(chain, "sagemaker", "list-model-packages", "--model-package-group-name", chain.group)[
        "ModelPackageSummaryList"
    ]
    approval = ("--model-package-arn", package["ModelPackageArn"], "--model-approval-status", "Approved")
    aws(chain, "sagemaker", "update-model-package", *approval)
    chain.cloud.settle()
    (tmp_path / "row.csv").write_text("5.1,3.5")
    aws(
        chain,
        *(
            "sagemaker-runtime",
            "invoke-endpoint",
            "--endpoint-name",
            chain.group,
            "--content-type",
            "text/csv",
        ),
        *(
            "--content-type",
            "text/csv",
            "--body",
            f"fileb://{tmp_path / 'row.csv'}",
            str(tmp_path / "answer"),
        ),
    )
    assert (tmp_path / "answer").read_text() == "first says setosa to 5.1,3.5"
