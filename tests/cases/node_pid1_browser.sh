#!/bin/bash
# source: puppeteer/puppeteer#1825, #615, buildkite/docker-puppeteer#142, akiralereal/iptv#10
# mechanism: real node is PID 1 of a PID namespace; it spawn()s a "browser" (sh) that forks helpers; browser.close() kills the browser only; node reaps the
#            browser (libuv waits by pid), the helpers are inherited ALIVE by node and die later
# truth: node (ns pid 1): 4 browsers reaped, 12 helpers left, leaking. cause: PID 1 does not reap adopted orphans (node only waits for what it spawned); fix: init
. "${0%/*}/children.sh"
unshare --pid --fork --kill-child node -e "
const {spawn} = require('child_process'); let n = 0;
function one() {
  if (n++ >= 4) return;
  const b = spawn('/bin/sh', ['-c', 'sleep 0.8 & sleep 0.9 & sleep 1 & echo started; wait'], {stdio: ['ignore', 'pipe', 'ignore']});
  b.stdout.once('data', () => b.kill('SIGKILL')); b.on('exit', () => setTimeout(one, 20));
}
one(); setTimeout(() => {}, 1e6);" & U=$!
T=$(first_child $U) || exit 1
Z=$("${0%/*}/zc" $T 12)
echo "TRUTH pid=$T exited=$((Z + 4)) reaped=4 left=$Z" >&2
sleep "${1}e-3"; kill -9 $T; wait $U; exit 0
