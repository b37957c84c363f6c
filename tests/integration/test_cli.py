"""The command against a local cloud of the real template: as a person at a terminal, and as a program."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from typer.testing import CliRunner

from modelgate_cli.main import app
from tests.integration.terminal import POLICY, ROOT, Terminal, client, policy, process


def test_the_whole_way_of_a_group(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "roses")
    one, two = terminal.pack("one"), terminal.pack("two", accuracy=0.97)

    submitted = terminal.json("submit", one, "roses", "--name", "first")
    assert (submitted["status"], submitted["version"]) == ("registered", 1)
    assert submitted["checks"][0]["passed"] is True
    approved = terminal.json("approve", "roses", "1", "--note", "a beginning")
    assert (approved["outcome"], approved["live"], approved["endpoint"]) == ("live", 1, "roses")
    assert terminal.run("invoke", "roses", "--body", "5,3").stdout == "one says setosa to 5,3"

    assert terminal.json("submit", two, "roses")["version"] == 2
    assert terminal.json("approve", "roses", "2")["live"] == 2
    asked = terminal.run("invoke", "roses", "--json", given="5,3")
    assert json.loads(asked.stdout)["body"] == "two says setosa to 5,3"
    (status,) = terminal.json("status", "roses")["endpoints"]
    assert (status["desired"], status["live"], status["sagemaker"]) == (2, 2, "InService")
    assert status["attempt"] is None

    rejected = terminal.json("reject", "roses", "2", "--reason", "thorns")
    assert (rejected["outcome"], rejected["live"]) == ("gone back", 1)
    assert terminal.run("invoke", "roses", "--body", "5,3").stdout == "one says setosa to 5,3"
    (status,) = terminal.json("status", "roses")["endpoints"]
    assert "version 2, the last that was approved, is Rejected" in status["desired_because"]

    listed = terminal.json("versions", "roses")["versions"]
    assert [(each["version"], each["approval"]) for each in listed] == [(2, "Rejected"), (1, "Approved")]
    assert [each["serves"] for each in listed] == ["", "live, desired"]
    assert [each["description"] for each in listed] == ["thorns", "a beginning"]
    attempts = terminal.json("history", "roses")["attempts"]
    assert [(each["version"], each["outcome"], each["live"]) for each in attempts] == [
        (1, "live", False),
        (2, "live", False),
        (1, "live", True),
    ]
    releases = terminal.json("history", "roses", "--releases")["attempts"]
    assert releases == attempts
    assert all(each["approved_by"] and each["approved_at"] <= each["started_at"] for each in releases)
    assert terminal.json("plan", "roses")["steps"] == []


def test_people_are_shown_tables_and_words(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "lilies")
    shown = terminal.run("submit", terminal.pack("lily"), "lilies")
    assert "is registered as version 1" in shown.stdout
    assert "at least 0.9" in shown.stdout
    assert "is live on endpoint lilies" in terminal.run("approve", "lilies", "1").stdout
    assert "lilies: version 1 is desired: approved" in terminal.run("status").stdout
    assert "accuracy 0.95" in terminal.run("versions", "lilies").stdout
    assert "smoke test was answered" in terminal.run("history", "lilies").stdout
    already = terminal.run("approve", "lilies", "1")
    assert already.exit_code == 0
    assert "is live" in already.stdout
    kept = terminal.run("reject", "lilies", "1", "--reason", "no more")
    assert kept.exit_code == 1
    assert "keeps serving version 1" in kept.stderr


def test_a_refused_submission_says_every_reason_and_exits_with_1(
    terminal: Terminal, cloud: Mapping[str, Any]
) -> None:
    policy(cloud, "weeds")
    weed = terminal.pack("weed", accuracy=0.5)
    shown = terminal.run("submit", weed, "weeds", "--name", "a")
    assert shown.exit_code == 1
    assert "not met" in shown.stdout
    assert "accuracy is 0.5, not at least 0.9" in shown.stderr
    told = terminal.json("submit", weed, "weeds", "--name", "b", code=1)
    assert told["status"] == "refused"
    assert told["reasons"] == ["accuracy is 0.5, not at least 0.9"]
    assert told["error"]
    assert told["mend"]


def test_what_the_gate_would_refuse_is_not_uploaded(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "tulips")
    folder = Path(terminal.pack("tulip"))
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text() + "colour: red\n")
    (folder / "model.tar.gz").write_bytes(b"no gzip")
    told = terminal.json("submit", str(folder), "tulips", "--name", "bad", code=1)
    wheres = [each["where"] for each in told["problems"]]
    assert "manifest.yaml: colour" in wheres
    assert any(where.startswith("model.tar.gz") for where in wheres)
    assert (
        client(cloud, "s3").list_objects_v2(Bucket=cloud["Bucket"], Prefix="models/tulips/")["KeyCount"] == 0
    )


def test_a_metrics_file_goes_along(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "asters")
    folder = Path(terminal.pack("aster"))
    manifest = folder / "manifest.yaml"
    text = manifest.read_text().replace("metrics:\n  accuracy: 0.95\n", "metrics_file: evaluation.json\n")
    manifest.write_text(text)
    without = terminal.json("submit", str(folder), "asters", code=1)
    assert "evaluation.json" in without["error"]
    (folder / "evaluation.json").write_text('{"accuracy": 0.93}')
    assert terminal.json("submit", str(folder), "asters")["checks"][0]["found"] == 0.93


def test_a_model_is_served_as_a_folder_and_its_report_is_fetched(
    terminal: Terminal, cloud: Mapping[str, Any], tmp_path: Path
) -> None:
    policy(cloud, "mosses")
    out = terminal.pack("moss", "--artifact", "folder")
    assert terminal.json("inspect", f"{out}/model", "--framework", "sklearn")["kind"] == "folder"
    assert terminal.json("submit", out, "mosses", "--name", "first")["status"] == "registered"
    assert terminal.json("approve", "mosses", "1")["outcome"] == "live"
    page = tmp_path / "page.html"
    fetched = terminal.json("report", "mosses", "1", "--out", str(page))
    assert fetched["report"]["containers"][0]["artifact"]["kind"] == "folder"
    assert page.read_bytes().startswith(b"<!doctype html>")


def test_what_lies_in_the_bucket_is_inspected_where_it_is(
    terminal: Terminal, cloud: Mapping[str, Any]
) -> None:
    policy(cloud, "lichens")
    terminal.json("submit", terminal.pack("lichen"), "lichens", "--name", "first")
    url = f"s3://{cloud['Bucket']}/models/lichens/first/model.tar.gz"
    inspected = terminal.json("inspect", url, "--framework", "sklearn", "--version", "1.9-0")
    assert inspected["environment"]["SAGEMAKER_PROGRAM"] == "inference.py"
    refused = terminal.json("inspect", url, "--framework", "tensorflow", code=1)
    assert "saved_model.pb" in refused["error"]
    assert terminal.run("inspect", f"{url}x").exit_code != 0


def test_the_uri_of_an_image_is_printed_or_the_nearest_choices(terminal: Terminal) -> None:
    words = ("image-uri", "--framework", "sklearn", "--instance-type", "ml.m5.large", "--region", "eu-west-1")
    told = terminal.run(*words, "--version", "1.2-1")
    assert told.stdout.endswith(".dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3\n")
    unknown = terminal.run(*words, "--version", "1.3-1")
    assert unknown.exit_code == 2
    assert "1.2-1" in unknown.stderr


def test_a_part_of_a_submission_waits_for_the_rest(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "daisies")
    folder = Path(terminal.pack("daisy"))
    half = terminal.json("submit", str(folder / "model.tar.gz"), "daisies", "--name", "half")
    assert (half["status"], half["missing"]) == ("waiting", ["manifest.yaml"])
    whole = terminal.json("submit", str(folder / "manifest.yaml"), "daisies", "--name", "half")
    assert whole["status"] == "registered"
    again = terminal.json("submit", str(folder), "daisies", "--name", "half", code=1)
    assert "registered already, as version 1" in again["error"]


def test_a_version_that_fails_is_told_with_the_containers_words(
    terminal: Terminal, cloud: Mapping[str, Any]
) -> None:
    policy(cloud, "stones")
    out = terminal.pack("stone", "--expect", "granite")
    terminal.json("submit", out, "stones")
    failed = terminal.json("approve", "stones", "1", code=1)
    assert failed["outcome"] == "failed"
    assert "granite" in failed["error"]
    (listed,) = terminal.json("versions", "stones")["versions"]
    assert (listed["approval"], listed["serves"]) == ("Rejected", "")


def test_a_models_error_is_told_in_its_own_words(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "pebbles")
    terminal.json("submit", terminal.pack("pebble"), "pebbles")
    terminal.json("approve", "pebbles", "1")
    answer = terminal.run("invoke", "pebbles", "--body", "a stone")
    assert answer.exit_code == 1
    assert "a stone is no flower" in answer.stderr


def test_not_waiting_leaves_the_rest_to_the_stack(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "ferns")
    out = terminal.pack("fern")
    assert terminal.json("submit", out, "ferns", "--no-wait")["status"] == "uploaded"


def made_by_hand(cloud: Mapping[str, Any], name: str) -> None:
    """An endpoint with the model of the group's first version, made as anybody can make one."""
    sagemaker = client(cloud, "sagemaker")
    found = sagemaker.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
    package = sagemaker.describe_model_package(ModelPackageName=found[0]["ModelPackageArn"])
    (container,) = package["InferenceSpecification"]["Containers"]
    model = {key: container[key] for key in ("Image", "ModelDataUrl", "Environment")}
    sagemaker.create_model(ModelName=name, PrimaryContainer=model, ExecutionRoleArn=cloud["ExecutionRole"])
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    cloud["wish"]("all is quiet")


