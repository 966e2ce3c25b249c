<?php
// PHP: pcntl_fork and pcntl_waitpid, exec, and a process that is closed.
for ($i = 0; $i < 10; $i++) {
    $child = pcntl_fork();
    if (!$child) exit(0);
    pcntl_waitpid($child, $status);
    exec('true');
    $process = proc_open(['/bin/true'], [], $pipes);
    proc_close($process);
}
