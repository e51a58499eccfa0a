// SPDX-License-Identifier: MIT
// A client of abtest for browsers, React Native and Node 18 and newer, in one file without dependencies. Read it, then
// paste or install it.
//
//   const abtest = await start("https://abtest.example.com", keyed(localStorage), { platform: "web" });
//   const color = abtest.value("button_color", "#5A6270");
//   abtest.shown("button_color", color); // when a person sees it
//   abtest.track("purchase", "9.99");
//
// Values are fixed for a whole start. A start uses the values of the last answer at once, and fetches a fresh answer
// for the next start. Only the first start waits for an answer, at most `timeout` seconds; if none comes, it goes on
// with the code's defaults. Events are kept in the storage until the server has confirmed them. Nothing here throws or
// rejects because of the network or the storage; `options.say` is told what goes wrong.

const BATCH_EVENTS = 500;
const BATCH_BYTES = 64 * 1024;
const FILE_EVENTS = 100;
const LONGEST_PAUSE = 300;
const LONGEST_RETRY_AFTER = 86_400;
/** Statuses with which the server refuses the same events every time. */
const REFUSED = new Set([400, 413, 415, 422]);

type Soon<T> = T | Promise<T>;

/** Small texts by name. `create` stores a text unless there is one, and returns the one that is there; `rename` returns
 * whether there was one. What was appended survives a crash. */
export interface Storage {
  get(name: string): Soon<string | null>;
  set(name: string, text: string): Soon<void>;
  create(name: string, text: string): Soon<string>;
  append(name: string, text: string): Soon<void>;
  rename(name: string, to: string): Soon<boolean>;
  remove(name: string): Soon<void>;
  names(prefix: string): Soon<string[]>;
}

/** Times are in seconds. The first start waits for at most `timeout`, each request for at most `requestTimeout`. Events
 * are sent every `sendEvery`. After a failure comes a `pause`, which doubles up to 5 minutes. When more than
 * `mostEvents` events wait, the oldest are dropped. */
export interface Options {
  timeout: number;
  requestTimeout: number;
  sendEvery: number;
  pause: number;
  mostEvents: number;
  say: (what: string) => void;
}

const USUAL: Options = {
  timeout: 2,
  requestTimeout: 10,
  sendEvery: 5,
  pause: 1,
  mostEvents: 10_000,
  say: (what) => console.warn(`abtest: ${what}`),
};

/** Resolves to the client once its values are fixed. `url`: that of the server, or of one of its apps. `storage`: used
 * by this device alone. `attributes`: what the device says about itself in its first request. */
export async function start(
  url: string,
  storage: Storage,
  attributes: Record<string, string> = {},
  options: Partial<Options> = {},
): Promise<Abtest> {
  const abtest = new Abtest(url.replace(/\/+$/, ""), storage, attributes, { ...USUAL, ...options });
  await abtest.begin();
  return abtest;
}

/** The storage of a browser (localStorage), or of React Native (AsyncStorage). */
export function keyed(store: {
  getItem(key: string): Soon<string | null>;
  setItem(key: string, text: string): Soon<void>;
  removeItem(key: string): Soon<void>;
  getAllKeys?(): Soon<readonly string[]>;
}): Storage {
  const own = "abtest.";
  const storage: Storage = {
    get: (name) => store.getItem(own + name),
    set: (name, text) => store.setItem(own + name, text),
    async create(name, text) {
      const kept = await store.getItem(own + name);
      if (kept === null) await store.setItem(own + name, text);
      return kept ?? (await store.getItem(own + name)) ?? text; // another tab may have been faster
    },
    async append(name, text) {
      await store.setItem(own + name, ((await store.getItem(own + name)) ?? "") + text);
    },
    async rename(name, to) {
      const text = await store.getItem(own + name);
      if (text !== null) await store.setItem(own + to, text);
      await store.removeItem(own + name);
      return text !== null;
    },
    remove: (name) => store.removeItem(own + name),
    async names(prefix) {
      const keys = store.getAllKeys ? await store.getAllKeys() : Object.keys(store);
      return keys.filter((key) => key.startsWith(own + prefix)).map((key) => key.slice(own.length)).sort();
    },
  };
  return storage;
}

