import { describe, expect, test } from "vitest";
import type { Call } from "../src/protocol";
import { announcementOf, clock, screenOf } from "../src/screen";
import { aCall, Driven } from "./a_call";

function phone(...calls: Call[]): Driven {
  const page = new Driven("phone");
  page.connect();
  page.on({ type: "stated", state: { lead: false, calls }, at: 1_000 });
  return page;
}

describe("the phone page shows", () => {
  test("that it connects, until the bridge has spoken", () => {
    expect(screenOf(new Driven("phone").session, 0)).toEqual({ kind: "connecting" });
    expect(screenOf(phone().session, 0)).toEqual({ kind: "idle" });
  });

  test("why the bridge refused it", () => {
    const page = new Driven("phone");
    page.on({ type: "refused", code: "not-an-operator", text: "You are no operator." });
    expect(screenOf(page.session, 0)).toEqual({ kind: "refused", sentence: "You are no operator." });
  });

  test("the call in progress before one that rings", () => {
    const talking = aCall({ state: "talking", talkSeconds: 5 });
    const screen = screenOf(phone(aCall({ id: "call-2" }), talking).session, 3_500);
    expect(screen).toMatchObject({ kind: "call", call: { id: "call-1" }, waiting: 1, seconds: 7.5 });
  });

  test("a call that another one answered, without buttons", () => {
    expect(screenOf(phone(aCall({ state: "talking", elsewhere: true })).session, 0)).toMatchObject({
      kind: "elsewhere",
    });
  });

  test("the end of a call for a while, then that it is ready again", () => {
    const page = phone(aCall());
    page.on({
      type: "stated",
      state: { lead: false, calls: [aCall({ state: "ended", ended: "caller-gave-up" })] },
      at: 2_000,
    });
    page.on({ type: "stated", state: { lead: false, calls: [] }, at: 2_100 });
    expect(screenOf(page.session, 9_000)).toMatchObject({ kind: "ended" });
    expect(screenOf(page.session, 10_001)).toEqual({ kind: "idle" });
  });

  test("a call although the socket is away for a moment", () => {
    const page = phone(aCall());
    page.on({ type: "disconnected" });
    expect(screenOf(page.session, 0)).toMatchObject({ kind: "incoming" });
  });
});

test("an incoming call is announced by name, else by number, else as withheld", () => {
  const said = (part: Partial<Call>) => announcementOf({ kind: "incoming", call: aCall(part), waiting: 0 });
  expect(said({ name: "Ada Lovelace" })).toBe("Incoming call from Ada Lovelace");
  expect(said({ number: "123" })).toBe("Incoming call from 123");
  expect(said({ number: "" })).toBe("Incoming call from Number withheld");
});

test.each([
  [0, "0:00"],
  [187.9, "3:07"],
  [3_723, "1:02:03"],
])("%d s is %s", (seconds, text) => {
  expect(clock(seconds)).toBe(text);
});
