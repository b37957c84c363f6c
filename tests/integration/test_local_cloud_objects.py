"""The S3 of the local cloud, where moto's is not AWS's: parts of objects, copies and multipart uploads."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.integration.test_local_cloud_permissions import CALLS_ANYTHING, call
from tests.integration.test_local_cloud_small_stack import small_stack, upload

MEGABYTE = 1024 * 1024
# As small as S3 lets all parts but the last be.
PART = 5 * MEGABYTE
TAIL = b"the tail"


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    """The status and the code of an error."""
    told: Any = error.value.response
    return told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"]


def created(cloud: LocalCloud) -> list[tuple[str, str, str]]:
    """Key, version and reason of what S3's events told."""
    return [
        (event["detail"]["object"]["key"], event["detail"]["object"]["version-id"], event["detail"]["reason"])
        for event in cloud.events_seen
        if event["detail-type"] == "Object Created"
    ]


def allow(cloud: LocalCloud, *permissions: tuple[str, str]) -> None:
    """Let the function do something with the inbox: an action, and where in it, each."""
    bucket = f"arn:aws:s3:::{cloud.outputs['Inbox']}"
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": bucket + place} for action, place in permissions
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    role = cloud.function("Worker").role
    cloud.client("iam").put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=document)


def test_a_part_of_a_version_is_read_with_its_place_and_only_while_it_is_that_version(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        first = upload(cloud, "a", b"0123456789")
        upload(cloud, "a", b"abcdefghij")
        etag = s3.head_object(Bucket=bucket, Key="a", VersionId=first)["ETag"]
        asked = {"Bucket": bucket, "Key": "a", "VersionId": first, "IfMatch": etag}

        part = s3.get_object(**asked, Range="bytes=2-4")
        assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert (part["ContentRange"], part["ContentLength"]) == ("bytes 2-4/10", 3)
        assert (part["VersionId"], part["ETag"], part["Body"].read()) == (first, etag, b"234")
        assert s3.get_object(**asked, Range="bytes=-3")["Body"].read() == b"789"
        assert s3.get_object(**asked, Range="bytes=7-99")["Body"].read() == b"789"

        with pytest.raises(ClientError) as other:
            s3.get_object(Bucket=bucket, Key="a", Range="bytes=2-4", IfMatch=etag)
        with pytest.raises(ClientError) as beyond:
            s3.get_object(**asked, Range="bytes=10-")
        with pytest.raises(ClientError) as missing:
            s3.get_object(Bucket=bucket, Key="a", VersionId="none", Range="bytes=2-4")
    assert code(other) == (412, "PreconditionFailed")
    assert code(beyond) == (416, "InvalidRange")
    assert code(missing) == (404, "NoSuchVersion")


def test_parts_of_a_large_object_are_read_at_once_and_without_the_rest_of_it(tmp_path: Path) -> None:
    content = b"".join(bytes([number]) * MEGABYTE for number in range(20))
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        version = upload(cloud, "large", content)

        def part(number: int) -> bytes:
            place = f"bytes={number * MEGABYTE}-{(number + 1) * MEGABYTE - 1}"
            body = s3.get_object(Bucket=bucket, Key="large", VersionId=version, Range=place)["Body"]
            return bytes(body.read())

        with ThreadPoolExecutor(4) as pool:
            assert b"".join(pool.map(part, range(20))) == content
        tracemalloc.start()
        part(3)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < len(content) / 2
        assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == content


def test_a_version_is_copied_once_and_only_under_its_conditions(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        key = "in/a b+c%20d ü?versionId=x"
        first = upload(cloud, key, b"first")
        upload(cloud, key, b"second")
        etag = s3.head_object(Bucket=bucket, Key=key, VersionId=first)["ETag"]
        source = {"Bucket": bucket, "Key": key, "VersionId": first}

        def copy(**more: Any) -> dict[str, Any]:
            answer: dict[str, Any] = s3.copy_object(Bucket=bucket, Key="kept", CopySource=source, **more)
            return answer

        made = copy(CopySourceIfMatch=etag, IfNoneMatch="*")
        assert made["CopySourceVersionId"] == first
        assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"first"
        conditions = {
            "x-amz-copy-source-If-Match": {"CopySourceIfMatch": '"other"'},
            "x-amz-copy-source-If-None-Match": {"CopySourceIfNoneMatch": etag},
            "If-None-Match": {"IfNoneMatch": "*"},
            "If-Match": {"IfMatch": '"other"'},
        }
        for name, condition in conditions.items():
            with pytest.raises(ClientError) as unmet:
                copy(**condition)
            assert code(unmet) == (412, "PreconditionFailed")
            error: Any = unmet.value.response["Error"]
            assert error["Condition"] == name
        source["VersionId"] = "none"
        with pytest.raises(ClientError) as missing:
            copy()
        assert code(missing) == (404, "NoSuchVersion")
        assert created(cloud)[2:] == [("kept", made["VersionId"], "CopyObject")]


def test_a_version_is_copied_in_parts_and_announced_once(tmp_path: Path) -> None:
    content = b"x" * PART + TAIL
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        version = upload(cloud, "large", content)
        upload(cloud, "large", b"another")
        target = {"Bucket": bucket, "Key": "kept"}
        multipart = s3.create_multipart_upload(**target, Metadata={"sha256": "abc"})["UploadId"]

        def copy(number: int, place: str, **more: Any) -> str:
            answer = s3.upload_part_copy(
                **target,
                UploadId=multipart,
                PartNumber=number,
                CopySource={"Bucket": bucket, "Key": "large", "VersionId": version},
                CopySourceRange=f"bytes={place}",
                **more,
            )
            return str(answer["CopyPartResult"]["ETag"])

        etags = [copy(1, f"0-{PART - 1}"), copy(2, f"{PART}-{len(content) - 1}")]
        with pytest.raises(ClientError, match=f"not valid for source object of size: {len(content)}"):
            copy(3, f"0-{len(content)}")
        with pytest.raises(ClientError, match="must be of the form bytes=first-last"):
            copy(3, "5-")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            copy(3, "0-9", CopySourceIfMatch='"other"')

        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        completion = {**target, "UploadId": multipart, "MultipartUpload": {"Parts": parts}}
        made = s3.complete_multipart_upload(**completion)
        again = s3.complete_multipart_upload(**completion)

        told = s3.head_object(**target, VersionId=made["VersionId"])
        assert (told["ETag"], told["Metadata"]) == (made["ETag"], {"sha256": "abc"})
        assert again["VersionId"] == made["VersionId"]
        assert s3.get_object(**target)["Body"].read() == content
        assert created(cloud)[2:] == [("kept", made["VersionId"], "CompleteMultipartUpload")]


def test_an_upload_that_was_aborted_takes_no_parts(tmp_path: Path) -> None:
    with small_stack(tmp_path) as cloud:
        s3, bucket = cloud.client("s3"), cloud.outputs["Inbox"]
        upload(cloud, "a")
        target = {"Bucket": bucket, "Key": "kept"}
        target["UploadId"] = s3.create_multipart_upload(**target)["UploadId"]
        s3.abort_multipart_upload(**target)
        source = {"Bucket": bucket, "Key": "a"}
        parts = {"Parts": [{"PartNumber": 1, "ETag": '"e"'}]}
        attempts: list[Callable[[], object]] = [
            lambda: s3.upload_part(**target, PartNumber=1, Body=b"x"),
            lambda: s3.upload_part_copy(**target, PartNumber=1, CopySource=source),
            lambda: s3.complete_multipart_upload(**target, MultipartUpload=parts),
            lambda: s3.abort_multipart_upload(**target),
        ]
        for take in attempts:
            with pytest.raises(ClientError) as gone:
                take()
            assert code(gone) == (404, "NoSuchUpload")
        cloud.settle()
        assert len(created(cloud)) == 1


def test_copies_lists_and_uploads_need_permissions_on_what_they_touch(tmp_path: Path) -> None:
    with small_stack(tmp_path, CALLS_ANYTHING) as cloud:
        bucket, version = cloud.outputs["Inbox"], upload(cloud, "out/a")
        source, kept = (
            {"Bucket": bucket, "Key": "out/a", "VersionId": version},
            {"Bucket": bucket, "Key": "kept/a"},
        )
        allow(cloud, ("s3:PutObject", "/kept/*"))
        copy = {**kept, "CopySource": source}
        denied = call(cloud, "s3", "copy_object", **copy)
        assert f"perform: s3:GetObjectVersion on resource: arn:aws:s3:::{bucket}/out/a" in denied["message"]

        multipart = cloud.client("s3").create_multipart_upload(**kept)["UploadId"]
        part = {**copy, "UploadId": multipart, "PartNumber": 1}
        assert "s3:GetObjectVersion" in call(cloud, "s3", "upload_part_copy", **part)["message"]
        abort = {**kept, "UploadId": multipart}
        assert "s3:AbortMultipartUpload" in call(cloud, "s3", "abort_multipart_upload", **abort)["message"]
        versions = {"Bucket": bucket, "Prefix": "out/"}
        assert "s3:ListBucketVersions" in call(cloud, "s3", "list_object_versions", **versions)["message"]
        removal = {"Objects": [{"Key": "out/a", "VersionId": version}]}
        denied = call(cloud, "s3", "delete_objects", Bucket=bucket, Delete=removal)
        assert "s3:DeleteObjectVersion" in denied["message"]

        allow(
            cloud,
            ("s3:GetObjectVersion", "/out/*"),
            ("s3:PutObject", "/kept/*"),
            ("s3:AbortMultipartUpload", "/kept/*"),
            ("s3:ListBucketVersions", ""),
        )
        assert call(cloud, "s3", "copy_object", **copy)["code"] == "ok"
        assert call(cloud, "s3", "upload_part_copy", **part)["code"] == "ok"
        assert call(cloud, "s3", "abort_multipart_upload", **abort)["code"] == "ok"
        assert call(cloud, "s3", "list_object_versions", **versions)["code"] == "ok"
        # The tags of what is copied would come along.
        cloud.client("s3").put_object_tagging(**source, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        denied = call(cloud, "s3", "copy_object", **copy)
        assert f"s3:GetObjectVersionTagging on resource: arn:aws:s3:::{bucket}/out/a" in denied["message"]
        assert call(cloud, "s3", "copy_object", **copy, TaggingDirective="REPLACE")["code"] == "ok"
        # Who may not list the bucket is not told what is missing.
        gone = {**kept, "CopySource": {**source, "Key": "out/gone"}}
        assert call(cloud, "s3", "copy_object", **gone)["code"] == "AccessDenied"
