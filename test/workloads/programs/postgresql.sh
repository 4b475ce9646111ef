#!/bin/bash
# PostgreSQL in a cluster below $1: killed in the middle of pgbench, it recovers all that was committed.
set -euo pipefail
umask 022
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
data=$1/postgresql
clients=2 transactions=${2:-100}

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups env HOME="$data" PGHOST="$data" "$@"; }
query() { as_postgres psql --no-psqlrc --quiet --tuples-only --no-align --command="$1" postgres; }
start() { as_postgres pg_ctl --silent --wait --timeout=60 --pgdata="$data/cluster" --log="$data/log" start || { cat "$data/log"; exit 1; }; }

install --directory --owner=postgres --group=postgres --mode=700 "$data"
as_postgres initdb --pgdata="$data/cluster" --no-locale --encoding=UTF8 --auth=trust --data-checksums >"$data/initdb"
cat >>"$data/cluster/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$data'
shared_buffers = 16MB
log_min_messages = warning
END
start
as_postgres pgbench --initialize --quiet --scale=1 postgres 2>/dev/null
as_postgres pgbench --no-vacuum --client=$clients --jobs=$clients --transactions="$transactions" postgres >"$data/pgbench" 2>&1
grep -q "actually processed: $((clients * transactions))/" "$data/pgbench"

query "create table counted (n int primary key); create index on counted (n desc);"
# Each line that psql prints was committed before.
as_postgres psql --no-psqlrc --quiet --tuples-only --no-align postgres >"$data/acknowledged" 2>"$data/psql" \
	< <(n=0; while echo "insert into counted values ($((++n))) returning n;"; do :; done 2>/dev/null) &
until [ "$(wc -l <"$data/acknowledged" 2>/dev/null || echo 0)" -ge 50 ]; do sleep 0.1; done
kill -KILL "$(head -1 "$data/cluster/postmaster.pid")"
wait %% || true
while pgrep -u postgres -x postgres >/dev/null; do sleep 0.1; done
start
acknowledged=$(tail -1 "$data/acknowledged")
kept=$(query "select count(*) from counted;")
if [ "$kept" -lt "$acknowledged" ] || [ "$kept" -gt $((acknowledged + 1)) ]; then echo "$kept rows of $acknowledged"; exit 1; fi
sums=$(query "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history),
	(select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers);")
[ "$sums" = "t|t" ] || { echo "sums: $sums"; exit 1; }
query "create extension amcheck;"
as_postgres pg_amcheck --heapallindexed --rootdescend --table='public.*' postgres
as_postgres pg_ctl --silent --wait --pgdata="$data/cluster" --mode=fast stop
as_postgres pg_checksums --check --pgdata="$data/cluster" >"$data/checksums" || { cat "$data/checksums"; exit 1; }
