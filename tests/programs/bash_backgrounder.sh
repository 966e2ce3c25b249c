#!/bin/bash
# The seed's backgrounder. Form: `reaps` waits for its jobs; `loops` goes on with other commands, and bash reaps its
# jobs by itself; `execs` becomes a program that never waits. Then jobs and seconds to hold.
form=${1:-execs} jobs=${2:-50} hold=${3:-3600}
for ((i = 0; i < jobs; i++)); do
  (sleep 0.1; exit 0) &
done
case $form in
reaps) wait ;;
loops) sleep "$hold"; true ;;
execs) exec sleep "$hold" ;;
esac