interface Device {
  token: string;
  etag?: string | null;
  values?: Record<string, string>;
}

/** Events as JSON by their ids. */
interface EventFile {
  name: string;
  events: Map<string, string>;
  kept: boolean;
}

class Later extends Error {
  constructor(why: string, readonly seconds = 0) {
    super(why);
  }
}

/** The values of this start, and the events that wait to be sent. Made by `start`. */
export class Abtest {
  /** How many events of this start were dropped because too many were waiting. */
  dropped = 0;
  /** How many events were dropped because the server refuses them. */
  rejected = 0;
  private device: Device | null = null;
  private values: Map<string, string> | null = null;
  private readonly seen = new Set<string>();
  private files: EventFile[] = [];
  private readonly started = `events-${String(Date.now()).padStart(13, "0")}-${random(4)}`;
  private made = 0;
  private mostInBatch = BATCH_EVENTS;
  private asking = true;
  private hurry = true;
  private closed = false;
  private disk: Promise<unknown> = Promise.resolve();
  private readonly waiting = new Set<() => void>();

  /** Use `start`. */
  constructor(
    private readonly url: string,
    private readonly storage: Storage,
    private readonly attributes: Record<string, string>,
    private readonly options: Options,
  ) {}

  /** Use `start`. */
  async begin(): Promise<void> {
    await this.safely(() => this.open());
    void this.work();
    await this.until(() => this.device?.values, this.options.timeout);
    this.fix();
  }

  /** The device's token, for `abtest why`; null while the storage can't be written. */
  get token(): string | null {
    return this.device?.token ?? null;
  }

  /** How many events wait for the server's confirmation. */
  get queued(): number {
    return this.files.reduce((sum, file) => sum + file.events.size, 0);
  }

  /** The device's value for an experiment, or the default if it has none. The same for the whole start. */
  value(key: string, byDefault: string): string {
    return this.values?.get(key) ?? byDefault;
  }

  /** Report an exposure: a person sees this value. It is reported once per start and experiment. */
  shown(key: string, value: string): Promise<void> {
    if (this.seen.has(key)) return Promise.resolve();
    this.seen.add(key);
    if (this.values && !this.values.has(key)) {
      this.options.say(`${key} is not reported as shown: this device has no value for it; is the key right?`);
      return Promise.resolve();
    }
    return this.add({ name: "exposure", experiment: key, value });
  }

  /** Report an event. An amount has at most 4 decimals, negative for a refund. Resolves once it is stored. */
  track(name: string, amount?: string | number): Promise<void> {
    return this.add(amount === undefined ? { name } : { name, amount: String(amount) });
  }

  /** Begin a new start in the same process: use the values of the last answer, and fetch a fresh one. */
  restart(): void {
    this.fix();
    this.seen.clear();
    this.asking = true;
    this.changed();
  }

  /** Send events now, but not during a pause after a failure. Resolves to whether all are confirmed. */
  flush(timeout = 2): Promise<boolean> {
    this.hurry = true;
    this.changed();
    return this.until(() => !this.files.length, timeout);
  }

  /** Flush, and stop. Events that are left are sent after the next start. */
  async close(timeout = 2): Promise<boolean> {
    const done = await this.flush(timeout);
    this.closed = true;
    this.changed();
    return done;
  }

  private fix(): void {
    this.values = this.device?.values ? new Map(Object.entries(this.device.values)) : null;
  }

  /** Read the device, or make its token; take over the events of earlier starts. */
  private async open(): Promise<void> {
    const made = JSON.stringify({ token: random(16) });
    let device = readDevice(await this.storage.create("device", made));
    if (!device) {
      await this.storage.set("device", made); // what was there is damaged
      device = readDevice(made);
    }
    for (const name of await this.storage.names("events-")) {
      const file = this.newFile();
      if (name.startsWith(this.started) || !(await this.storage.rename(name, file.name))) continue;
      file.events = readEvents((await this.storage.get(file.name)) ?? "", this.options.say);
      if (file.events.size) this.files.push(file);
      else await this.storage.remove(file.name); // the process died before it wrote the first
    }
    this.device = device;
  }

