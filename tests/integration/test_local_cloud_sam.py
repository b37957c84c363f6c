"""What handlers in containers need, and what is told where it is not there. No test here needs an engine."""

from __future__ import annotations

import os
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloudError
from sam_local import CannotInvoke, function_at, logical_id
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack


def build(folder: Path, when: float) -> Path:
    """What `sam build` leaves behind, as if it had run then."""
    built = folder / ".aws-sam" / "build" / "template.yaml"
    built.parent.mkdir(parents=True)
    built.write_text(TEMPLATE.replace("CodeUri: worker/", "CodeUri: Worker"))
    os.utime(built, (when, when))
    return built


def test_functions_that_were_not_built_are_told_and_the_mend(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="with make build"), small_stack(tmp_path, handlers="sam"):
        pass


def test_a_source_that_is_newer_than_what_was_built_is_named(tmp_path: Path) -> None:
    build(tmp_path, when=0)
    with (
        pytest.raises(LocalCloudError, match=r"is newer than what was built: build again, with make build"),
        small_stack(tmp_path, handlers="sam"),
    ):
        pass


def test_without_an_engine_handlers_in_containers_are_refused_with_a_clear_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    build(tmp_path, when=2**32)
    with (
        pytest.raises(LocalCloudError, match="no Docker Engine answers"),
        small_stack(tmp_path, handlers="sam"),
    ):
        pass
    with small_stack(tmp_path) as again:  # the failed start has left nothing behind
        assert again.url.startswith("http://127.0.0.1:")


def test_make_invoke_gets_a_function_as_the_local_cloud_has_it_with_the_rights_of_its_role(
    tmp_path: Path,
) -> None:
    with small_stack(tmp_path) as cloud:
        function = function_at(cloud.url, "Worker")
        assert (function.environment["STACK"], function.timeout) == ("small", 30)
        given = function.credentials
        session = boto3.Session(given.access_key, given.secret_key, given.session_token, cloud.region)
        who = session.client("sts", endpoint_url=cloud.url).get_caller_identity()["Arn"]
        assert f":assumed-role/{cloud.function('Worker').role}/" in who
        with pytest.raises(ClientError, match="is not authorized to perform: s3:ListBucket"):
            session.client("s3", endpoint_url=cloud.url).list_objects_v2(Bucket=cloud.outputs["Inbox"])
        with pytest.raises(CannotInvoke, match="Function not found"):
            function_at(cloud.url, "Nobody")
        url = cloud.url
    with pytest.raises(CannotInvoke, match="no local cloud answers at"):
        function_at(url, "Worker")


def test_a_function_is_called_by_its_folder() -> None:
    assert logical_id("model_uploaded") == "ModelUploaded"
    with pytest.raises(CannotInvoke, match="there is no function nobody; there are approval_changed, "):
        logical_id("nobody")
