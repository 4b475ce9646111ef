#!/bin/sh
# Installs those of the named Debian packages that are missing.
# usage: packages.sh PACKAGE ...   One whose name ends with "?" need not exist in this release.
set -eu
here=$(dirname "$0")
missing=
optional=
for package in "$@"; do
  name=${package%\?}
  # node and npm may come from elsewhere than Debian: what counts is that they are there.
  case $name in nodejs) command -v node >/dev/null && continue ;; npm) command -v npm >/dev/null && continue ;; esac
  status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
  if [ "$status" = installed ]; then continue; fi
  case $package in *\?) optional="$optional $name" ;; *) missing="$missing $name" ;; esac
done
if [ -n "$missing" ] && [ "$(id -u)" = 0 ]; then
  "$here/step.sh" "read Debian's package lists" apt-get update -q
fi
for name in $optional; do
  if apt-cache show "$name" >/dev/null 2>&1; then missing="$missing $name"; fi
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "these Debian packages are missing and only root can install them:$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of names
"$here/step.sh" "install$missing" apt-get install -q -y --no-install-recommends $missing
