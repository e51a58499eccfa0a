// SPDX-License-Identifier: MIT
// The storage of Node: a folder with small files.

import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Storage } from "./abtest.js";

/** A folder, used by one device alone. Several processes may use it at the same time. */
export function folder(at: string): Storage {
  const of = (name: string) => path.join(at, name);

  /** Write a file so that it survives a power cut, and put it in its place. */
  function write(text: string, put: (written: string) => void): void {
    fs.mkdirSync(at, { recursive: true });
    const written = of(`writing-${randomBytes(8).toString("hex")}`);
    try {
      fs.writeFileSync(written, text, { flush: true } as fs.WriteFileOptions);
      put(written);
    } finally {
      fs.rmSync(written, { force: true });
    }
  }

  return {
    get: (name) => (fs.existsSync(of(name)) ? fs.readFileSync(of(name), "utf8") : null),
    set: (name, text) => write(text, (written) => fs.renameSync(written, of(name))),
    create(name, text) {
      try {
        write(text, (written) => fs.linkSync(written, of(name)));
        return text;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        return fs.readFileSync(of(name), "utf8");
      }
    },
    append: (name, text) => fs.appendFileSync(of(name), text),
    rename(name, to) {
      try {
        fs.renameSync(of(name), of(to));
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        return false;
      }
    },
    remove: (name) => fs.rmSync(of(name), { force: true }),
    names: (prefix) => (fs.existsSync(at) ? fs.readdirSync(at).filter((name) => name.startsWith(prefix)).sort() : []),
  };
}
