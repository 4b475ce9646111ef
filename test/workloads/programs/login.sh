#!/bin/bash
# Another user's session: by su, and by ssh with a key that is below $1.
set -euo pipefail
home=$1/login
useradd --uid 4321 --home-dir "$home" --create-home --shell /bin/bash loginuser
trap 'kill $(cat "$home.pid") 2>/dev/null; userdel loginuser' EXIT
chmod 755 "$home"
[ "$(su --login loginuser --command='id -un; pwd; touch made; stat --format=%U made' | tr '\n' ' ')" = "loginuser $home loginuser " ]

[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
mkdir --parents /run/sshd
su loginuser --command="umask 077; mkdir ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519; cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys"
/usr/sbin/sshd -p 2222 -E "$home.log" -o ListenAddress=127.0.0.1 -o PidFile="$home.pid" -o HostKey=/etc/ssh/ssh_host_ed25519_key -o PasswordAuthentication=no
said=$(su loginuser --command="ssh -p 2222 -o StrictHostKeyChecking=no -o LogLevel=ERROR -tt 127.0.0.1 'id -un; tty; cat made'" </dev/null | tr -d '\r') ||
	{ cat "$home.log"; exit 1; }
[[ "$said" == loginuser$'\n'/dev/pts/* ]] || { echo "$said"; cat "$home.log"; exit 1; }
