"""The data of a model: where it lies in S3, whether it can be read, and how it comes into /opt/ml/model.

"S3ModelDataSource" in the Amazon SageMaker API Reference. An archive is unpacked; an object, and the objects
under a prefix, are laid down as they are.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import ClientError

from localcloud.errors import ServiceError, invalid
from modelgate.artifacts.inspection import inspect
from modelgate.errors import Refused

Kind = Literal["archive", "object", "prefix"]

_KINDS: Mapping[tuple[str, str], Kind] = {
    ("S3Object", "Gzip"): "archive",
    ("S3Object", "None"): "object",
    ("S3Prefix", "None"): "prefix",
}
_NOT_SIMULATED = ("ManifestS3Uri", "HubAccessConfig")
_LONGEST_NAME = 255


class ModelDataError(Exception):
    """The data cannot be read, or cannot be laid down. The message is SageMaker's."""


@dataclass(frozen=True)
class ModelData:
    """Where the data of a model lies.

    Attributes:
        url: ``s3://bucket/key``; of a prefix, it ends with a slash.
        by_source: whether it was given as a ModelDataSource, which not everything takes.
    """

    url: str
    kind: Kind
    by_source: bool

    @property
    def place(self) -> tuple[str, str]:
        """The bucket, and the key or the prefix in it."""
        bucket, _, key = self.url.removeprefix("s3://").partition("/")
        return bucket, key


def model_data(container: Mapping[str, Any]) -> ModelData | None:
    """The data that a container of a model or of a package names; None if it names none.

    Raises:
        ServiceError: SageMaker refuses it. The words are ours.
    """
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    archive = container.get("ModelDataUrl")
    if source is None:
        return ModelData(archive, "archive", by_source=False) if archive else None
    if archive:
        raise invalid("ModelDataUrl and ModelDataSource cannot both be given for a container.")
    for member in _NOT_SIMULATED:
        if source.get(member):
            raise ServiceError("NotImplemented", f"{member} is not simulated in the local cloud.", 501)
    kind = _KINDS.get((source["S3DataType"], source["CompressionType"]))
    if kind is None:
        raise invalid("S3DataType S3Prefix needs CompressionType None: what lies under it is not compressed.")
    if kind == "prefix" and not source["S3Uri"].endswith("/"):
        raise invalid(f"S3Uri {source['S3Uri']} must end with a slash, because S3DataType is S3Prefix.")
    return ModelData(source["S3Uri"], kind, by_source=True)


class ModelDataReader:
    """Reads the data of models, with the eyes of their execution roles.

    Args:
        client_of: a boto3 client with the rights of a role, by its ARN.
    """

    def __init__(self, region: str, client_of: Callable[[str, str], Any]) -> None:
        self._region = region
        self._client_of = client_of

    def complaint_about(self, data: ModelData, role: str) -> str | None:
        """Why a role cannot read the data; None if it can."""
        s3, (bucket, _) = self._client_of(role, "s3"), data.place
        try:
            keys = list(_keys(s3, data))
            for key in keys:
                s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            keys = []
        return None if keys else self._no_access(data, role)

    def lay_down(self, data: ModelData, role: str, folder: Path) -> None:
        """Put the data into a folder that is empty.

        Raises:
            ModelDataError: it cannot be read, or is not what SageMaker takes.
        """
        s3, (bucket, start) = self._client_of(role, "s3"), data.place
        try:
            if data.kind == "archive":
                with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
                    s3.download_fileobj(bucket, start, archive)
                    archive.flush()
                    _unpack(data, Path(archive.name), folder)
                return
            keys = list(_keys(s3, data))
            if not keys:
                raise ModelDataError(self._no_access(data, role))
            cut = len(start) if data.kind == "prefix" else start.rfind("/") + 1
            for key in keys:
                file = folder.joinpath(*_names(data, key[cut:]))
                file.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, key, str(file))
        except ClientError as error:
            raise ModelDataError(self._no_access(data, role)) from error
        except OSError as error:
            raise ModelDataError(f"Failed to lay down the model data at {data.url}: {error}") from error

    def _no_access(self, data: ModelData, role: str) -> str:
        return (
            f'Could not access model data at {data.url}. Please ensure that the role "{role}" exists and '
            'that its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and '
            f"that the object is located in {self._region}."
        )


def _keys(s3: Any, data: ModelData) -> Iterator[str]:
    """The objects that the data is made of."""
    bucket, key = data.place
    if data.kind != "prefix":
        yield key
        return
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        yield from (item["Key"] for item in page.get("Contents", []))


def _names(data: ModelData, path: str) -> list[str]:
    """The folders and the file of a path, if all of them can be names."""
    names = path.split("/")
    for name in names:
        if not name.strip() or name in {".", ".."} or "\0" in name or len(name.encode()) > _LONGEST_NAME:
            raise ModelDataError(f"{path!r} of {data.url} cannot be a file: {name!r} is no name of one.")
    return names


def _unpack(data: ModelData, archive: Path, folder: Path) -> None:
    try:
        # Pythons before 3.11.4 have no extraction filters, so the gate's own inspection looks first:
        # it follows links as the kernel would, and nothing may land outside the folder.
        with archive.open("rb") as stream:
            inspect(stream)
        with tarfile.open(archive, "r:gz") as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder)  # noqa: S202 - inspected above
    except (Refused, tarfile.TarError, OSError, EOFError) as error:
        raise ModelDataError(
            f"Failed to extract model data archive from URL {data.url}: {error}. "
            "Please ensure that it is a gzipped tar archive."
        ) from error
