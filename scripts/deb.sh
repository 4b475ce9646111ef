#!/bin/sh
# Makes the Debian package of an installed tree, which becomes part of it. For dist.sh, which sets SOURCE_DATE_EPOCH.
# usage: deb.sh TREE VERSION FOLDER XZ-LEVEL|none
set -eu
tree=$1
version=$2-1
folder=$3
level=$4
maintainer=${MAINTAINER:-Caisson maintainers <caisson@localhost.localdomain>}
root=$folder/root
doc=$root/usr/share/doc/caisson
date=$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")

mkdir -p "$root/DEBIAN"
mv "$tree" "$root/usr"
# /usr/share/common-licenses has it, and dpkg removes what there is.
rm "$root/usr/lib/caisson/LICENSE" "$root/usr/lib/caisson/uninstall.sh"
install -D -m 644 deploy/tmpfiles.d/caisson.conf "$root/usr/lib/tmpfiles.d/caisson.conf"
rm -r "$doc/deploy/tmpfiles.d"
find "$doc" -type f -exec chmod 644 {} +
find "$doc/deploy" -type f -exec sed -i 's:/usr/local/bin/:/usr/bin/:g' {} +
mv "$doc/CHANGELOG.md" "$doc/changelog"
install -m 644 deploy/debian/copyright "$doc/copyright"
sed "s/@VERSION@/$version/; s/@DATE@/$date/; s/@MAINTAINER@/$maintainer/" deploy/debian/changelog >"$doc/changelog.Debian"
gzip -9n "$doc/changelog" "$doc/changelog.Debian" "$doc/third-party.txt" "$root"/usr/share/man/man8/*
install -D -m 644 deploy/debian/lintian-overrides "$root/usr/share/lintian/overrides/caisson"
install -m 755 deploy/debian/postinst deploy/debian/prerm "$root/DEBIAN/"

# dpkg-shlibdeps reads debian/control of the folder that it is started in.
mkdir "$folder/debian"
printf 'Source: caisson\n\nPackage: caisson\nArchitecture: amd64\n' >"$folder/debian/control"
libraries=$(cd "$folder" && dpkg-shlibdeps -O --warnings=0 root/usr/lib/caisson/out/node root/usr/lib/caisson/out/native/*.node \
  root/usr/lib/caisson/out/native/*.so)
size=$(find "$root/usr" -printf '%y %s\n' | awk '{ kib += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print kib }')
sed "s/@VERSION@/$version/; s/@MAINTAINER@/$maintainer/; s/@SIZE@/$size/; s/@LIBRARIES@/${libraries#shlibs:Depends=}/" \
  deploy/debian/control >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
case $level in none) set -- -Znone ;; *) set -- -Zxz "-z$level" ;; esac
dpkg-deb --root-owner-group "$@" --build "$root" "$folder/caisson_${version}_amd64.deb" >/dev/null
