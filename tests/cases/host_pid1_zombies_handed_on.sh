#!/bin/bash
# source: a host whose PID 1 reaps late; jlesage/docker-crashplan-pro#513 (bursts of zombies handed on)
# mechanism: a parent dies over 20 ZOMBIES, 10 times: the HOST's PID 1 adopts 200 dead children and reaps them
# truth: the 10 parents abandon 20 each; PID 1 is ALIVE, adopts 200 and reaps 200
for i in {1..10}; do
    pids+=" $(/usr/bin/perl -e 'use POSIX (); $| = 1; my @k;
        for (1..20) { my $p = fork; POSIX::_exit(0) if !$p; push @k, $p }
        for my $p (@k) { while (1) { open(my $f, "<", "/proc/$p/stat"); last if <$f> =~ /\) Z /; select(undef, undef, undef, 0.002) } }
        print "@k"; print STDERR "TRUTH pid=$$ exited=20 reaped=0 left=20\n"; POSIX::_exit(0)')"
done
for n in {1..1000}; do
    left=0; for p in $pids; do [ -e /proc/$p ] && left=$((left + 1)); done
    [ $left = 0 ] && break; sleep 0.05
done
echo "TRUTH pid=1 exited=0 adopted=200 reaped=$((200 - left)) left=$left" >&2
