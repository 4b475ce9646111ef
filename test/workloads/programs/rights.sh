#!/bin/bash
# What file systems keep about rights, below $1: capabilities, attributes, folders with set-group-ID and sticky bit.
set -euo pipefail
folder=$1/rights
mkdir "$folder"
cd "$folder"
as_user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
refused() { if as_user "$@" >/dev/null 2>&1; then echo "uid 1234 may: $*"; exit 1; fi; }
# A copy, since the package's own is on the root file system whatever $1 is.
cp --preserve=mode /usr/bin/ping ping
refused ./ping -c 1 -W 5 127.0.0.1
setcap cap_net_raw=ep ping
[ "$(getcap ping)" = "ping cap_net_raw=ep" ]
as_user ./ping -c 1 -W 5 127.0.0.1 >/dev/null
# A write takes a capability away.
echo >>ping
[ -z "$(getcap ping)" ]

# The package's own.
as_user ping -c 1 -W 5 127.0.0.1 >/dev/null

mkdir --mode=2775 group
chgrp 1236 group
chmod g+s group
touch group/file
[ "$(stat --format=%g group/file)" = 1236 ]
mkdir --mode=1777 sticky
touch sticky/roots
refused rm -f sticky/roots
setfattr --name=user.note --value=text group/file
[ "$(getfattr --only-values --name=user.note group/file)" = text ]
