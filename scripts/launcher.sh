#!/bin/sh
# Starts the program named like this file with the Node.js that Caisson was built with; follows symbolic links to itself.
self=$(readlink -f "$0")
home=${self%/bin/*}/out
exec "$home/node" "$home/caisson.cjs" "${self##*/}" "$@"
