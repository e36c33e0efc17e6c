#!/bin/sh
# usage: sh script/bench.sh [NAME] [options]
#
# Runs benchmarks/NAME.py, a script behind the figures of docs/RESULTS.md. Without NAME, lists them.
#
#   sh script/bench.sh throughput --preset mini --steps 5
#   sh script/bench.sh throughput --help

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if [ $# -eq 0 ]; then
    for path in "$ROOT"/benchmarks/[a-z]*.py; do
        printf '%-20s %s\n' "$(basename "$path" .py)" "$(sed -n '1s/^r\{0,1\}"""//p' "$path")"
    done
    exit
fi
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

if [ ! -f "$ROOT/benchmarks/$1.py" ]; then
    echo "error: $1: no such script in benchmarks/; sh script/bench.sh lists them" >&2
    exit 2
fi
script=$ROOT/benchmarks/$1.py
shift
exec "$PYTHON" "$script" "$@"