def test_what_an_operator_tells_an_endpoint_is_done(terminal: Terminal, cloud: Mapping[str, Any]) -> None:
    policy(cloud, "orchids")
    policy(cloud, "lotuses")
    terminal.json("submit", terminal.pack("orchid"), "orchids")
    made_by_hand(cloud, "orchids")
    foreign = terminal.json("approve", "orchids", "1", code=1)
    assert "modelgate adopt orchids" in foreign["mend"]
    another = terminal.json("adopt", "orchids", "--group", "lotuses", code=1)
    assert "the policy of the group lotuses names the endpoint lotuses" in another["error"]
    assert terminal.json("adopt", "orchids")["endpoint"] == "orchids"

    pinned = terminal.json("pin", "orchids", "1")
    assert (pinned["outcome"], pinned["live"]) == ("live", 1)
    refused = terminal.json("pin", "orchids", "7", code=1)
    assert "version 7 of orchids: is not in the registry" in refused["error"]
    assert "is frozen" in terminal.run("freeze", "orchids").stdout
    assert "frozen" in terminal.json("unpin", "orchids")["reason"]
    (status,) = terminal.json("status", "orchids")["endpoints"]
    assert (status["frozen"], status["pinned"], status["live"]) == (True, None, 1)
    assert terminal.json("unfreeze", "orchids", "--no-wait")["outcome"] == "told"

    asked = terminal.run("retire", "orchids", given="n\n")
    assert (asked.exit_code, asked.stdout) == (1, "")
    assert "What stays" in asked.stderr
    assert terminal.json("retire", "orchids", "--yes")["outcome"] == "deleted"
    (status,) = terminal.json("status", "orchids")["endpoints"]
    assert (status["sagemaker"], status["desired"]) == (None, None)
    assert status["retired_at"]


