#!/bin/sh
# usage: sh run_nsight.sh [PRESET] [options of profile]
#
# Makes the use of SMs and tensor cores by each kernel, recorded by Nsight Compute:
# sh script/profile.sh ncu.

set -eu
case ${1:-} in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
esac
exec sh "$(dirname -- "$0")/script/profile.sh" ncu "$@"
