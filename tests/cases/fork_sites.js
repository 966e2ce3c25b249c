// Starts children by a method of a class, and synchronously.
const { spawn, spawnSync } = require("child_process");

function startTool() {
  spawn("/bin/true");
}

class Agent {
  call() {
    startTool();
  }
}

function inTurn() {
  spawnSync("/bin/true");
}

setTimeout(() => {
  new Agent().call();
  inTurn();
}, 200);
setTimeout(() => {}, 600);
