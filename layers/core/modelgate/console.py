"""Where people find things in the AWS console."""

from __future__ import annotations

from urllib.parse import quote

# AWS General Reference, "AWS Management Console": each partition has its own.
_CONSOLES = {
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}


def page_of_object(partition: str, region: str, bucket: str, key: str) -> str:
    """The page of an object in the S3 console, which asks for a sign-in and keeps to its permissions."""
    host = _CONSOLES.get(partition, "console.aws.amazon.com")
    return f"https://{region}.{host}/s3/object/{bucket}?region={region}&prefix={quote(key, safe='/')}"
