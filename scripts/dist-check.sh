#!/bin/sh
# Builds and packs two clones of the last commit, in different places and with different habits, and compares what they give.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d "${TMPDIR:-/var/tmp}/caisson-dist-XXXXXX")
trap 'rm -rf "$work"' EXIT
build() {
  git clone --quiet . "$2"
  (umask "$1" && make -C "$2" all man && "$2/scripts/dist.sh" "$2/out/dist" 1)
}
export LC_ALL=C.UTF-8 TZ=UTC
build 022 "$work/one"
export LC_ALL=C TZ=Asia/Tokyo
build 027 "$work/another path, and longer"
one=$work/one/out
other="$work/another path, and longer/out"
for file in "$one"/dist/*; do
  cmp "$file" "$other/dist/${file##*/}" || {
    diff --recursive --brief --exclude '*.compiled' --exclude cache "$one" "$other" >&2 || true
    exit 1
  }
  sha256sum "$file"
done
echo "Both clones give the same bytes."
