// Loaded into Portkey's gateway before its own code, for two things that it has no setting for.
"use strict";

const channel = require("node:diagnostics_channel");
const net = require("node:net");

// It listens on all addresses of the machine.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, _host, ...rest) {
  return listen.call(this, port, "127.0.0.1", ...rest);
};

// It is told with each request where to send it. Its callers set these headers; here they are added before it looks, so
// that all contenders are sent the same bytes by the same load generator.
const route = ["x-portkey-provider", "openai", "x-portkey-custom-host", process.env.PEER_ENGINE];
channel.subscribe("http.server.request.start", ({ request }) => {
  request.rawHeaders.push(...route);
});
