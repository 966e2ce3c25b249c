# supervisord, with a program that ends again and again and is started again.
cat > supervisord.conf <<S
[supervisord]
nodaemon=true
logfile=$PWD/log
pidfile=$PWD/pid
user=root
[program:short]
command=/bin/sleep 0.1
startsecs=0
autorestart=true
[program:long]
command=/bin/sleep 60
S
supervisord -c "$PWD/supervisord.conf" > /dev/null &
until [ -s pid ]; do sleep 0.05; done
sleep 2.5
kill "$(cat pid)"
wait
