// Evaluates flags through OpenFeature's SDK, and says what came of them: what an app in a browser does.

import { OpenFeature } from "@openfeature/web-sdk";
import { start } from "./abtest.js";
import { folder } from "./node.js";
import { AbtestProvider, ExposureHook } from "./openfeature.js";

const [url, at, timeout] = process.argv.slice(2);
const abtest = await start(url!, folder(at!), {}, { timeout: Number(timeout), pause: 0.1, say: () => {} });
await OpenFeature.setProviderAndWait(new AbtestProvider(abtest));
const flags = OpenFeature.getClient();
flags.addHooks(new ExposureHook(abtest));
const found = [
  flags.getStringDetails("sure", "mine"),
  flags.getNumberDetails("price", 1),
  flags.getBooleanDetails("free", false),
  flags.getObjectDetails("page", {}),
  flags.getNumberDetails("words", 7),
  flags.getStringDetails("nothing", "mine"),
];
const sent = await abtest.close(20);
console.log(JSON.stringify({ sent, token: abtest.token, found: found.map((each) => [each.value, each.reason]) }));
