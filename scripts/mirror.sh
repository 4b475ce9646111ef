#!/bin/sh
# Prints the mirror of Debian that this machine's apt uses.
set -eu
mirror=$(apt-get indextargets --format "\$(SITE)" "Created-By: Packages" "Origin: Debian" "Component: main" | head -n 1)
[ -n "$mirror" ] || { echo "apt knows no mirror of Debian on this machine" >&2; exit 1; }
echo "$mirror"
