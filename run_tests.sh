#!/bin/sh
# usage: sh run_tests.sh [--quick] [pytest options]
#
# Checks style and types, then runs the quick tests, then the slow ones, which run the benchmark end to end.
#
#   sh run_tests.sh                    everything but the tests of the image
#   sh run_tests.sh --quick            without the slow tests
#   sh run_tests.sh -m image           the Dockerfile step by step in a clean Debian; takes 4 to 7 minutes, 9 GB of disk
#                                      and the network
#   sh run_tests.sh -k manifest        style and types, then pytest with these options; paths are relative to the
#                                      repository
#
# Exit status: 0, or the status of the first part that failed.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

sh "$ROOT/script/check.sh"
cd "$ROOT"
quick() {
    # A process for each core, up to 8, each of which computes in one thread. The tests of a file share their fixtures.
    OMP_NUM_THREADS=1 "$PYTHON" -m pytest -m "not slow" --numprocesses auto --maxprocesses 8 --dist loadfile "$@"
}
if [ "${1:-}" = --quick ]; then
    shift
    quick "$@"
    exit
fi
if [ $# -gt 0 ]; then
    exec "$PYTHON" -m pytest "$@"
fi
quick
"$PYTHON" -m pytest -m "slow and not image"
