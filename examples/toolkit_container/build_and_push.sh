#!/usr/bin/env bash
# Builds this folder in the stack's CodeBuild project and pushes the image; prints its URI with digest, last on stdout.
# What is given here is handed on to `modelgate build`: --repository trees, --build-arg BASE_IMAGE=…, --role ARN …
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
exec modelgate build "$here" --repository toolkit-container "$@"
