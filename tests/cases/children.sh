# Read by the other scripts. Of processes they started, by pid, never by a name that somebody else's may have.

# first_child PID: the pid of its first child, once it has one; fails where it ends without.
first_child() {
    local child
    while [ -e "/proc/$1" ]; do
        read -r child _ < "/proc/$1/task/$1/children"
        [ "$child" ] && echo "$child" && return
        sleep 0.01
    done 2>/dev/null
    return 1
}

# until_is PID COMM: waits until it runs that program; fails where it ends before.
until_is() {
    while [ -e "/proc/$1" ]; do
        [ "$(cat "/proc/$1/comm")" = "$2" ] && return
        sleep 0.01
    done 2>/dev/null
    return 1
}
