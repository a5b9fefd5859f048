// A Sparkplug B edge node with one device, made of Eclipse Tahu's client. It is told on stdin, line by line, what to do:
//   temp 1.5 · flow 2 (device data by alias) · load 3 (node data by alias) · swap (deal the aliases of temp and flow anew)
//   birth · lose (a message vanishes on the way) · historical 1.5 · null · odd (a dataset) · device-death · stop
// and says on stdout `connected`, and `rebirth` when the host application asked for one. Values are told with their time in ms.
import readline from "node:readline";
import sparkplug from "sparkplug-client";

const [port, group, edgeNode] = process.argv.slice(2);
const device = "D1";
const alias = { load: 1, temp: 2, flow: 3, odd: 4 };
const last = { load: 0, temp: 0, flow: 0 };

const client = sparkplug.newClient({
  serverUrl: `tcp://127.0.0.1:${port}`, username: "", password: "", groupId: group, edgeNode,
  clientId: `${edgeNode}-publisher`, keepalive: 5, publishDeath: true,
});

const born = (name, extra = {}) => ({ name, alias: alias[name], type: "Double", value: last[name], timestamp: Date.now(), ...extra });
const message = (metrics) => ({ timestamp: Date.now(), metrics });

function birth() {
  client.publishNodeBirth(message([born("load"), { name: "Node Control/Rebirth", type: "Boolean", value: false }]));
  const unit = { properties: { engUnit: { type: "String", value: "Cel" } } };
  client.publishDeviceBirth(device, message([born("temp", unit), born("flow"), { name: "label", type: "String", value: "x" }]));
}

function data(name, value, extra = {}) {
  last[name] = value;
  const metric = { alias: alias[name], type: "Double", value, timestamp: Date.now(), ...extra };
  const say = name === "load" ? (p) => client.publishNodeData(p) : (p) => client.publishDeviceData(device, p);
  say(message([metric]));
}

const actions = {
  birth,
  lose: () => client.incrementSeqNum(),
  swap: () => { [alias.temp, alias.flow] = [alias.flow, alias.temp]; },
  historical: (value) => data("temp", value, { timestamp: Date.now() - 3_600_000, isHistorical: true }),
  null: () => client.publishDeviceData(device, message([{ alias: alias.temp, type: "Double", value: null, isNull: true, timestamp: Date.now() }])),
  odd: () => client.publishDeviceData(device, message([{ name: "temp", type: "String", value: "hot", timestamp: Date.now() }, { alias: alias.flow, type: "Double", value: 99, timestamp: Date.now() }])),
  "device-death": () => client.publishDeviceDeath(device, { timestamp: Date.now() }),
  stop: () => { client.stop(); setTimeout(() => process.exit(0), 200); },
};

client.on("birth", () => { birth(); console.log("connected"); });
client.on("ncmd", (payload) => {
  if (payload.metrics.some((m) => m.name === "Node Control/Rebirth" && m.value)) { birth(); console.log("rebirth"); }
});
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [what, value] = line.split(" ");
  if (what in last) data(what, Number(value));
  else actions[what](Number(value));
});