  private add(event: Record<string, string>): Promise<void> {
    const id = random(16);
    const text = JSON.stringify({ id, ...event, at: new Date().toISOString() });
    let file = this.files[this.files.length - 1];
    if (!file || file.events.size >= FILE_EVENTS) this.files.push((file = this.newFile()));
    file.events.set(id, text);
    const kept = this.safely(() => this.append(file, text));
    while (this.queued > this.options.mostEvents && this.files.length > 1) {
      const oldest = this.files.shift() as EventFile;
      this.dropped += oldest.events.size;
      this.options.say(`too many events are waiting: dropped the oldest ${oldest.events.size}`);
      void this.safely(() => this.storage.remove(oldest.name));
    }
    this.changed();
    return kept;
  }

  private newFile(): EventFile {
    return { name: `${this.started}-${String(++this.made).padStart(6, "0")}`, events: new Map(), kept: true };
  }

  private async append(file: EventFile, text: string): Promise<void> {
    if (!file.kept) return this.keep(file);
    file.kept = false;
    await this.storage.append(file.name, text + "\n");
    file.kept = true;
  }

  private async keep(file: EventFile): Promise<void> {
    file.kept = false;
    if (file.events.size) await this.storage.set(file.name, [...file.events.values()].map((each) => each + "\n").join(""));
    else await this.storage.remove(file.name);
    file.kept = true;
  }

  /** One write after the other. What could not be written stays in memory, and is written later. */
  private safely(work: () => Soon<void>): Promise<void> {
    const done = this.disk.then(work).catch((error) => this.options.say(`can't write to the storage yet: ${error}`));
    this.disk = done;
    return done;
  }

  /** Ask and send until closed. Pauses are partly random, so that devices don't come all at once. */
  private async work(): Promise<void> {
    for (let failures = 0; !this.closed; ) {
      let pause = 0;
      try {
        if (this.asking) await this.ask();
        else if (this.files.length) await this.send();
        failures = 0;
      } catch (error) {
        const backoff = Math.min(this.options.pause * 2 ** Math.min(failures++, 20), LONGEST_PAUSE);
        pause = Math.max(backoff, error instanceof Later ? error.seconds : 0) * (1 + Math.random() / 2);
        this.options.say(`trying again in ${pause.toFixed(1)} s: ${error}`);
      }
      for (const file of this.files) if (!file.kept) await this.safely(() => this.keep(file));
      if (pause) {
        await this.until(() => this.closed, pause);
      } else {
        await this.until(() => this.closed || this.asking || this.files.length);
        await this.until(
          () => this.closed || this.asking || this.hurry || this.queued >= BATCH_EVENTS,
          this.options.sendEvery,
        );
      }
    }
  }

  private async ask(): Promise<void> {
    if (!this.device) await this.open(); // without a stored token, the next start would be another device
    const device = this.device as Device | null;
    if (!device) throw new Later("there is no token yet");
    const query = Object.entries(this.attributes).map((pair) => pair.map(encodeURIComponent).join("="));
    const path = `/api/v1/experiments${query.length ? "?" : ""}${query.join("&")}`;
    const { status, text, etag } = await this.request(device, path, device.etag ? { "If-None-Match": device.etag } : {});
    if (status === 200) {
      const fresh = readDevice(JSON.stringify({ token: device.token, etag, values: JSON.parse(text) }));
      if (!fresh) throw new Later("this is not an answer from abtest");
      await this.safely(() => this.storage.set("device", JSON.stringify(fresh)));
      this.device = fresh;
    } else if (status !== 304) {
      throw new Later(`the answer was ${status}`);
    }
    this.asking = false;
    this.changed();
  }

