#!/bin/sh
# Removes what an installation's processes are restored from (runtime/process/snapshot.ts). usage: forget-snapshot.sh HOME
set -eu
program=$1/out/caisson.cjs
[ -e "$program" ] || exit 0
name=$(LC_ALL=C stat -c %d-%i-%.9Y "$program" | tr . -)
# What follows is of the root directory.
rm -f "/run/caisson-vm/snapshots/$name"-* "/dev/shm/caisson-vm/snapshots/$name"-*
