/// <reference types="vite/client" />
import { describe, expect, test } from "vitest";
import protocol from "../src/protocol.ts?raw";
import * as texts from "../src/texts";

/** The values of a union type in the generated protocol. */
function valuesOf(type: string): string[] {
  const [, union = ""] = new RegExp(`export type ${type} =([^;]*);`).exec(protocol) ?? [];
  return [...union.matchAll(/"([^"]*)"/g)].map(([, value = ""]) => value).sort();
}

describe("there is a sentence for every", () => {
  test.each([
    ["Ended", texts.endings],
    ["VoiceFailure", texts.notices],
    ["VoiceFailure", texts.speakers],
    ["Refusal", texts.refusals],
    ["Capture", texts.readiness],
    ["CallState", texts.cardTexts.states],
  ])("%s", (type, table) => {
    expect(valuesOf(type)).not.toEqual([]);
    expect(Object.keys(table).sort()).toEqual(valuesOf(type));
  });
});

test("no two endings of a call read the same", () => {
  const sentences = Object.values(texts.endings);
  expect(new Set(sentences).size).toBe(sentences.length);
});

test("no sentence is empty", () => {
  const leaves = (value: unknown): unknown[] =>
    typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [value];
  for (const leaf of leaves(texts)) expect(leaf).not.toBe("");
});

test.each([
  [4.4, 4.3, "", "Voice: good"],
  [4.4, 3.7, "", "Voice: fair"],
  [3.3, 4.4, "pbx-loss", `Voice: poor. ${texts.troubles["pbx-loss"]}`],
  [2.9, 1.2, "operator-jitter", `Voice: bad. ${texts.troubles["operator-jitter"]}`],
] as const)("scores %d and %d with %j read %j", (heard, said, trouble, sentence) => {
  expect(texts.soundOf({ heard, said, trouble })).toBe(sentence);
});
