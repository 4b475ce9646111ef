#!/bin/sh
# Starts the program named like this file with the Node.js that Caisson was built with; follows symbolic links to itself.
self=$0
home=${self%/bin/*}/out
# readlink is a millisecond of each verb. -p: the caller's PATH may be empty.
if [ -L "$0" ] || ! [ -e "$home/caisson.cjs" ]; then
  self=$(command -p readlink -f "$0")
  home=${self%/bin/*}/out
fi
# With fewer descriptors Node.js crashes before it runs a line of ours.
# shellcheck disable=SC3045 # dash, bash and busybox have both letters.
files=$(ulimit -Hn)
if [ "$files" != unlimited ] && [ "$files" -lt 32 ]; then
  echo "${self##*/}: the limit on open files (ulimit -Hn) is $files, and at least 32 are needed (CAISSON_E_HOST)" >&2
  exit 1
fi
# What creates a container has its daemon started at the same time, unless that has other streams, or a trace's file to wait for
# (runtime/control/early-daemon.ts decides, this only spares others a process).
case "${self##*/} $* " in
  *" --console-socket"* | *" --trace"* | *" --help "* | *" -h "*) ;;
  "caisson "*"create "* | "caisson "*"run "*) exec "$home/native/launch" "$home/node" "$home/caisson.cjs" "${self##*/}" "$@" ;;
esac
# Without the flag SIGUSR1, which is the container's, would start the debugger.
exec "$home/node" --disable-sigusr1 "$home/caisson.cjs" "${self##*/}" "$@"
