#!/bin/sh
# Starts the program named like this file with the Node.js that Caisson was built with; follows symbolic links to itself.
self=$(readlink -f "$0")
home=${self%/bin/*}/out
# Without the flag SIGUSR1, which is the container's, would start the debugger.
exec "$home/node" --disable-sigusr1 "$home/caisson.cjs" "${self##*/}" "$@"
