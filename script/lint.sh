#!/bin/sh
# usage: sh script/lint.sh
#
# Mends the style of the code where a program can: sorts imports, removes unused ones, formats. Changes files.
#
# Exit status: 0; 1 if something is left to mend by hand.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

cd "$ROOT"
"$PYTHON" -m ruff format .
exec "$PYTHON" -m ruff check --fix .
