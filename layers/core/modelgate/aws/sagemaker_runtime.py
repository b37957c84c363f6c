"""The Amazon SageMaker runtime: invoking endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

    from modelgate.manifest import SmokeTest

# An answer is at most 25 MB; a smoke test is judged by its beginning.
_MAX_ANSWER_BYTES = 1024 * 1024


class SageMakerPredictions:
    """A `modelgate.ports.Predictions`.

    Args:
        client: the client of the SageMaker runtime.
        bucket: the intake bucket's name, where asynchronous endpoints read and answer.
    """

    def __init__(self, client: SageMakerRuntimeClient, bucket: str) -> None:
        self._client = client
        self._bucket = f"s3://{bucket}/"

    def invoke(self, endpoint: str, test: SmokeTest) -> str:
        with translated("InvokeEndpoint"):
            answer = self._client.invoke_endpoint(
                EndpointName=endpoint,
                ContentType=test.content_type,
                Body=test.body.encode(),
                **_accepted(test),
            )
            with answer["Body"] as stream:
                return stream.read(_MAX_ANSWER_BYTES).decode(errors="replace")

    def ask(self, endpoint: str, test: SmokeTest, question: str, extension: str) -> tuple[str, str]:
        with translated("InvokeEndpointAsync"):
            answer = self._client.invoke_endpoint_async(
                EndpointName=endpoint,
                ContentType=test.content_type,
                InputLocation=self._bucket + question,
                S3OutputPathExtension=extension,
                **_accepted(test),
            )
        places = answer["OutputLocation"], answer.get("FailureLocation", "")
        return self._key(places[0]), self._key(places[1])

    def _key(self, url: str) -> str:
        return url.removeprefix(self._bucket)


def _accepted(test: SmokeTest) -> dict[str, Any]:
    return {"Accept": test.accept} if test.accept else {}
