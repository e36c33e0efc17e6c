#!/bin/sh
# usage: sh run_nvprof.sh [PRESET] [options of profile]
#
# Makes a timeline of training steps, recorded by Nsight Systems, which has replaced nvprof:
# sh script/profile.sh nsys.

set -eu
case ${1:-} in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
esac
exec sh "$(dirname -- "$0")/script/profile.sh" nsys "$@"
