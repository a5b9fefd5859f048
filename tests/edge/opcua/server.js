// An OPC UA server made of node-opcua, with a few variables of a plant. It is told on stdin, line by line, what to do:
//   set Flow 1.5 · set Flow 1.5 1795348799123 (with the source's time in ms) · bad Flow BadSensorFailure · uncertain Flow UncertainLastUsableValue
//   listen (it starts with its ports closed, so that a past can be set before) · orphan (ends all sessions and keeps their subscriptions) · stop
// and says on stdout `ready` once it listens. Arguments: port, folder for its keys, and JSON with
//   shift (a further namespace first, so that indexes change), accept (unknown certificates), history.
import path from "node:path";
import readline from "node:readline";
import { OPCUAServer } from "node-opcua-server";
import { OPCUACertificateManager } from "node-opcua-certificate-manager";
import { DataType, Variant, VariantArrayType } from "node-opcua-variant";
import { StatusCodes } from "node-opcua-status-code";
import { standardUnits } from "node-opcua-data-access";

const [port, folder, json] = process.argv.slice(2);
const how = { shift: false, accept: false, history: false, ...JSON.parse(json ?? "{}") };
const users = { isValidUser: (name, password) => name === "reader" && password === "right" };
const certificates = new OPCUACertificateManager({
  rootFolder: path.join(folder, "pki"), automaticallyAcceptUnknownCertificate: how.accept,
});

const server = new OPCUAServer({
  port: Number(port), host: "127.0.0.1", hostname: "localhost", resourcePath: "/plant", userManager: users,
  serverCertificateManager: certificates, userCertificateManager: certificates, buildInfo: { productName: "TestPlant" },
  serverCapabilities: { minSupportedSampleRate: 0 }, // with a sampling interval of 0 every change is then delivered
  serverInfo: { applicationUri: "urn:test:plant:server" }, isAuditing: false,
});
const variables = {};

function build() {
  const space = server.engine.addressSpace;
  if (how.shift) space.registerNamespace("urn:test:something-new");
  const plant = space.registerNamespace("urn:test:plant");
  const other = space.registerNamespace("urn:test:other");
  const root = plant.addObject({ browseName: "Plant", organizedBy: space.rootFolder.objects });
  const line = plant.addObject({ browseName: "Line/1", componentOf: root });
  const add = (name, dataType, value, extra = {}) => {
    const common = { componentOf: line, browseName: name, nodeId: `s=Line1.${name}`, dataType, minimumSamplingInterval: 0, ...extra };
    const node = extra.engineeringUnits
      ? plant.addAnalogDataItem({ ...common, engineeringUnitsRange: { low: 0, high: 100 } })
      : plant.addVariable(common);
    node.setValueFromSource(new Variant({ dataType, value, ...(extra.arrayType ?? {}) }));
    if (how.history && name === "Flow") space.installHistoricalDataNode(node, { maxOnlineValues: 5000 });
    variables[name] = { node, dataType };
  };
  add("Flow", DataType.Double, 0, { engineeringUnits: standardUnits.cubic_metre_per_hour });
  add("Temp", DataType.Float, 20, { engineeringUnits: standardUnits.degree_celsius });
  add("Count", DataType.UInt32, 0);
  add("Running", DataType.Boolean, false);
  add("Label", DataType.String, "x");
  add("Profile", DataType.Double, [1, 2, 3], { valueRank: 1, arrayType: { arrayType: VariantArrayType.Array } });
  other.addVariable({ componentOf: line, browseName: "Twin", nodeId: "s=twin", dataType: DataType.Double });
  plant.addVariable({ componentOf: line, browseName: "Twin", nodeId: "s=Line1.Twin", dataType: DataType.Double });
}

const number = (dataType, text) => (dataType === DataType.Boolean ? text === "1" : Number(text));
function put(name, text, status, ms) {
  const { node, dataType } = variables[name];
  node.setValueFromSource(new Variant({ dataType, value: number(dataType, text) }), status, ms ? new Date(Number(ms)) : new Date());
}

const actions = {
  set: (name, text, ms) => put(name, text, StatusCodes.Good, ms),
  bad: (name, code) => put(name, "0", StatusCodes[code]),
  uncertain: (name, code) => put(name, "1", StatusCodes[code]),
  listen: async () => { await server.start(); console.log("ready"); },
  orphan: () => { for (const session of Object.values(server.engine._sessions)) server.engine.closeSession(session.authenticationToken, false, "Terminated"); },
  stop: async () => { await server.shutdown(0); process.exit(0); },
};

await server.initialize();
build();
console.log("built");
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [what, ...rest] = line.trim().split(" ");
  await actions[what](...rest);
}
