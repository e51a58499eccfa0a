// The server-side client: prints what it evaluates for a device. node server.mjs URL TOKEN
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';

const [baseUrl, targetingKey] = process.argv.slice(2);
OpenFeature.setLogger({ error() {}, warn() {}, info() {}, debug() {} });
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl }));
const client = OpenFeature.getClient();
const context = { ...(targetingKey ? { targetingKey } : {}), platform: 'ios', born: new Date(0), more: { a: [1] } };
const found = {
  a_string: await client.getStringDetails('a_string', 'default', context),
  a_number: await client.getNumberDetails('a_number', 1, context),
  a_boolean: await client.getBooleanDetails('a_boolean', false, context),
  a_json: await client.getObjectDetails('a_json', {}, context),
  later: await client.getStringDetails('later', 'default', context),
  unknown: await client.getStringDetails('unknown', 'default', context),
};
console.log(JSON.stringify(found));
await OpenFeature.close();
