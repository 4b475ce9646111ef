#!/bin/sh
# Makes an archive of a root file system with Debian packages of this machine's release, from the mirror that its apt uses.
# usage: rootfs.sh FILE PACKAGE ...
set -eu
file=$1
shift
mirror=$("$(dirname "$0")/../../scripts/mirror.sh")
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
packages=$(echo "$@" | tr ' ' ,)
mmdebstrap --quiet --variant=apt --format=tar --include="$packages" --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  "$release" - "$mirror" >"$file.new"
mv "$file.new" "$file"
