#!/bin/bash
# apt-get update and install from a repository below $1, which apt reads as its own user; dpkg with files of several owners.
set -euo pipefail
folder=$1/packages
entries=${2:-200}
mkdir "$folder"
chmod 755 "$folder"
cd "$folder"
for name in library program; do
	mkdir -p $name/DEBIAN $name/usr/share/workload-$name $name/usr/bin
	for ((n = 1; n <= entries / 2; n++)); do echo "$name $n" >"$name/usr/share/workload-$name/$n"; done
	cat >$name/DEBIAN/control <<END
Package: workload-$name
Version: 1
Architecture: all
Maintainer: Tester <tester@example.org>
Description: a $name
END
done
sed -i 's/^Maintainer/Depends: workload-library\n&/' program/DEBIAN/control
printf '#!/bin/sh\necho runs\n' >program/usr/bin/workload-program
chmod 755 program/usr/bin/workload-program
ln program/usr/bin/workload-program program/usr/bin/workload-again
chown games:games program/usr/share/workload-program/1
printf '#!/bin/sh\nset -e\nchown man:man /usr/share/workload-library/1\n' >library/DEBIAN/postinst
chmod 755 library/DEBIAN/postinst
mkdir repository
for name in library program; do dpkg-deb --build -Zgzip $name repository >/dev/null; done
cd repository
for package in *.deb; do
	dpkg-deb --field "$package"
	echo "Filename: ./$package"
	echo "Size: $(stat --format=%s "$package")"
	echo "SHA256: $(sha256sum "$package" | cut -d' ' -f1)"
	echo
done >Packages
cat >"$folder/sources" <<END
deb [trusted=yes] copy:$folder/repository ./
END
mkdir --parents "$folder"/lists/partial "$folder"/archives/partial
chown _apt:root "$folder"/lists/partial "$folder"/archives/partial
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dir::Etc::SourceList="$folder/sources" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$folder/lists" \
		-o Dir::Cache::Archives="$folder/archives" -o APT::Get::List-Cleanup=0 "$@"
}
no_complaints() { if grep '^[WE]:' "$folder/log"; then exit 1; fi; }
apt update >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
no_complaints
apt install --yes workload-program >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
no_complaints
[ "$(workload-program)" = runs ]
[ "$(stat --format=%U:%h /usr/share/workload-program/1 /usr/share/workload-library/1 /usr/bin/workload-again | tr '\n' ' ')" = "games:1 man:1 root:2 " ]
dpkg --verify workload-program workload-library
apt purge --yes workload-program workload-library >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
[ ! -e /usr/share/workload-program ]
