# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_reapwatch_global_optspecs
    string join \n btf= hooks= ring-size= max-unreaped= max-parents= stats log-programs once grace= theme= h/help V/version
end

function __fish_reapwatch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_reapwatch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_reapwatch_using_subcommand
    set -l cmd (__fish_reapwatch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c reapwatch -n "__fish_reapwatch_needs_command" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l grace -d 'A dead child left unreaped for longer than this counts against its parent [default: 5s]' -r
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l theme -d 'Colours for this ground of the terminal [default: auto]' -r -f -a "auto\t'As COLORFGBG says, else dark'
dark\t''
light\t''"
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -l once -d 'Print one frame as text, and end'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -s V -l version -d 'Print version'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "run" -d 'Run a command and report which of its processes leave dead children'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "trace" -d 'Show every fork, exec, exit, zombie and reap as it happens'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "watch" -d 'Watch the whole host for a given time, then report'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "agent" -d 'Watch the whole host all the time: metrics for Prometheus, alerts as JSON lines'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "record" -d 'Write a recording of the events, for \'replay\''
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "replay" -d 'Show the report or trace of a recording, as the live run would have shown it'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "doctor" -d 'Say what works on this kernel with these privileges, and what to do about the rest'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "explain" -d 'Explain one process: its verdict, why, its unreaped children, and what to do'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "audit" -d 'List the processes that should not be there: zombies, orphans, duplicates, stale code'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "profile" -d 'Find out where programs fork, and what becomes of the children of each place'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "reap" -d 'Free the process table of the zombies of a parent that lives and does not reap'
complete -c reapwatch -n "__fish_reapwatch_needs_command" -f -a "help" -d 'Print the help of a command, or what a cause means and what to do about it'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l format -d 'Format of the report' -r -f -a "text\t'Text for people'
json\t'JSON for programs: one object (see schemas/)'
html\t'A page for a browser, which can be sent: it needs no network and no script'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l command-lines -d 'How much of command lines the output has' -r -f -a "full\t'All of them'
redacted\t'All but what looks like a password, a token or another secret'
name\t'None: only the names of programs'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l output -d 'Write the report to FILE, - for standard output [default: standard error]' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l grace -d 'A dead child left unreaped for longer than this counts against its parent' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l error-exitcode -d 'Exit with N (1 to 255) if the check fails: if the report finds a leak' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l left-running -d 'What becomes of processes that the command left running' -r -f -a "ignore\t'Report them'
fail\t'Report them, and fail the check'
kill\t'End them, SIGTERM first, and say whom; fail the check where one does not end'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l suppressions -d 'Do not count what the rules in FILE name (docs/ci.md)' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l gen-suppressions -d 'Print rules that would suppress what was found, to standard output or to FILE' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l junit -d 'Also write the report to FILE as JUnit XML: a test case for each parent with a finding, and one for the whole' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l kill-after -d 'With --left-running kill: how long a process may take to end after SIGTERM' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l record -d 'Also write a recording to FILE, for \'replay\'' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l github -d 'Also print annotations for GitHub Actions, at the line of the source that forks'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l stacks -d 'Find out where in the program each child is forked'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l labels -d 'Look up the label of every program that is started: REAPWATCH_LABEL in its environment'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l progress -d 'Show progress on the terminal'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l pid -d 'Show only this process and its children; may be given more than once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l min-latency -d 'Show only reaps with at least this reap latency (time from zombie to reap); 0s shows every event' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l duration -d 'Stop after this time [default: when a signal interrupts]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l format -d 'Format of the event lines' -r -f -a "text\t'Text for people'
json\t'JSON for programs: a report is one object, events are one object per line (see schemas/)'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l command-lines -d 'How much of command lines the output has' -r -f -a "full\t'All of them'
redacted\t'All but what looks like a password, a token or another secret'
name\t'None: only the names of programs'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l record -d 'Also write a recording to FILE, for \'replay\'' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l wide -d 'In text: say on the lines of a death also who the dead process was and what it used, as JSON always does'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l duration -d 'How long to watch' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l grace -d 'A dead child left unreaped for longer than this counts against its parent' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l format -d 'Format of the report' -r -f -a "text\t'Text for people'
json\t'JSON for programs: one object (see schemas/)'
html\t'A page for a browser, which can be sent: it needs no network and no script'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l command-lines -d 'How much of command lines the output has' -r -f -a "full\t'All of them'
redacted\t'All but what looks like a password, a token or another secret'
name\t'None: only the names of programs'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l output -d 'Write the report to FILE, - for standard output [default: -]' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l record -d 'Also write a recording to FILE, for \'replay\'' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l config -d 'Configuration file (TOML) [default: none; every key has a default]' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l interval -d 'How often metrics and alerts are brought up to date [default: 10s]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l grace -d 'A dead child left unreaped for longer than this counts against its parent [default: 5s]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l listen -d 'Address and port of the metrics; \'none\' for no metrics [default: 127.0.0.1:9779]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l alerts -d 'File for alerts as JSON lines, - for standard output; \'none\' for no alerts [default: -]' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l check-config -d 'Check the configuration, say what is wrong with it, and exit'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l print-config -d 'Print the configuration that would be used, defaults included, as TOML, and exit'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand agent" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l duration -d 'Stop after this time [default: when the command ends or a signal interrupts]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l output -d 'Write the recording to FILE, - for standard output' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l grace -d 'A dead child left unreaped for longer than this counts against its parent' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l progress -d 'Show progress on the terminal'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand record" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l format -d 'Format of the output' -r -f -a "text\t'Text for people'
json\t'JSON for programs: one object (see schemas/)'
html\t'A page for a browser, which can be sent: it needs no network and no script'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l command-lines -d 'How much of command lines the output has' -r -f -a "full\t'All of them'
redacted\t'All but what looks like a password, a token or another secret'
name\t'None: only the names of programs'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l as -d 'What to show' -r -f -a "report\t'The report of \'run\' and \'watch\''
trace\t'The event lines of \'trace\''
table\t'The live table, as the recording goes on: p pauses, + and - set the speed, [ and ] seek'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l output -d 'Write to FILE, - for standard output [default: -]' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l grace -d 'Judge by this grace [default: the grace it was recorded with]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l theme -d 'With --as table: colours for this ground of the terminal' -r -f -a "auto\t'As COLORFGBG says, else dark'
dark\t''
light\t''"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l error-exitcode -d 'Exit with N (1 to 255) if the check fails: if the report finds a leak' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l left-running -d 'What becomes of processes that the command left running' -r -f -a "ignore\t'Report them'
fail\t'Report them, and fail the check'
kill\t'End them, SIGTERM first, and say whom; fail the check where one does not end'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l suppressions -d 'Do not count what the rules in FILE name (docs/ci.md)' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l gen-suppressions -d 'Print rules that would suppress what was found, to standard output or to FILE' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l junit -d 'Also write the report to FILE as JUnit XML: a test case for each parent with a finding, and one for the whole' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l wide -d 'With --as trace, in text: say on the lines of a death also who the dead process was and what it used'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l github -d 'Also print annotations for GitHub Actions, at the line of the source that forks'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l format -d 'Format of the findings' -r -f -a "text\t'Text for people'
json\t'JSON for programs: a report is one object, events are one object per line (see schemas/)'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l duration -d 'How long to watch' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l grace -d 'A dead child left unreaped for longer than this counts against its parent [default: 1s, or the grace of the recording]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l from -d 'Explain it from a recording made by \'record\' or --record' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l format -d 'Format of the page' -r -f -a "text\t'Text for people'
json\t'JSON for programs: a report is one object, events are one object per line (see schemas/)'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l command-lines -d 'How much of command lines the output has' -r -f -a "full\t'All of them'
redacted\t'All but what looks like a password, a token or another secret'
name\t'None: only the names of programs'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l format -d 'Format of the findings' -r -f -a "text\t'Text for people'
json\t'JSON for programs: a report is one object, events are one object per line (see schemas/)'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l output -d 'Write the findings to FILE, - for standard output [default: standard output]' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l suppressions -d 'Leave out findings that FILE (TOML) names, and say how many' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l gen-suppressions -d 'Print rules that would suppress what was found, instead of the findings; or also write them to FILE' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l history -d 'Take from FILE, a recording of this host or the orphans.file of its agent, who left the orphans and how that ended' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l since -d 'List only processes that started within this time before now, and say how many others there are' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l error-exitcode -d 'Exit with N (1 to 255) if anything is found that no suppression covers' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand audit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l duration -d 'How long to watch [default: when the command ends or a signal interrupts]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l pid -d 'Only the forks of this process; may be given several times [default: the whole host]' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l format -d 'What to write' -r -f -a "pprof\t'profile.proto, compressed: for `go tool pprof`, Pyroscope and others; has all four values'
folded\t'A line for each stack, and one value: for flamegraph.pl, speedscope and others'
svg\t'A flame graph of one value'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l sample -d 'The value that folded stacks and flame graphs show [default: unreaped, or forks where none is unreaped]' -r -f -a "unreaped\t'Dead children that the parent has not reaped at the end, or had not when it died'
zombie-time\t'How long children were zombies, in ns'
reap-latency\t'The same of those that were reaped'
forks\t'How many children were forked'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -s o -l output -d 'Write to FILE, - for standard output [default: profile.pb.gz, profile.svg, or - for folded stacks]' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l grace -d 'A dead child left unreaped for longer than this counts against its parent' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l from -d 'Make the profile from a recording: of `profile --record`, or of `run --stacks --record`' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l record -d 'Also write a recording to FILE' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l grace -d 'Only zombies that have been there for so long are reaped' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l format -d 'Form of the result' -r -f -a "text\t'Text for people'
json\t'JSON for programs: a report is one object, events are one object per line (see schemas/)'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l yes -d 'Do not ask'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l dry-run -d 'Show what would be done, and end'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l nudge -d 'Send SIGCHLD to the parent instead'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -l btf -d 'BTF file that describes the running kernel' -r -F
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -l hooks -d 'Kind of kernel hooks to use' -r -f -a "auto\t'The best hooks that this kernel and these privileges allow'
fentry\t'fentry and fexit: exact, and the cheapest'
kprobe\t'kprobe and kretprobe: exact'
tracepoint\t'Tracepoints only, on any supported kernel: same counts, but some reap times up to 32 ms late'"
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -l ring-size -d 'Size of the ring buffer for events, in bytes or with suffix K or M' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -l max-unreaped -d 'Maximum number of dead children timed at once, from their exit to their reap' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -l max-parents -d 'Maximum number of parents counted at once' -r
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -l stats -d 'Show what watching cost: run time of each program, entries in each map, own CPU time and memory'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -l log-programs -d 'Print to standard error what the programs in the kernel decide'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
# What only the host knows.
complete -c reapwatch -n "__fish_reapwatch_using_subcommand explain" -f -a '(__fish_complete_pids)'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand reap" -f -a '(__fish_complete_pids)'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand trace" -l pid -x -a '(__fish_complete_pids)'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand profile" -l pid -x -a '(__fish_complete_pids)'
complete -c reapwatch -n "__fish_reapwatch_using_subcommand help" -f -a 'run trace watch agent record replay doctor explain audit profile reap help causes never_waits waits_only_for_specific_children waits_only_for_its_process_group wait_flags_exclude_children looks_without_reaping one_wait_per_sigchld reaps_only_when_it_spawns sigchld_blocked sigchld_ignored_too_late children_inherited_through_exec init_does_not_reap_orphans subreaper_does_not_reap_orphans parent_stopped parent_frozen parent_blocked waits_after_end_of_pipe held_by_tracer unknown'
