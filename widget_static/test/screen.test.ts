import { describe, expect, test } from "vitest";
import type { Call } from "../src/protocol";
import { announcementOf, clock, detailsOf, type Screen, screenOf } from "../src/screen";
import { noConference, obstacles, speakers } from "../src/texts";
import { aCall, aState, Driven, TAB } from "./a_call";

function phone(...calls: Call[]): Driven {
  const page = new Driven("phone");
  page.connect();
  page.on({ type: "stated", state: aState({ lead: false, calls }), at: 1_000 });
  return page;
}

function actionsOf(screen: Screen): string[] {
  return "others" in screen ? screen.others.map(({ call, action }) => `${call.id} ${action}`) : [];
}

const idle = { kind: "idle", notice: null };

describe("the phone page shows", () => {
  test("that it connects, until the bridge has spoken", () => {
    expect(screenOf(new Driven("phone").session, 0)).toEqual({ kind: "connecting" });
    expect(screenOf(phone().session, 0)).toEqual(idle);
  });

  test("why the bridge refused it", () => {
    const page = new Driven("phone");
    page.on({ type: "refused", code: "not-an-operator", text: "You are no operator." });
    expect(screenOf(page.session, 0)).toEqual({ kind: "refused", sentence: "You are no operator." });
  });

  test("the call in progress before one that rings", () => {
    const talking = aCall({ state: "talking", talkSeconds: 5 });
    const screen = screenOf(phone(aCall({ id: "call-2" }), talking).session, 3_500);
    expect(screen).toMatchObject({ kind: "call", call: { id: "call-1" }, seconds: 7.5 });
    expect(actionsOf(screen)).toEqual(["call-2 answer"]);
  });

  test("a call that a colleague is answering, without a button to take it over", () => {
    const screen = screenOf(phone(aCall({ state: "joining", elsewhere: true })).session, 0);
    expect(screen).toMatchObject({ kind: "elsewhere", mayTake: false });
  });

  test("a conversation on another machine of mine, with a button to take it over", () => {
    const screen = screenOf(phone(aCall({ state: "talking", talkSeconds: 1, elsewhere: true })).session, 0);
    expect(screen).toMatchObject({ kind: "elsewhere", mayTake: true });
  });

  test("how far a call to somebody has come", () => {
    const dialling = aCall({ state: "dialling", direction: "outbound" });
    const headline = (part: Partial<Call>) => screenOf(phone({ ...dialling, ...part }).session, 0);
    expect(headline({})).toMatchObject({ kind: "dialling", headline: "Connecting…" });
    expect(headline({ progress: "ringing" })).toMatchObject({ headline: "Ringing…" });
    expect(headline({ progress: "early" })).toMatchObject({ headline: "Waiting for an answer…" });
    expect(headline({ state: "talking", talkSeconds: 0 })).toMatchObject({ kind: "call" });
  });

  test("a conference as one conversation, with both parties and without them beside it", () => {
    const one = aCall({ state: "talking", talkSeconds: 60, conference: "call-2" });
    const other = aCall({ id: "call-2", state: "talking", talkSeconds: 5, conference: "call-1", consults: "call-1" });
    const screen = screenOf(phone(one, other, aCall({ id: "call-3" })).session, 1_000);
    expect(screen).toMatchObject({ kind: "call", headline: "Conference", call: { id: "call-2" }, waiting: null });
    expect(screen).toMatchObject({ partner: { call: { id: "call-1" }, seconds: 60, headline: "In a call" } });
    expect(actionsOf(screen)).toEqual(["call-3 answer"]);
    const held = [one, other].map((call) => ({ ...call, state: "held" as const, held: true }));
    expect(screenOf(phone(...held).session, 0)).toMatchObject({ headline: "On hold", partner: {} });
  });

  test("what could become a conference, and why it did not", () => {
    const talking = aCall({ state: "talking", talkSeconds: 5 });
    const held = aCall({ id: "call-2", state: "held", held: true, talkSeconds: 60 });
    const mayMerge = (...calls: Call[]) => {
      const screen = screenOf(phone(...calls).session, 0);
      return "others" in screen && screen.others.map((other) => other.mayMerge);
    };
    expect(mayMerge(talking, held)).toEqual([true]);
    expect(mayMerge(talking, { ...held, elsewhere: true })).toEqual([false]);
    expect(mayMerge({ ...talking, consults: "call-2" }, held)).toEqual([false]);
    expect(mayMerge({ ...talking, state: "joining" }, held)).toEqual([false]);
    const failed = screenOf(phone(talking, { ...held, conferenceFailed: true }).session, 0);
    expect(failed).toMatchObject({ notice: noConference });
  });

  test("the end of a call for a while, then that it is ready again", () => {
    const page = phone(aCall());
    page.on({
      type: "stated",
      state: aState({ lead: false, calls: [aCall({ state: "ended", ended: "caller-gave-up" })] }),
      at: 2_000,
    });
    page.on({ type: "stated", state: aState({ lead: false }), at: 2_100 });
    expect(screenOf(page.session, 9_000)).toMatchObject({ kind: "ended" });
    expect(screenOf(page.session, 10_001)).toEqual(idle);
  });

  test("a call although the socket is away for a moment", () => {
    const page = phone(aCall());
    page.on({ type: "disconnected" });
    expect(screenOf(page.session, 0)).toMatchObject({ kind: "incoming" });
  });
});

