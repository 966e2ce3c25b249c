# A POSIX shell that runs one program after another.
exec sh -c 'i=0; while [ $i -lt 40 ]; do /bin/true; i=$((i + 1)); done'
