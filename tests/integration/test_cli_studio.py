"""`modelgate studio` against a local cloud of the real template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.terminal import Terminal, client

DOMAIN = """
domain:
  authentication: iam
  network: {vpc: vpc-0a1b2c3d, subnets: [subnet-0a1b2c3d]}
"""
RESEARCH = f"""{DOMAIN}
  profile_settings: {{jupyterlab: {{lifecycle: [packages], idle_shutdown: 120}}}}
lifecycle_configurations:
  packages: {{app: JupyterLab, script: "pip install modelgate"}}
profiles: [{{name: ana, tags: {{office: berlin}}}}, {{name: ben}}]
spaces:
  private_for_each_profile: {{app: JupyterLab, storage_gb: 20, lifecycle: packages}}
  shared: [{{name: team, owner: ana, members: [ben], app: JupyterLab, storage_gb: 50}}]
"""


def written(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return str(path)


def test_from_a_file_to_a_domain_and_back(
    terminal: Terminal, cloud: Mapping[str, Any], tmp_path: Path
) -> None:
    path = written(tmp_path, "research", RESEARCH)
    planned = terminal.run("studio", "plan", path)
    assert planned.exit_code == 0, planned.output
    assert planned.stdout.endswith("7 to make; 5 wait for others.\n")
    applied = terminal.json("studio", "apply", path, "--yes")
    assert (applied["outcome"], applied["orphans"]) == ("settled", [])
    done = [each["step"] for record in applied["changes"] for each in record["done"]]
    assert done[1] == "make domain research"
    # A space is made as soon as its owner is in service, and ana may be that before ben.
    assert sorted(done[2:]) == [
        "make space ana-private",
        "make space ben-private",
        "make space team",
        "make user profile ana",
        "make user profile ben",
    ]
    assert done.index("make user profile ana") < done.index("make space ana-private")
    assert terminal.run("studio", "plan", "research").stdout == "No difference.\n"

    exported = terminal.run("studio", "export", "research")
    again = written(tmp_path, "research", exported.stdout)
    assert terminal.run("studio", "plan", again).stdout == "No difference.\n"
    rights = terminal.json("studio", "rights", "research")
    assert f"{applied['domain_id']}/team" in json.dumps(rights)
    assert terminal.run("studio", "open", "research", "ana").stdout.startswith("https://")

    sagemaker = client(cloud, "sagemaker")
    sagemaker.update_user_profile(
        DomainId=applied["domain_id"],
        UserProfileName="ben",
        UserSettings={"CodeEditorAppSettings": {"DefaultResourceSpec": {"InstanceType": "ml.m5.large"}}},
    )
    (seen,) = terminal.json("studio", "status", "research")["domains"]
    assert seen["drift"] is True
    assert [step["name"] for step in seen["difference"]["steps"]] == ["ben"]

    away = written(tmp_path, "research", "{prune: true, delete_home_file_system: true}")
    assert terminal.json("studio", "apply", away, "--yes")["outcome"] == "settled"
    listed = sagemaker.list_domains()["Domains"]
    assert "research" not in [each["DomainName"] for each in listed]


def test_a_domain_that_somebody_made_is_taken_over_with_what_was_exported(
    terminal: Terminal, cloud: Mapping[str, Any], tmp_path: Path
) -> None:
    role = "arn:aws:iam::123456789012:role/studio"
    made = client(cloud, "sagemaker").create_domain(
        DomainName="trials",
        AuthMode="IAM",
        VpcId="vpc-0a1b2c3d",
        SubnetIds=["subnet-0a1b2c3d"],
        DefaultSpaceSettings={"ExecutionRole": role},
        DefaultUserSettings={
            "ExecutionRole": role,
            "JupyterLabAppSettings": {"DefaultResourceSpec": {"InstanceType": "ml.m5.large"}},
        },
    )
    refused = terminal.run("studio", "plan", written(tmp_path, "trials", DOMAIN))
    assert refused.exit_code == 1
    assert "was not made by Modelgate" in refused.stderr

    path = str(tmp_path / "trials.yaml")
    exported = terminal.json("studio", "export", "trials", "--out", path)
    assert exported["domain_id"] in made["DomainArn"]
    shown = terminal.run("studio", "plan", path).stdout
    assert shown.endswith("No difference in settings; 1 is taken over.\n")
    assert terminal.json("studio", "apply", path, "--yes")["outcome"] == "settled"
    assert terminal.run("studio", "plan", "trials").stdout == "No difference.\n"
    assert "trials" in terminal.run("studio", "status").stdout


def test_a_domain_that_is_not_there_is_told_with_those_that_are(terminal: Terminal) -> None:
    told = terminal.json("studio", "export", "nowhere", code=1)
    assert told["error"].startswith("there is no domain nowhere in eu-central-1")
    assert "domains" in told
