#!/bin/sh
# Starts the program named like this file by native/launch, with the Node.js that Caisson was built with; follows symbolic links to itself.
self=$0
home=${self%/bin/*}/out
# readlink is a millisecond of each verb. -p: the caller's PATH may be empty.
if [ -L "$0" ] || ! [ -e "$home/caisson.cjs" ]; then
  self=$(command -p readlink -f "$0")
  home=${self%/bin/*}/out
fi
case "${self##*/} $* " in
  "containerd-shim-caisson-v2 "*" start ") program=shim-start ;;
  *) program=launch ;;
esac
exec "$home/native/$program" "$home/node" "$home/caisson.cjs" "${self##*/}" "$@"
