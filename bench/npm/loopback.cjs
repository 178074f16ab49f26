// Portkey's server listens on every address of the machine. While it is measured, it listens on loopback only.
const net = require("node:net");
const { listen } = net.Server.prototype;

net.Server.prototype.listen = function (port, _host, ready) {
  return listen.call(this, port, "127.0.0.1", ready);
};
