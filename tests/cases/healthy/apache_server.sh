# Apache with processes that it starts in advance, and programs that it starts for requests.
mkdir bin
printf '#!/bin/sh\necho "Content-Type: text/plain"; echo; /bin/true\n' > bin/run
chmod 755 . bin bin/run
modules=/usr/lib/apache2/modules
cat > apache.conf <<A
ServerRoot $PWD
ServerName localhost
PidFile $PWD/pid
ErrorLog $PWD/error.log
DefaultRuntimeDir $PWD
Mutex file:$PWD default
Listen 127.0.0.1:18764
User nobody
Group nogroup
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule alias_module $modules/mod_alias.so
LoadModule cgi_module $modules/mod_cgi.so
StartServers 3
ScriptAlias /bin/ $PWD/bin/
A
# It ends its whole process group: it has one of its own.
setsid apache2 -f "$PWD/apache.conf" -D FOREGROUND &
until [ -s pid ] && python3 -c 'import socket; socket.create_connection(("127.0.0.1", 18764))' 2> /dev/null; do sleep 0.05; done
python3 -c 'import urllib.request
for _ in range(10): urllib.request.urlopen("http://127.0.0.1:18764/bin/run").read()'
kill "$(cat pid)"
wait
