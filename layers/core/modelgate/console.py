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
    return f"{_host(partition, region)}/s3/object/{bucket}?region={region}&prefix={quote(key, safe='/')}"


def page_of_training_job(partition: str, region: str, name: str) -> str:
    """The page of a job in the SageMaker console."""
    return f"{_host(partition, region)}/sagemaker/home?region={region}#/jobs/{name}"


def page_of_transform_job(partition: str, region: str, name: str) -> str:
    """The page of a job in the SageMaker console."""
    return f"{_host(partition, region)}/sagemaker/home?region={region}#/transform-jobs/{name}"


def _host(partition: str, region: str) -> str:
    return f"https://{region}.{_CONSOLES.get(partition, 'console.aws.amazon.com')}"
