#!/bin/sh
# A second name of docker/run-dev.sh, for those who know it from other benchmarks.
exec sh "$(dirname -- "$0")/run-dev.sh" "$@"
