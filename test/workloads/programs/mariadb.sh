#!/bin/bash
# MariaDB with its data below $1: killed in the middle of a load, it has all that was committed.
set -euo pipefail
data=$1/mariadb
sql() { mariadb --no-defaults --socket="$data/socket" --batch --skip-column-names "$@"; }

start() {
	setpriv --reuid=mysql --regid=mysql --init-groups mariadbd --no-defaults --datadir="$data/data" --socket="$data/socket" --pid-file="$data/pid" \
		--skip-networking --innodb-buffer-pool-size=32M --innodb-log-file-size=8M --log-error="$data/log" &
	until sql --execute="select 1" >/dev/null 2>&1; do
		kill -0 $! 2>/dev/null || { cat "$data/log"; exit 1; }
		sleep 0.1
	done
}

install --directory --owner=mysql --group=mysql --mode=755 "$data"
mariadb-install-db --no-defaults --user=mysql --datadir="$data/data" --innodb-log-file-size=8M --skip-test-db >"$data/install" 2>&1 || { cat "$data/install"; exit 1; }
start
sql --execute="create database work; create table work.counted (n int primary key, text varchar(200), key (text)) engine=InnoDB;
	create table work.aria (n int primary key) engine=Aria transactional=1;"
sql --unbuffered work >"$data/acknowledged" 2>/dev/null \
	< <(n=0; while echo "insert into counted values ($((++n)), repeat('x', 100)); select $n;"; do :; done 2>/dev/null) &
until [ "$(wc -l <"$data/acknowledged" 2>/dev/null || echo 0)" -ge "${2:-50}" ]; do sleep 0.1; done
kill -KILL "$(cat "$data/pid")"
wait || true
start
acknowledged=$(tail -1 "$data/acknowledged")
kept=$(sql --execute="select count(*) from work.counted")
if [ "$kept" -lt "$acknowledged" ] || [ "$kept" -gt $((acknowledged + 1)) ]; then echo "$kept rows of $acknowledged"; exit 1; fi
sql --execute="check table work.counted extended; check table work.aria extended" | awk '$NF != "OK" { print; bad = 1 } END { exit bad }'
mariadb-check --no-defaults --socket="$data/socket" --all-databases >"$data/check"
awk '$NF != "OK" { print; bad = 1 } END { exit bad }' "$data/check"
mariadb-admin --no-defaults --socket="$data/socket" shutdown
wait
