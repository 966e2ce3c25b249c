# PostgreSQL: a server with its workers, and a connection for each of some sessions.
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
chown nobody .
run() { setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME="$PWD" "$@"; }
run "$bin/initdb" -D data -A trust -N > /dev/null
run "$bin/pg_ctl" -D data -w -s -o "-k '$PWD' -h ''" -l log start
for i in $(seq 10); do run "$bin/psql" -h "$PWD" -d postgres -q -c 'SELECT 1' > /dev/null; done
run "$bin/pg_ctl" -D data -w -s -m fast stop
