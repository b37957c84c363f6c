"""The Amazon SageMaker runtime: invoking endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelgate.aws.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

    from modelgate.submission import SmokeTest

# An answer is at most 25 MB; a smoke test is judged by its beginning.
_MAX_ANSWER_BYTES = 1024 * 1024


class SageMakerPredictions:
    """A `modelgate.ports.Predictions`."""

    def __init__(self, client: SageMakerRuntimeClient) -> None:
        self._client = client

    def invoke(self, endpoint: str, test: SmokeTest) -> str:
        accept: dict[str, Any] = {"Accept": test.accept} if test.accept else {}
        with translated("InvokeEndpoint"):
            answer = self._client.invoke_endpoint(
                EndpointName=endpoint, ContentType=test.content_type, Body=test.body.encode(), **accept
            )
            with answer["Body"] as stream:
                return stream.read(_MAX_ANSWER_BYTES).decode(errors="replace")
