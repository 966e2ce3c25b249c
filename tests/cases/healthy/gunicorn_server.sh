# gunicorn: an arbiter that starts a worker for each that ends.
cat > app.py <<'P'
def app(environ, start):
    start("204 No Content", [])
    return []
P
gunicorn -w 3 -b "unix:$PWD/socket" --pid pid app:app 2> /dev/null &
until [ -S socket ] && [ -s pid ] && [ -n "$(cat "/proc/$(cat pid)/task/$(cat pid)/children")" ]; do sleep 0.05; done
sleep 0.5
for worker in $(cat "/proc/$(cat pid)/task/$(cat pid)/children"); do kill "$worker"; done
sleep 0.7
kill "$(cat pid)"
wait
