#!/bin/sh
# Makes a root file system of a Debian release, from the mirror that this machine's apt uses.
# usage: root.sh RELEASE FOLDER PACKAGES   A package whose name ends with "?" need not exist in that release.
set -eu
release=$1
root=$2
mirror=$("$(dirname "$0")/../../scripts/mirror.sh")
sure=
maybe=
for package in $3; do
  case $package in *\?) maybe="$maybe ${package%\?}" ;; *) sure="$sure $package" ;; esac
done
mkdir -p "$(dirname "$root")"
rm -rf --one-file-system "$root.new"
# A mirror that stands still, as snapshots do, has lists whose week is over; they are signed all the same.
# shellcheck disable=SC2016 # $1 is the root, in the hook
mmdebstrap --variant=minbase --include="$sure" --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
  --customize-hook="for package in $maybe; do"' if chroot "$1" apt-cache show "$package" >/dev/null 2>&1
    then chroot "$1" apt-get install -q -y --no-install-recommends "$package"; fi; done' "$release" "$root.new" "$mirror"
rm -rf --one-file-system "$root"
mv "$root.new" "$root"
