// The browser's client: prints what it evaluates for a device, then each change. node web.mjs URL TOKEN
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';

const [baseUrl, targetingKey] = process.argv.slice(2);
const say = (what) => console.log(JSON.stringify(what));
OpenFeature.setLogger({ error() {}, warn() {}, info() {}, debug() {} });
let last = 200;
const fetchImplementation = async (...request) => {
  const response = await fetch(...request);
  if (response.status !== last && response.status !== 200) say({ status: response.status });
  last = response.status;
  return response;
};
const provider = new OFREPWebProvider({ baseUrl, pollInterval: 50, cacheMode: 'disabled', fetchImplementation });
const client = OpenFeature.getClient();
const evaluated = () => ({
  a_string: client.getStringDetails('a_string', 'default'),
  a_number: client.getNumberDetails('a_number', 1),
  a_boolean: client.getBooleanDetails('a_boolean', false),
  a_json: client.getObjectDetails('a_json', {}),
  later: client.getStringDetails('later', 'default'),
  unknown: client.getStringDetails('unknown', 'default'),
});
client.addHandler(ProviderEvents.ConfigurationChanged, (event) => {
  say({ changed: event.flagsChanged, ...evaluated() });
});
await OpenFeature.setContext({ ...(targetingKey ? { targetingKey } : {}), platform: 'ios', born: new Date(0) });
try {
  await OpenFeature.setProviderAndWait(provider);
} catch (error) {
  say({ failed: true });
  process.exit();
}
say(evaluated());
process.stdin.resume().on('end', () => process.exit());