  private async send(): Promise<void> {
    const batch = new Map<string, string>();
    let size = 100;
    for (const [id, text] of this.files.flatMap((file) => [...file.events])) {
      size += bytes(text) + 1;
      if (batch.size && (batch.size >= this.mostInBatch || size > BATCH_BYTES)) break;
      batch.set(id, text);
    }
    const headers = { "Content-Type": "application/json" };
    const body = `{"events":[${[...batch.values()].join(",")}]}`;
    const { status, text } = await this.request(this.device as Device, "/api/v1/events", headers, body);
    if (status === 404 && text.includes('"unknown_device"')) this.asking = true;
    if (REFUSED.has(status) && batch.size > 1) {
      this.mostInBatch = Math.floor(batch.size / 2); // one event is to blame: halve until it is found
    } else if (status === 202 || REFUSED.has(status)) {
      this.mostInBatch = Math.min(2 * this.mostInBatch, BATCH_EVENTS);
      if (status !== 202) {
        this.rejected += 1;
        this.options.say(`dropped an event that the server refuses: ${text.slice(0, 300)}: ${body}`);
      }
      await this.confirm(batch);
    } else {
      throw new Later(`the answer was ${status}`);
    }
  }

  private async confirm(batch: Map<string, string>): Promise<void> {
    for (const file of this.files) {
      const before = file.events.size;
      for (const id of batch.keys()) file.events.delete(id);
      if (file.events.size < before) await this.safely(() => this.keep(file));
    }
    this.files = this.files.filter((file) => file.events.size);
    this.hurry &&= this.files.length > 0;
    this.changed();
  }

  private async request(
    device: Device,
    path: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<{ status: number; text: string; etag: string | null }> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.options.requestTimeout * 1000);
    try {
      const answer = await fetch(this.url + path, {
        method: body === undefined ? "GET" : "POST",
        headers: { "Device-Token": device.token, ...headers },
        body,
        signal: abort.signal,
        redirect: "error", // a redirect comes from something else, such as a network that wants a sign-in first
        cache: "no-store",
        credentials: "omit",
      });
      const text = await answer.text();
      const seconds = Math.min(Number(answer.headers.get("Retry-After")) || 0, LONGEST_RETRY_AFTER);
      if (answer.status === 429 || answer.status === 503) throw new Later(`the answer was ${answer.status}`, seconds);
      return { status: answer.status, text, etag: answer.headers.get("ETag") };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until the condition holds, at most so many seconds. Resolves to whether it holds. */
  private until(condition: () => unknown, seconds = Infinity): Promise<boolean> {
    return new Promise((resolve) => {
      const check = () => condition() && end(true);
      const end = (holds: boolean) => {
        clearTimeout(timer);
        this.waiting.delete(check);
        resolve(holds);
      };
      const timer = seconds < Infinity ? setTimeout(() => end(false), seconds * 1000) : undefined;
      this.waiting.add(check);
      check();
    });
  }

  private changed(): void {
    for (const check of [...this.waiting]) check();
  }
}

/** What is stored of a device; null if it is damaged. */
function readDevice(text: string): Device | null {
  try {
    const kept = JSON.parse(text);
    const values = Object.values(kept.values ?? {});
    const isObject = kept.values === undefined || (typeof kept.values === "object" && !Array.isArray(kept.values));
    return typeof kept.token === "string" && isObject && values.every((each) => typeof each === "string") ? kept : null;
  } catch {
    return null;
  }
}

function readEvents(text: string, say: (what: string) => void): Map<string, string> {
  const events = new Map<string, string>();
  for (const line of text.split("\n").filter(Boolean)) {
    try {
      events.set(String(JSON.parse(line).id), line);
    } catch {
      say("left out a damaged event");
    }
  }
  return events;
}

/** An upper bound of the text's bytes in UTF-8. */
function bytes(text: string): number {
  return /^[\x00-\x7f]*$/.test(text) ? text.length : 3 * text.length;
}

/** So many random bytes, in hexadecimal. React Native gets `crypto` from react-native-get-random-values. */
function random(count: number): string {
  const numbers = new Uint8Array(count).map(() => Math.random() * 256);
  if (typeof crypto !== "undefined") crypto.getRandomValues(numbers);
  return Array.from(numbers, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
