// Evaluates flags through OpenFeature's SDK, and says what came of them: what an app does. The storage is as
// asynchronous as React Native's.

import { OpenFeature } from "@openfeature/web-sdk";
import { keyed, start } from "./abtest.js";
import { AbtestProvider, ExposureHook } from "./openfeature.js";

const [url, timeout] = process.argv.slice(2);
const kept = new Map<string, string>();
const asyncStorage = {
  getItem: async (key: string) => kept.get(key) ?? null,
  setItem: async (key: string, text: string) => void kept.set(key, text),
  removeItem: async (key: string) => void kept.delete(key),
  getAllKeys: async () => [...kept.keys()],
};
const abtest = await start(url!, keyed(asyncStorage), {}, { timeout: Number(timeout), pause: 0.1, say: () => {} });
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
