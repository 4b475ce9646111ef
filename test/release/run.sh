#!/bin/sh
# Runs make with the checkout as it is, in a root file system of a Debian release, which is made unless it is there.
# usage: run.sh ROOT RELEASE PACKAGES [MAKE'S ARGUMENTS ...]
set -eu
cd "$(dirname "$0")/../.."
root=$1
release=$2
packages=$3
shift 3
if [ "$(cat "$root/packages" 2>/dev/null)" != "$packages" ]; then
  scripts/step.sh "make a root of $release" test/release/root.sh "$release" "$root" "$packages"
  printf '%s\n' "$packages" >"$root/packages"
fi
# What was built in it before is built anew only where it must be.
checkout=$root/root/caisson
mkdir -p "$checkout/out"
files=$(mktemp)
trap 'rm -f "$files"' EXIT
git ls-files --cached --others --exclude-standard | sort >"$files"
(cd "$checkout" && find . \( -path ./out -o -path ./bin -o -path ./node_modules -o -name generated \) -prune -o -type f -printf '%P\n') |
  sort | comm -13 "$files" - | (cd "$checkout" && xargs -r -d '\n' rm -f)
tar --create --files-from="$files" --ignore-failed-read 2>/dev/null | tar --extract --directory "$checkout"
rm -f "$files"
cp -au node_modules "$checkout/"
touch "$checkout/out/.packages" "$checkout/out/.npm"
# shellcheck disable=SC2016 # expanded in there
exec test/release/enter.sh "$root" sh -c 'cd /root/caisson && PATH=$PWD/node_modules/.bin:$PATH && exec make "$@"' make "$@"
