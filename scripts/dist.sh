#!/bin/sh
# Packs what install.sh installs: caisson-VERSION.tar.xz, to be unpacked anywhere or below a prefix, and the Debian package. The same
# tree gives the same bytes, wherever it lies: the time in them is that of the last commit, or $SOURCE_DATE_EPOCH.
# usage: dist.sh FOLDER [XZ-LEVEL|none]   $MAINTAINER, "NAME <ADDRESS>", is who publishes the package.
set -eu
umask 022
cd "$(dirname "$0")/.."
folder=$1
level=${2:-6}
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C

mkdir -p "$folder"
work=$(mktemp -d "$folder/work-XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/caisson-$version
scripts/install.sh "$tree" >/dev/null
# What V8 compiles differs each time. Folders there are those of whoever unpacks this.
rm -f "$tree"/lib/caisson/out/*.cjs.compiled "$tree/lib/caisson/folders"
strip --strip-unneeded "$tree/lib/caisson/out/node" "$tree"/lib/caisson/out/native/*.node "$tree"/lib/caisson/out/native/*.so
node_modules/.bin/node scripts/licenses.ts >"$tree/share/doc/caisson/third-party.txt"

archive=caisson-$version.tar
tar --create --force-local --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --mode=go=rX,u+rw \
  --directory "$work" --file "$work/$archive" "caisson-$version"
scripts/deb.sh "$tree" "$version" "$work" "$level"
# xz cuts the blocks alike for any number of threads but one.
if [ "$level" != none ]; then xz "-$level" --threads=2 --block-size=24MiB "$work/$archive"; fi
mv "$work/$archive"* "$work"/*.deb "$folder/"
