// Drives clients of one language: a command comes in, its answer goes out, each a line of flat JSON.

import { createInterface } from "node:readline";
import { Abtest, start } from "./abtest.js";
import { folder } from "./node.js";

type Texts = Record<string, string>;

const clients = new Map<string, Abtest>();

async function done(command: Texts): Promise<Texts> {
  const name = command.client!;
  if (command.do === "start") {
    const times = { timeout: Number(command.timeout), sendEvery: Number(command.send_every), pause: Number(command.pause) };
    const attributes = { platform: "test" };
    clients.set(name, await start(command.url!, folder(command.folder!), attributes, { ...times, say: () => {} }));
    return {};
  }
  const client = clients.get(name)!;
  switch (command.do) {
    case "value":
      return { value: client.value(command.key!, command.default!) };
    case "shown":
      await client.shown(command.key!, command.value!);
      break;
    case "track":
      for (let left = Number(command.times); left > 0; left -= 1) await client.track(command.name!, command.amount);
      break;
    case "restart":
      client.restart();
      break;
    case "flush":
      return { done: String(await client.flush(Number(command.seconds))) };
    case "close":
      return { done: String(await client.close(Number(command.seconds))) };
  }
  const counts = { queued: client.queued, dropped: client.dropped, rejected: client.rejected };
  const texts = Object.entries(counts).map(([name, count]) => [name, String(count)]);
  return { token: client.token ?? "", ...Object.fromEntries(texts) };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await done(JSON.parse(line)))}\n`);
}
