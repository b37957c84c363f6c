"""Stands in for ``sagemaker-scikit-learn``, which serves and trains with scripts only."""

from __future__ import annotations

import sys
from typing import Any

from localcloud.containers import arrays
from localcloud.containers.http_contract import Invocation, serve
from localcloud.containers.script_mode import invocation, script


def input_fn(body: bytes, content_type: str) -> Any:
    """The container's default."""
    array = arrays.decode(body, content_type)
    return array if arrays.media_type(content_type) in {arrays.CSV, arrays.JSON} else array.astype("float32")


def predict_fn(data: Any, model: Any) -> Any:
    """The container's default."""
    return model.predict(data)


def load() -> Invocation:
    """The model, ready to answer."""
    return invocation(script(), input_fn, predict_fn, arrays.encode)


def main(arguments: list[str]) -> None:
    """What the container does with its argument."""
    match arguments:
        case ["serve"]:
            serve(load)
        case ["train"]:
            from localcloud.containers.training import train

            sys.exit(train())
        case _:
            sys.exit("usage: python -m localcloud.containers.sklearn serve|train")


if __name__ == "__main__":
    main(sys.argv[1:])
