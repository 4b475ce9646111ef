#!/bin/bash
# Set-user-ID and set-group-ID programs below $1, which a write by another user makes plain ones.
set -euo pipefail
folder=$1/set-user-id
mkdir "$folder"
cd "$folder"
as_user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
cp /usr/bin/id id
chown 1235:1236 id
chmod 6755 id
[ "$(as_user ./id -u):$(as_user ./id -g)" = 1235:1236 ]
# A write by another user takes these rights away.
chmod o+w id
as_user sh -c "echo >>id"
[ "$(stat --format=%a id)" = 757 ] || { stat --format=%a id; exit 1; }
[ "$(as_user ./id -u):$(as_user ./id -g)" = 1234:1234 ]
