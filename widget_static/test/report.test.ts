import { expect, test } from "vitest";
import { errorOf, linesOf, outcomeOf, stepOf, viewOf } from "../src/report";

const encoder = new TextEncoder();

async function read(...chunks: Uint8Array[]): Promise<unknown[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const found: unknown[] = [];
  for await (const said of linesOf(body)) found.push(said);
  return found;
}

test("the report of the bridge is read step by step", () => {
  const answer = {
    steps: [
      { name: "portal", ok: true, text: "known" },
      { name: "line", ok: false },
    ],
    done: false,
  };
  expect(outcomeOf(answer)).toEqual({
    steps: [
      { name: "portal", ok: true, text: "known" },
      { name: "line", ok: false, text: "" },
    ],
    done: false,
  });
  expect(stepOf({ step: { name: "portal", ok: true, text: "known" } })).toEqual(answer.steps[0]);
});

test.each([null, "no", [], {}, { steps: "none" }, { done: true }])("%j is no report and no step", (answer) => {
  expect(outcomeOf(answer)).toBeNull();
  expect(stepOf(answer)).toBeNull();
  expect(viewOf(answer)).toBeNull();
});

test("how things stand comes with what was chosen", () => {
  const choice = { line: "+4930", line_name: "Front desk", region: "DE" };
  expect(viewOf({ state: [{ name: "worker", ok: true }], installed: true, choice })).toEqual({
    state: [{ name: "worker", ok: true, text: "" }],
    installed: true,
    choice,
  });
});

test("a refusal is a sentence", () => {
  expect(errorOf({ error: "No." })).toBe("No.");
  expect(errorOf({ error: 5 })).toBe("");
  expect(errorOf(null)).toBe("");
});

test("lines are read however the network cuts them", async () => {
  const whole = encoder.encode('{"step":{"name":"ä"}}\n\nnonsense\n{"done":true}');
  const expected = [{ step: { name: "ä" } }, { done: true }];
  for (let at = 0; at <= whole.length; at++) expect(await read(whole.slice(0, at), whole.slice(at))).toEqual(expected);
});
