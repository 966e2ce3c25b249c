# php-fpm with workers that it starts in advance and, told to, anew.
fpm=$(ls /usr/sbin/php-fpm* | tail -n 1)
cat > fpm.conf <<F
[global]
pid = $PWD/pid
error_log = $PWD/error.log
[www]
user = nobody
group = nogroup
listen = $PWD/socket
pm = static
pm.max_children = 4
F
"$fpm" -n -F -y "$PWD/fpm.conf" &
until [ -S socket ] && [ -s pid ]; do sleep 0.05; done
for worker in $(cat "/proc/$(cat pid)/task/$(cat pid)/children"); do kill "$worker"; done
sleep 0.5
kill -QUIT "$(cat pid)"
wait
