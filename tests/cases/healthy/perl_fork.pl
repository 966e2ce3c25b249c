# Perl: fork and waitpid, system, backquotes, and a handler that reaps all there are.
use POSIX ":sys_wait_h";
for (1 .. 10) {
    my $child = fork();
    exit 0 unless $child;
    waitpid($child, 0);
    system("/bin/true");
    my $text = `echo x`;
}
my $left = 10;
$SIG{CHLD} = sub { while (waitpid(-1, WNOHANG) > 0) { $left-- } };
for (1 .. 10) { fork() or exit 0 }
select(undef, undef, undef, 0.05) while $left > 0;
