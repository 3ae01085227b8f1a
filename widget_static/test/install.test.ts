import { expect, test } from "vitest";
import { outcomeOf } from "../src/install";

test("the report of the bridge is read step by step", () => {
  const answer = {
    steps: [
      { name: "portal", ok: true, text: "known" },
      { name: "lines", ok: false },
    ],
    done: false,
  };
  expect(outcomeOf(answer)).toEqual({
    steps: [
      { name: "portal", ok: true, text: "known" },
      { name: "lines", ok: false, text: "" },
    ],
    done: false,
  });
});

test.each([null, "no", [], {}, { steps: "none" }, { done: true }])("%j is no report", (answer) => {
  expect(outcomeOf(answer)).toBeNull();
});
