import { describe, expect, test } from "vitest";
import type { Call } from "../src/protocol";
import { screenOf } from "../src/screen";
import { transferFailures } from "../src/texts";
import { aCall, aState, Driven } from "./a_call";

const talking = aCall({ state: "talking", talkSeconds: 5 });

function phone(...calls: Call[]): Driven {
  const page = new Driven("phone");
  page.connect();
  page.on({ type: "stated", state: aState({ lead: false, calls }), at: 0 });
  return page;
}

describe("passing a call on", () => {
  test("at once is one message", () => {
    const effects = phone(talking).on({ type: "transferWished", call: "call-1", number: "300" });
    const payload = { call: "call-1", number: "300", user: 0 };
    expect(effects).toEqual([{ type: "send", name: "transfer", payload }]);
  });

  test("after a word dials a second call about the first, once", () => {
    const page = phone(talking);
    const wish = { type: "consultWished", call: "call-1", number: "300", dial: "d1", at: 0 } as const;
    const payload = { call: "call-1", dial: "d1", number: "300", user: 0 };
    expect(page.on(wish)).toEqual([{ type: "send", name: "consult", payload }]);
    expect(page.on({ ...wish, dial: "d2", at: 100 })).toEqual([]);
  });

  test.each(["complete", "back"] as const)("%s is a wish about the second call", (wish) => {
    const effects = phone(talking).on({ type: "wished", wish, call: "call-2" });
    expect(effects).toEqual([{ type: "send", name: wish, payload: { call: "call-2" } }]);
  });

  test("shows who waits while somebody else is asked", () => {
    const held = aCall({ state: "held", held: true, talkSeconds: 9 });
    const asking = aCall({ id: "call-2", state: "talking", talkSeconds: 1, consults: "call-1" });
    expect(screenOf(phone(held, asking).session, 0)).toMatchObject({
      kind: "call",
      call: { id: "call-2" },
      waiting: { id: "call-1" },
    });
    expect(screenOf(phone(asking).session, 0)).toMatchObject({ waiting: null });
  });

  test("shows how far it has come", () => {
    const headline = (part: Partial<Call>) =>
      screenOf(phone(aCall({ state: "transferring", talkSeconds: 5, ...part })).session, 0);
    expect(headline({})).toMatchObject({ kind: "call", headline: "Passing the call on…" });
    expect(headline({ transferTo: "300" })).toMatchObject({ headline: "Passing the call on to 300…" });
    expect(headline({ transferTo: "300", transferRings: true })).toMatchObject({ headline: "It rings at 300…" });
  });

  test.each(Object.keys(transferFailures) as (keyof typeof transferFailures)[])("says why it failed: %s", (why) => {
    const notice = transferFailures[why];
    const screen = screenOf(phone({ ...talking, transferFailed: why }).session, 0);
    expect(screen).toMatchObject({ kind: "call", notice });
  });

  test("knows the colleagues that it asked for", () => {
    const page = phone(talking);
    expect(page.on({ type: "colleaguesAsked" })).toEqual([{ type: "send", name: "colleagues", payload: {} }]);
    const colleagues = [{ user: 2, name: "Boris Lang", number: "1002", state: "free" as const }];
    page.on({ type: "colleaguesTold", colleagues });
    expect(page.session.colleagues).toEqual(colleagues);
  });
});
