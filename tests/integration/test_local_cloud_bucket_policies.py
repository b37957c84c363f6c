"""What a bucket's policy denies, to whom, and whom it lets through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud, TemplateError
from tests.integration.test_local_cloud_objects import allow, code
from tests.integration.test_local_cloud_permissions import CALLS_ANYTHING, call
from tests.integration.test_local_cloud_small_stack import TEMPLATE, small_stack, upload

POLICY = """
  InboxPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Inbox
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Deny
            Principal: "*"
            Action: [s3:PutObject, s3:DeleteObject, s3:DeleteObjectVersion]
            Resource: !Sub "${Inbox.Arn}/registered/*"
            Condition: {CONDITION}
Outputs:
"""


def guarded(condition: str) -> str:
    """The small stack with a policy that lets nobody but its function write what is registered."""
    return TEMPLATE.replace("Outputs:\n", POLICY.replace("CONDITION", condition).lstrip("\n"), 1)


def put_policy(cloud: LocalCloud, document: dict[str, Any]) -> None:
    """PutBucketPolicy on the inbox."""
    cloud.client("s3").put_bucket_policy(Bucket=cloud.outputs["Inbox"], Policy=json.dumps(document))


def test_only_the_role_that_a_policy_excepts_writes_what_it_guards(tmp_path: Path) -> None:
    condition = "ArnNotEquals: {aws:PrincipalArn: [!GetAtt WorkerRole.Arn]}"
    with small_stack(tmp_path, CALLS_ANYTHING, guarded(condition)) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        allow(cloud, ("s3:PutObject", "/registered/*"), ("s3:GetObject", "/*"))
        target = {"Bucket": bucket, "Key": "registered/a"}
        assert call(cloud, "s3", "put_object", **target, Body="by the function")["code"] == "ok"
        version = s3.head_object(**target)["VersionId"]
        upload(cloud, "elsewhere")

        source = {"Bucket": bucket, "Key": "elsewhere"}
        attempts: list[Callable[[], object]] = [
            lambda: s3.put_object(**target, Body=b"by the user"),
            lambda: s3.copy_object(**target, CopySource=source),
            lambda: s3.create_multipart_upload(**target),
            lambda: s3.delete_object(**target),
            lambda: s3.delete_object(**target, VersionId=version),
            lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "registered/a"}]}),
        ]
        for write in attempts:
            with pytest.raises(ClientError, match="explicit deny in a resource-based policy") as denied:
                write()
            assert code(denied) == (403, "AccessDenied")
        assert s3.get_object(**target)["Body"].read() == b"by the function"
        assert s3.list_object_versions(Bucket=bucket, Prefix="registered/")["Versions"][0]["IsLatest"]


def test_a_role_that_is_not_excepted_is_denied_whatever_it_is_allowed(tmp_path: Path) -> None:
    condition = "ArnNotEquals: {aws:PrincipalArn: !GetAtt ServingRole.Arn}"
    with small_stack(tmp_path, CALLS_ANYTHING, guarded(condition)) as cloud:
        allow(cloud, ("s3:PutObject", "/*"))
        target = {"Bucket": cloud.outputs["Inbox"], "Key": "registered/a", "Body": "x"}
        assert call(cloud, "s3", "put_object", **target)["code"] == "AccessDenied"
        assert call(cloud, "s3", "put_object", **{**target, "Key": "a"})["code"] == "ok"


def test_a_policy_may_name_whom_it_denies(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        role = cloud.client("iam").get_role(RoleName=cloud.function("Worker").role)["Role"]["Arn"]

        def deny(principal: Any) -> None:
            statement = {
                "Effect": "Deny",
                "Principal": principal,
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{bucket}/*",
            }
            put_policy(cloud, {"Statement": [statement]})

        upload(cloud, "in/a")
        cloud.settle()
        target = {"Bucket": bucket, "Key": "in/a"}
        deny({"AWS": role})
        assert call(cloud, "s3", "get_object", **target)["code"] == "AccessDenied"
        assert s3.get_object(**target)["Body"].read() == b"hello"
        deny({"AWS": "arn:aws:iam::123456789012:role/another"})
        assert call(cloud, "s3", "get_object", **target)["code"] == "ok"
        deny({"AWS": "arn:aws:iam::123456789012:root"})
        with pytest.raises(ClientError, match="explicit deny"):
            s3.get_object(**target)


def test_the_root_of_the_account_can_always_mend_a_policy(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        everything = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        put_policy(cloud, {"Statement": everything})
        with pytest.raises(ClientError, match="explicit deny"):
            s3.list_objects_v2(Bucket=bucket)
        s3.delete_bucket_policy(Bucket=bucket)
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_policy_that_cannot_be_evaluated_is_refused_when_it_is_put(tmp_path: Path) -> None:
    unknown: dict[str, dict[str, Any]] = {
        "the condition operator IpAddress": {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        "the policy element NotPrincipal": {"NotPrincipal": {"AWS": "*"}},
    }
    with small_stack(tmp_path) as cloud:
        for what, part in unknown.items():
            document = {"Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*", **part}]}
            with pytest.raises(ClientError, match=f"does not know {what}") as refused:
                put_policy(cloud, document)
            assert code(refused) == (400, "MalformedPolicy")


def test_a_template_whose_policy_cannot_be_evaluated_is_refused_by_its_name(tmp_path: Path) -> None:
    template = guarded("IpAddress: {aws:SourceIp: 10.0.0.0/8}")
    with (
        pytest.raises(TemplateError, match=r"InboxPolicy: .* IpAddress"),
        small_stack(tmp_path, template=template),
    ):
        pass
