#!/bin/sh
# Installs those of the named Debian packages that are missing.
# usage: packages.sh PACKAGE ...
set -eu
here=$(dirname "$0")
missing=
for package in "$@"; do
  # node and npm may come from elsewhere than Debian: what counts is that they are there.
  case $package in nodejs) command -v node >/dev/null && continue ;; npm) command -v npm >/dev/null && continue ;; esac
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "these Debian packages are missing and only root can install them:$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
"$here/step.sh" "read Debian's package lists" apt-get update -q
# shellcheck disable=SC2086 # a list of names
"$here/step.sh" "install$missing" apt-get install -q -y --no-install-recommends $missing
