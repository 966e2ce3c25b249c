<?php
// source: pydio/pydio-core#1202 ("if the process is not closed you get zombies"), php/php-src#8242, php-pm/php-pm#48
// mechanism: real php-cli: proc_open handles kept, proc_close never called, proc_get_status never polled
// truth: 6 opened, 0 reaped, 6 left
$k = []; for ($i = 0; $i < 6; $i++) $k[] = proc_open(["/bin/true"], [], $p);
fwrite(STDERR, "TRUTH pid=" . getmypid() . " exited=6 reaped=0 left=6\n"); usleep($argv[1] * 1000);
posix_kill(getmypid(), SIGKILL); // its end of script would close, and so reap, them
