# nginx: a master with workers, which it starts anew when its configuration is read again.
cat > nginx.conf <<N
pid $PWD/pid; error_log $PWD/error.log; worker_processes 3;
events {} http { access_log off; server { listen unix:$PWD/socket; return 204; } }
N
nginx -p "$PWD" -c "$PWD/nginx.conf" -g 'daemon off; user root;' &
until [ -S socket ] && [ -s pid ]; do sleep 0.05; done
kill -HUP "$(cat pid)"
sleep 0.5
kill -QUIT "$(cat pid)"
wait
