# source: own find while testing tmux/tmux#311-like bursts with `trace --min-latency`
# mechanism: 3 zombies are there when `reapwatch trace --min-latency 10s` starts; the parent reaps them while it traces (they wait seconds in all)
# truth: no reap was slower than 10 s: the trace must be empty
$| = 1; my @k;
for (1..3) { my $p = fork; if (!$p) { exec "/bin/true" } push @k, $p; }
select(STDERR); $| = 1; print STDERR "TRUTH pid=$$ left=3\n"; <STDIN>;
for (@k) { waitpid($_, 0) } print STDERR "TRUTH pid=$$ reaped=3 left=0\n"; <STDIN>;
