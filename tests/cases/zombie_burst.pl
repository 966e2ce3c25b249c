# source: jlesage/docker-crashplan-pro#513 (5,300 forks a minute, never reaped), diggerhq/opencomputer#194 (pids.max)
# mechanism: 4000 children in one burst, none reaped
# truth: exited=4000 reaped=0 left=4000 never_reaps
use POSIX (); for (1..4000) { if (!fork) { POSIX::_exit(0) } }
print STDERR "TRUTH pid=$$ exited=4000 reaped=0 left=4000\n"; select(undef, undef, undef, $ARGV[0] / 1000); POSIX::_exit(0);
