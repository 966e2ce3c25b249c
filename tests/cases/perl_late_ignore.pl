# source: Perl/perl5#6898, Perl/perl5#3072 (close on a pipe handle leaves <defunct>)
# mechanism: real perl: open(my $h, "-|") pipes never closed (handles kept), system() in between (waits by pid)
# truth: 5 pipes left unreaped, 5 system() reaped: leaking; cause: pipe handles not closed / waits only for specific children
use POSIX (); my (@k, $reaped);
for (1..5) { open(my $h, "-|", "/bin/true"); push @k, $h; $reaped++ if system("/bin/true") == 0; }
print STDERR "TRUTH pid=$$ exited=10 reaped=$reaped left=5\n"; select(undef, undef, undef, $ARGV[0] / 1000); POSIX::_exit(0);
