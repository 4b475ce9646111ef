#!/bin/bash
# apt-get update and install from the mirror $MIRROR, with lists and archives below $1.
set -euo pipefail
folder=$1/mirror
mkdir --parents "$folder"/lists/partial "$folder"/archives/partial
chown _apt:root "$folder"/lists/partial "$folder"/archives/partial
echo "deb $MIRROR $(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release) main" >"$folder/sources"
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dir::Etc::SourceList="$folder/sources" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$folder/lists" \
		-o Dir::Cache::Archives="$folder/archives" -o APT::Get::List-Cleanup=0 "$@" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
	if grep '^[WE]:' "$folder/log"; then exit 1; fi
}
apt update
apt install --yes --no-install-recommends hello
[ "$(hello)" = "Hello, world!" ]
apt purge --yes hello
