#!/bin/bash
# POSIX access lists of files below $1, and the default ones of folders.
set -euo pipefail
folder=$1/access-lists
mkdir "$folder"
cd "$folder"
as_user() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
refused() { if as_user "$@" >/dev/null 2>&1; then echo "uid 1234 may: $*"; exit 1; fi; }

echo secret >file
chmod 600 file
refused cat file
setfacl --modify=user:1234:r file
[ "$(as_user cat file)" = secret ]
refused sh -c "echo x >>file"
getfacl --omit-header --absolute-names file | grep -q -x user:1234:r--
mkdir shared
setfacl --modify=default:user:1234:rwx shared
echo x >shared/inherits
getfacl --omit-header --absolute-names shared/inherits | grep -q '^user:1234:rwx'
setfacl --remove-all file
refused cat file