def test_dead_letters_are_sent_again(
    terminal: Terminal, cloud: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(cloud, "poppies")
    terminal.json("submit", terminal.pack("poppy"), "poppies")
    cloud["wish"]("approvals fail")
    terminal.json("approve", "poppies", "1", "--no-wait")
    cloud["wish"]("all is quiet")
    cloud["wish"]("all is well")
    seen = terminal.json("redrive", "--queue", "failed", "--dry-run", "--limit", "1")
    assert seen["to_be_sent"] == 1
    assert seen["messages"][0]["about"] == "poppies version 1 is Approved"
    assert "Throttled" in seen["messages"][0]["error"]
    assert "1 sent." in terminal.run("redrive", "--queue", "failed", "--limit", "1").stdout
    cloud["wish"]("all is quiet")
    (status,) = terminal.json("status", "poppies")["endpoints"]
    assert status["live"] == 1

    cloud["wish"]("a policy is lost")
    policy(cloud, "poppies", POLICY + "\ndeployment: {instances: {count: 2}}")
    cloud["wish"]("all is quiet")
    called = operations(monkeypatch)
    plan = terminal.json("plan", "poppies")
    assert [step["step"] for step in plan["steps"]] == ["Open", "MakeModel", "MakeConfig", "UpdateEndpoint"]
    assert called
    assert all(operation.startswith(("Get", "List", "Describe", "Query", "Head")) for operation in called)
    assert terminal.json("redrive", "--queue", "undelivered", "--limit", "1")["sent"] == 1
    cloud["wish"]("all is quiet")
    (status,) = terminal.json("status", "poppies")["endpoints"]
    assert (status["policy"]["standing"], status["live"]) == ("accepted", 1)
    assert terminal.json("plan", "poppies")["steps"] == []


def operations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that clients of this process call from now on."""
    called: list[str] = []
    client: Any = BaseClient
    call = client._make_api_call

    def noted(self: Any, operation_name: str, api_params: Any) -> Any:
        called.append(operation_name)
        return call(self, operation_name, api_params)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return called


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("versions unknown", 1, "no version of a group unknown"),
        ("approve unknown 1", 1, "no version 1 of unknown"),
        ("reject unknown 1 --reason x", 1, "no version 1 of unknown"),
        ("status unknown", 1, "no endpoint unknown"),
        ("history unknown", 1, "no endpoint unknown"),
        ("invoke unknown --body x", 1, "not found"),
        ("plan unknown", 1, "knows no group unknown"),
        ("freeze unknown", 1, "knows no group unknown"),
        ("retire unknown --yes", 1, "unknown has no endpoint"),
        ("--stack other status", 3, "no stack other"),
        ("status --stack other", 3, "no stack other"),
    ],
)
def test_what_is_not_there_is_one_line_and_a_mend(
    terminal: Terminal, command: str, code: int, words: str
) -> None:
    told = terminal.json(*command.split(), code=code)
    assert words in told["error"]
    assert told["mend"]


def test_a_cloud_that_does_not_answer_is_trouble(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    told = terminal.json("status", code=3)
    assert "AWS_ENDPOINT_URL" in told["mend"]


def test_the_local_cloud_comes_up_and_ends_when_it_is_told_to() -> None:
    modelgate = (sys.executable, "-m", "modelgate_cli.main")
    with process(*modelgate, "local", "up", "--port", "0", "--json") as up:
        assert up.stdout is not None
        # The document ends with the first brace that stands by itself.
        told = json.loads("".join(takewhile(lambda line: line != "}\n", up.stdout)) + "}")
        assert told["environment"]["AWS_ENDPOINT_URL"] == told["url"]
        assert {"Bucket", "Table", "Bus"} <= set(told["outputs"])
        port = told["url"].rpartition(":")[2]
        second = CliRunner().invoke(
            app, ["local", "up", "--port", port, "--template", str(ROOT / "template.yaml")]
        )
        assert second.exit_code == 1
        assert f"port {port} is taken" in second.stderr
        environment = told["environment"]
        s3 = boto3.client(
            "s3",
            endpoint_url=told["url"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        s3.put_object(Bucket=told["outputs"]["Bucket"], Key="policies/iris.yaml", Body=b"gate: {}")
        up.send_signal(signal.SIGTERM)
        out, err = up.communicate(timeout=20)
    assert up.returncode == 0, err
    assert out == ""
    assert "Object Created: policies/iris.yaml" in err
    assert "Traceback" not in err
