#!/bin/bash
# Redis with AOF and RDB below $1: killed, it comes back with every write that it had acknowledged.
set -euo pipefail
data=$1/redis
install --directory --owner=redis --group=redis "$data"
as_redis() { setpriv --reuid=redis --regid=redis --init-groups "$@"; }
cli() { redis-cli -s "$data/socket" "$@"; }

start() {
	(cd "$data" && as_redis redis-server --dir "$data" --port 0 --unixsocket "$data/socket" --appendonly yes --appendfsync always --save "" \
		--logfile "$data/log") &
	until [ "$(cli ping 2>/dev/null)" = PONG ]; do
		kill -0 $! 2>/dev/null || { cat "$data/log"; exit 1; }
		sleep 0.1
	done
}

start
redis-benchmark -s "$data/socket" -q -c 5 -n "${2:-500}" -r 100000 -d 200 -t set,lpush,incr >"$data/benchmark"
cli bgsave >/dev/null
until [ "$(cli info persistence | tr -d '\r' | grep rdb_bgsave_in_progress)" = rdb_bgsave_in_progress:0 ]; do sleep 0.1; done
cli info persistence | grep -q rdb_last_bgsave_status:ok
cli bgrewriteaof >/dev/null
redis-cli -s "$data/socket" < <(n=0; while echo "set counted $((++n))" && echo "get counted"; do :; done 2>/dev/null) >"$data/acknowledged" 2>/dev/null &
writer=$!
until [ "$(wc -l <"$data/acknowledged" 2>/dev/null || echo 0)" -ge 100 ]; do sleep 0.1; done
size=$(cli dbsize)
kill -KILL "$(cli info server | tr -d '\r' | sed -n 's/^process_id://p')"
# It would go on to ask who is not there.
kill $writer
wait || true
as_redis redis-check-aof "$data"/appendonlydir/*.manifest >"$data/check-aof"
as_redis redis-check-rdb "$data/dump.rdb" >"$data/check-rdb"
start
[ "$(cli dbsize)" = "$size" ]
acknowledged=$(grep -x '[0-9]*' "$data/acknowledged" | tail -1)
kept=$(cli get counted)
[ "$kept" -ge "$acknowledged" ] || { echo "$kept of $acknowledged"; exit 1; }
cli shutdown || true
wait