describe("several calls", () => {
  const talking = aCall({ state: "talking", talkSeconds: 5 });
  const held = { ...talking, state: "held", held: true } as const;
  const second = aCall({ id: "call-2" });

  test("answering one in a conversation says that it will be held", () => {
    const label = (...calls: Call[]) => {
      const screen = screenOf(phone(...calls).session, 0);
      return "others" in screen ? screen.others[0]?.label : "";
    };
    expect(label(talking, second)).toBe("Hold & answer");
    expect(label(held, second)).toBe("Answer");
  });

  test("the one that was answered last is in front, the held one beside it", () => {
    const page = phone(talking, second);
    page.hear(talking, { ...second, state: "joining" });
    expect(screenOf(page.session, 0)).toMatchObject({ call: { id: "call-2" } });
    page.hear(held, { ...second, state: "talking", talkSeconds: 0 });
    expect(actionsOf(screenOf(page.session, 0))).toEqual(["call-1 resume"]);
  });

  test("a resumed one comes to the front before the other is confirmed as held", () => {
    const other = aCall({ id: "call-2", state: "talking", talkSeconds: 1 });
    const page = phone(held, other);
    page.hear(talking, other);
    expect(screenOf(page.session, 0)).toMatchObject({ call: { id: "call-1" } });
  });

  test("one that rings is shown above those that are held, and is announced", () => {
    const screen = screenOf(phone(held, { ...talking, id: "call-3" }, second).session, 0);
    expect(actionsOf(screen)).toEqual(["call-2 answer", "call-1 resume"]);
    expect(announcementOf(screen)).toBe("Incoming call from +442079460000");
  });

  test("a conversation on another machine stays in reach while one rings here", () => {
    const screen = screenOf(phone({ ...talking, elsewhere: true }, second).session, 0);
    expect(screen).toMatchObject({ kind: "incoming", label: "Hold & answer" });
    expect(actionsOf(screen)).toEqual(["call-1 take"]);
  });
});

describe("hold", () => {
  const talking = aCall({ state: "talking", talkSeconds: 5 });
  const held = { ...talking, state: "held", held: true } as const;

  function holding(now: number, ...after: Call[]): unknown {
    const page = phone(talking);
    page.on({ type: "holdWished", call: "call-1", held: true, at: 1_000 });
    if (after.length > 0) page.hear(...after);
    const screen = screenOf(page.session, now);
    return screen.kind === "call" ? [screen.headline, screen.holding] : screen;
  }

  test("is shown when the PBX has confirmed it, and waits until then", () => {
    expect(holding(1_500)).toEqual(["In a call", "asked"]);
    expect(holding(1_500, { ...talking, muted: true })).toEqual(["In a call", "asked"]);
    expect(holding(1_500, held)).toEqual(["On hold", ""]);
  });

  test("that the PBX does not confirm is said to have failed, for a while", () => {
    expect(holding(10_000)).toEqual(["In a call", "unconfirmed"]);
    expect(holding(60_000)).toEqual(["In a call", ""]);
  });

  test("by the other side is told", () => {
    const screen = screenOf(phone({ ...talking, pbxHolds: true }).session, 0);
    expect(screen).toMatchObject({ headline: "The other side put you on hold" });
  });
});

describe("the microphone", () => {
  test("this page speaks: it says why, and that it must stay open", () => {
    const spoken = aCall({ state: "talking", talkSeconds: 0, voice: TAB });
    const notice = (page: Driven) => {
      const screen = screenOf(page.session, 0);
      return "notice" in screen ? screen.notice : null;
    };
    expect(notice(phone(spoken))).toBe(speakers["not-delegated"]);
    expect(notice(phone({ ...spoken, notice: "no-device" }))).toBe(speakers["no-device"]);
    expect(notice(phone({ ...spoken, voice: "worker" }))).toBeNull();
  });

  test("what stands in its way is told before a call, unless only this page is concerned", () => {
    const screen = (obstacle: "denied" | "not-delegated") => {
      const page = phone();
      page.on({ type: "measured", presence: { capture: "no" }, obstacle });
      return screenOf(page.session, 0);
    };
    expect(screen("denied")).toMatchObject({ notice: obstacles.denied });
    expect(screen("not-delegated")).toEqual(idle);
  });
});

test("an incoming call is announced by name, else by number, else as withheld", () => {
  const said = (part: Partial<Call>) => announcementOf(screenOf(phone(aCall(part)).session, 0));
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

test("under the name stand the number, the line, and who forwarded the call", () => {
  const call = aCall({ name: "Ann", number: "+4930123456", line: "+4930500" });
  expect(detailsOf(call)).toEqual({ number: "+4930123456", line: "+4930500", diverter: "" });
  expect(detailsOf({ ...call, diverter: "+4930777" }).diverter).toBe("+4930777");
  expect(detailsOf({ ...call, diverter: "+4930500" })).toEqual({
    number: "+4930123456",
    line: "",
    diverter: "+4930500",
  });
  expect(detailsOf({ ...call, name: "" }).number, "it is the headline already").toBe("");
});
