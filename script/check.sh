#!/bin/sh
# usage: sh script/check.sh
#
# Checks style and types without changing a file: ruff, shellcheck, hadolint, mypy. `sh run_tests.sh` begins with it.
#
# Exit status: 0, or the status of the first program that found something.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

cd "$ROOT"
# pip puts shellcheck and hadolint there
PATH=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("scripts"))'):$PATH

"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
shellcheck --external-sources ./*.sh script/*.sh script/*.sbatch docker/*.sh .ci/run
hadolint docker/Dockerfile
exec "$PYTHON" -m mypy
