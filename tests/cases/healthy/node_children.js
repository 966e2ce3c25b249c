// Node: spawn, exec and execFile, many at a time, and a forked worker that ends.
const { spawn, exec, execFile, fork, spawnSync } = require('child_process');
if (process.argv[2] === 'worker') {
  process.send('done', () => process.disconnect());
} else {
  for (let i = 0; i < 10; i++) {
    spawn('/bin/true');
    exec('true | cat');
    execFile('/bin/echo', ['x']);
    spawnSync('/bin/true');
  }
  fork(__filename, ['worker']);
}
