// SPDX-License-Identifier: MIT
// abtest as a provider of OpenFeature, and a hook that reports exposures.
//
//   const abtest = await start(...);
//   await OpenFeature.setProviderAndWait(new AbtestProvider(abtest));
//   OpenFeature.getClient().addHooks(new ExposureHook(abtest));

import type {
  ErrorCode,
  EvaluationDetails,
  FlagValue,
  Hook,
  HookContext,
  JsonValue,
  Provider,
  ResolutionDetails,
} from "@openfeature/web-sdk";
import type { Abtest } from "./abtest.js";

/** In abtest, values are texts; this provider gives each in the type of its flag. */
export class AbtestProvider implements Provider {
  readonly metadata = { name: "abtest" };
  readonly runsOn = "client";

  constructor(private readonly abtest: Abtest) {}

  resolveStringEvaluation(key: string, byDefault: string): ResolutionDetails<string> {
    return this.resolve(key, byDefault, (text) => text);
  }

  resolveNumberEvaluation(key: string, byDefault: number): ResolutionDetails<number> {
    return this.resolve(key, byDefault, (text) => {
      const value: unknown = JSON.parse(text);
      return typeof value === "number" ? value : undefined;
    });
  }

  resolveBooleanEvaluation(key: string, byDefault: boolean): ResolutionDetails<boolean> {
    return this.resolve(key, byDefault, (text) => ({ true: true, false: false })[text]);
  }

  resolveObjectEvaluation<T extends JsonValue>(key: string, byDefault: T): ResolutionDetails<T> {
    return this.resolve(key, byDefault, (text) => JSON.parse(text) as T);
  }

  private resolve<T>(key: string, byDefault: T, typed: (text: string) => T | undefined): ResolutionDetails<T> {
    const text = this.abtest.value(key, "");
    if (!text) return { value: byDefault, reason: "DEFAULT" }; // no value is empty
    try {
      const value = typed(text);
      if (value !== undefined) return { value, variant: text, reason: "SPLIT" };
    } catch {} // the text is not of this type
    return { value: byDefault, reason: "ERROR", errorCode: "TYPE_MISMATCH" as ErrorCode };
  }
}

/** When a flag is evaluated, reports an exposure with the value that the app got: evaluate flags as they are shown. */
export class ExposureHook implements Hook {
  constructor(private readonly abtest: Abtest) {}

  finally(context: Readonly<HookContext>, details: EvaluationDetails<FlagValue>): void {
    const value = details.value;
    void this.abtest.shown(context.flagKey, typeof value === "string" ? value : JSON.stringify(value));
  }
}
