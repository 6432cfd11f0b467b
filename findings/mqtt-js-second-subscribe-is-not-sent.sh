#!/bin/sh
# mqtt 5.16.0 (npm, MQTT.js), MQTT 5 and 3.1.1, against a small broker written with mqtt-packet 9.0.2.
#
# Behaviour: subscribe() to a topic that the client has already subscribed to sends nothing and calls back with an empty
#   list and no error, unless the QoS is higher than before. In MQTT a repeated SUBSCRIBE replaces the subscription and
#   has the retained messages sent again; neither happens. A lower QoS, and with MQTT 5 another retain handling, no-local,
#   retain-as-published or subscription identifier, is dropped in the same silence.
# One would expect: each subscribe() to be a SUBSCRIBE, or a word that it was none.
# Seen: QoS 1: sent, granted 1, one retained message; QoS 1 again: not sent, []; QoS 0: not sent, []; other options:
#   not sent, []; QoS 2: sent.
set -eu
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts mqtt@5.16.0 mqtt-packet@9.0.2
cat > run.cjs <<'JS'
const { createServer } = require("node:net");
const packets = require("mqtt-packet");
const mqtt = require("mqtt");
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const tried = async (protocolVersion) => {
  let subscribes = 0;
  const server = createServer((socket) => {
    const options = { protocolVersion };
    const parser = packets.parser(options);
    const say = (packet) => socket.write(packets.generate(packet, options));
    socket.on("data", (data) => parser.parse(data));
    socket.on("error", () => {});
    parser.on("packet", (packet) => {
      if (packet.cmd === "connect") say({ cmd: "connack", returnCode: 0, reasonCode: 0, sessionPresent: false });
      if (packet.cmd === "pingreq") say({ cmd: "pingresp" });
      if (packet.cmd !== "subscribe") return;
      subscribes++;
      say({ cmd: "suback", messageId: packet.messageId, granted: packet.subscriptions.map(({ qos }) => qos) });
      for (const { topic, rh } of packet.subscriptions) if (!rh) say({ cmd: "publish", topic, payload: "kept", qos: 0, retain: true, dup: false });
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.address().port}`, { protocolVersion });
  let retained = 0;
  client.on("message", () => { retained++; });
  const rows = [];
  const once = async (options) => {
    const before = [subscribes, retained];
    const granted = await client.subscribeAsync("news", options);
    await wait(150);
    rows.push(`${JSON.stringify(options)}: ${subscribes - before[0]} sent, granted ${JSON.stringify(granted.map(({ qos }) => qos))}, ${retained - before[1]} retained`);
  };
  for (const options of [{ qos: 1 }, { qos: 1 }, { qos: 0 }, { qos: 1, nl: true, rap: true, properties: { subscriptionIdentifier: 7 } }, { qos: 2 }]) {
    if (options.properties && protocolVersion === 4) continue;
    await once(options);
  }
  await client.endAsync(true);
  server.close();
  return rows;
};
(async () => {
  let described = true;
  for (const version of [5, 4]) {
    const rows = await tried(version);
    console.log(`protocol ${version}\n  ${rows.join("\n  ")}`);
    described &&= rows.every((row, index) => row.endsWith(index === 0 ? "1 sent, granted [1], 1 retained" : index === rows.length - 1 ? "1 sent, granted [2], 1 retained" : "0 sent, granted [], 0 retained"));
  }
  console.log(described ? "as described" : "CHANGED");
  process.exit(described ? 0 : 1);
})();
JS
node run.cjs
