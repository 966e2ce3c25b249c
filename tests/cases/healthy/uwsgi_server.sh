# uWSGI: a master with workers, one of which is killed.
cat > app.py <<'P'
def application(environ, start):
    start("204 No Content", [])
    return [b""]
P
uwsgi --plugin python3 --master --processes 3 --socket "$PWD/socket" --wsgi-file app.py --safe-pidfile "$PWD/pid" \
    --die-on-term --logto "$PWD/log" &
until [ -S socket ] && [ -s pid ] && [ -n "$(cat "/proc/$(cat pid)/task/$(cat pid)/children")" ]; do sleep 0.05; done
sleep 0.5
kill -KILL "$(cut -d ' ' -f 1 "/proc/$(cat pid)/task/$(cat pid)/children")"
sleep 0.7
kill "$(cat pid)"
wait
