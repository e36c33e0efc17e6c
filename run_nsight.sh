#!/bin/sh
# usage: sh run_nsight.sh [PRESET] [options of profile]
#
# Records each kernel's use of SMs and tensor cores with Nsight Compute. The same as
# sh script/profile.sh ncu.

set -eu
case ${1:-} in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
esac
exec sh "$(dirname -- "$0")/script/profile.sh" ncu "$@"
