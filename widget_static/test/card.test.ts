import { describe, expect, test } from "vitest";
import {
  CARD_EVENTS,
  type CardEvent,
  cardOf,
  commandsFor,
  faceOf,
  isMissing,
  transferTarget,
  type UiState,
} from "../src/card";
import type { Call, CallState, Ended } from "../src/protocol";
import { aCall, aCard, Driven, drawn, said, TAB, types } from "./a_call";

const QUIET = { online: true, consultation: undefined, failure: "" };

describe("what the card shows", () => {
  test.each<[CallState, "inbound" | "outbound", string]>([
    ["ringing", "inbound", "incoming"],
    ["dialling", "outbound", "connectingOutgoing"],
    ["joining", "inbound", "connectingIncoming"],
    ["joining", "outbound", "connectingOutgoing"],
    ["talking", "inbound", "connected"],
    ["held", "inbound", "connected"],
    ["rejoining", "inbound", "connected"],
    ["transferring", "outbound", "transferConnected"],
  ])("%s %s → %s", (state, direction, ui) => {
    expect(faceOf(aCall({ state, direction }), QUIET)).toMatchObject({ ui });
  });

  test("a call that a colleague has passed on says so while it rings", () => {
    const passed = aCall({ referrer: "1001" });
    expect(faceOf(passed, QUIET)).toMatchObject({ ui: "transferIncoming", status: "Passed on by 1001" });
    expect(faceOf({ ...passed, state: "joining" }, QUIET)).toMatchObject({ ui: "connectingIncoming" });
  });

  test.each<[Ended, UiState]>([
    ["busy", "redial"],
    ["no-answer", "redial"],
    ["rejected", "redial"],
    ["unknown-number", "error"],
    ["forbidden", "error"],
    ["no-funds", "moneyError"],
  ])("a number that could not be reached, %s → %s, with the reason", (ended, ui) => {
    const face = faceOf(aCall({ state: "ended", direction: "outbound", ended }), QUIET);
    expect(face).toMatchObject({ ui, muted: false, held: false, status: expect.stringMatching(/\.$/) });
  });

  test("any other end, and a call that somebody else took, close the card", () => {
    expect(faceOf(aCall({ state: "ended", ended: "caller-gave-up" }), QUIET)).toBe("closed");
    expect(faceOf(aCall({ state: "ended", direction: "outbound", ended: "cancelled" }), QUIET)).toBe("closed");
    const spoken = { direction: "outbound", talkSeconds: 7, ended: "failed" } as const;
    expect(faceOf(aCall({ state: "ended", ...spoken }), QUIET)).toBe("closed");
    expect(faceOf(aCall({ state: "talking", elsewhere: true }), QUIET)).toBe("closed");
  });

  test("why answering failed stands on the card of the call that rings again", () => {
    expect(faceOf(aCall({ notice: "no-device" }), QUIET)).toMatchObject({ status: "No microphone was found." });
  });

  test("only what changed is commanded", () => {
    const shown = { ui: "connected", muted: false, held: false, status: "In a call" } as const;
    expect(commandsFor(shown, shown)).toEqual([]);
    expect(commandsFor(shown, { ...shown, muted: true })).toEqual([
      { command: "CallCardSetMute", params: { muted: true } },
    ]);
  });
});

const setUi = (uiState: UiState) => ({
  type: "card",
  card: "card-1",
  command: "CallCardSetUiState",
  params: { uiState },
});
const setStatus = (statusText: string) => ({
  type: "card",
  card: "card-1",
  command: "CallCardSetStatusText",
  params: { statusText },
});
const close = { type: "card", card: "card-1", command: "CallCardClose", params: {} };

describe("a card in a session", () => {
  const ringing = aCall({ card: "card-1" });
  const talking = aCall({ card: "card-1", state: "talking", voice: TAB });

  function withCard(): Driven {
    const page = new Driven();
    page.connect();
    page.hear(ringing);
    page.on(drawn);
    page.effects = [];
    return page;
  }

  test("the bridge is told of it, whosever it is", () => {
    const page = new Driven();
    expect(page.on(drawn)).toEqual([{ type: "send", name: "card", payload: aCard() }]);
    expect(page.on(said("initialized", { CALL_ID: 7 }))).toEqual([]);
  });

  test("it may be drawn before or after the bridge knows its name", () => {
    const late = new Driven();
    late.connect();
    late.hear(ringing);
    const dressed = late.on(drawn).filter((effect) => effect.type === "card");
    const early = new Driven();
    early.connect();
    early.hear(aCall());
    expect(types(early.on(drawn))).toEqual(["send card"]);
    expect(early.hear(ringing)).toEqual(dressed);
  });

  test("the card of another application is left alone", () => {
    const page = new Driven();
    page.connect();
    page.on(said("initialized", { CALL_ID: "theirs" }));
    page.hear(ringing);
    expect(types(page.hear())).not.toContain("card");
    expect(page.on(said("answer"))).toEqual([]);
    expect(page.on(said("makeCall"))).toEqual([]);
  });

  test.each<[CardEvent, string]>([
    ["skip", "decline"],
    ["hangUp", "hangUp"],
    ["next", "hangUp"],
  ])("%s click → %s", (button, name) => {
    expect(withCard().on(said(button))).toEqual([{ type: "send", name, payload: { call: "call-1" } }]);
  });

  test("answer click → answer, and this page, which will speak, opens its microphone", () => {
    expect(withCard().on(said("answer"))).toMatchObject([
      { type: "send", name: "answer", payload: { call: "call-1" } },
      { type: "capture" },
    ]);
  });

  test("a mute click is sent and the button is left as it was clicked", () => {
    const page = withCard();
    page.hear(talking);
    const sent = { type: "send", name: "mute", payload: { call: "call-1", muted: true } };
    expect(page.on(said("mute", true))).toEqual([sent]);
    expect(types(page.hear({ ...talking, muted: true }))).toEqual(["setFlow"]);
  });

  test("hold is sent, and the button shows it only when the PBX has confirmed it", () => {
    const page = withCard();
    page.hear(talking);
    const setHold = (held: boolean) => ({ type: "card", card: "card-1", command: "CallCardSetHold", params: { held } });
    const sent = { type: "send", name: "hold", payload: { call: "call-1", held: true } };
    expect(page.on(said("hold", true))).toEqual([sent, setHold(false)]);
    expect(page.hear({ ...talking, state: "held", held: true })).toContainEqual(setHold(true));
  });

  test("a key of the card's keypad is sent, anything else is not", () => {
    const page = withCard();
    page.hear(talking);
    const sent = { type: "send", name: "digits", payload: { call: "call-1", press: "said-1", digits: "5" } };
    expect(page.on(said("dialpad", "5"))).toEqual([sent]);
    expect(page.on(said("dialpad", "55"))).toEqual([]);
  });

  test("a mark for the quality and a comment are sent", () => {
    const page = withCard();
    page.hear(talking);
    expect(page.on(said("quality", "4"))).toEqual([
      { type: "send", name: "rate", payload: { call: "call-1", mark: 4 } },
    ]);
    expect(page.on(said("comment", "Wants tiles."))).toEqual([
      { type: "send", name: "comment", payload: { call: "call-1", text: "Wants tiles." } },
    ]);
  });

  test("a card that the operator closed gets no more commands, and the call goes on", () => {
    const page = withCard();
    expect(page.on(said("close"))).toEqual([]);
    expect(types(page.hear(talking))).not.toContain("card");
  });

  test("the card closes once, also when the end of the call was missed", () => {
    const page = withCard();
    expect(page.hear()).toContainEqual(close);
    expect(page.hear()).toEqual([]);
  });

  test("a card drawn anew after a reload is dressed from scratch", () => {
    const page = withCard();
    page.hear(talking);
    expect(page.on(drawn)).toContainEqual(setUi("connected"));
  });

  test("a card that the portal brought back before anybody listened is tried, and forgotten if it is not there", () => {
    const page = new Driven();
    page.connect();
    page.on({ type: "cardLeft", card: "card-1" });
    expect(page.hear(talking)).toContainEqual(setUi("connected"));
    page.on({ type: "cardMissed", card: "card-1" });
    expect(types(page.hear({ ...talking, muted: true }))).not.toContain("card");
  });

  test("the reply to a command tells whether there is a card", () => {
    expect(isMissing([{ result: "error", errorCode: "Call card is undefined" }])).toBe(true);
    expect(isMissing([])).toBe(false);
    expect(isMissing(null)).toBe(false);
  });
});

describe("the card of a click on a number", () => {
  const outgoing = said("initialized", { CALL_ID: "card-1", PHONE_NUMBER: "+49 30", CALL_DIRECTION: "outgoing" });
  const dialling = aCall({ card: "card-1", state: "dialling", direction: "outbound" });
  const ended = (how: Ended): Call => ({ ...dialling, state: "ended", ended: how });

  function clicked(): Driven {
    const page = new Driven();
    page.connect();
    page.hear();
    page.on(outgoing);
    return page;
  }

  test("tells the bridge what it needs to make the call", () => {
    const payload = { card: "card-1", outgoing: true, number: "+49 30", line: "" };
    expect(clicked().effects).toContainEqual({ type: "send", name: "card", payload });
  });

  test("follows the call", () => {
    const page = clicked();
    expect(page.hear(dialling)).toContainEqual(setUi("connectingOutgoing"));
    expect(page.hear({ ...dialling, progress: "ringing" })).toContainEqual(setStatus("Ringing…"));
    expect(page.hear({ ...dialling, state: "talking", talkSeconds: 0 })).toContainEqual(setUi("connected"));
  });

  test("says why the call could not be made now, and has a button to try again", () => {
    const page = clicked();
    const effects = page.on({ type: "complained", text: "Another call is being connected.", card: "card-1" });
    expect(effects).toEqual([setUi("outgoing"), setStatus("Another call is being connected.")]);
    expect(types(page.on(said("makeCall")))).toEqual(["send card"]);
    expect(page.hear(dialling)).toContainEqual(setUi("connectingOutgoing"));
    expect(page.hear({ ...dialling, state: "ended", ended: "cancelled" })).toContainEqual(close);
  });

  test("a complaint about something else does not touch it", () => {
    expect(clicked().on({ type: "complained", text: "No.", card: "" })).toEqual([]);
  });

  test("offers to dial again when nobody was reached", () => {
    const page = clicked();
    page.hear(dialling);
    expect(page.hear(ended("busy"))).toContainEqual(setUi("redial"));
    expect(page.hear()).toEqual([]);
    expect(page.on(said("makeCall"))).toEqual([
      { type: "send", name: "dial", payload: { dial: "said-1", number: dialling.number } },
    ]);
    expect(page.on(said("makeCall")), "a double click makes one call").toEqual([]);
    expect(page.hear({ ...dialling, id: "call-2", card: "" }), "there is one card: it makes room").toContainEqual(
      close,
    );
  });

  test("lets the operator call for the administrator when the call was not paid for", () => {
    const page = clicked();
    page.hear(dialling);
    expect(page.hear(ended("no-funds"))).toContainEqual(setUi("moneyError"));
    expect(page.on(said("notifyAdmin"))).toEqual([{ type: "send", name: "notifyAdmin", payload: { call: "call-1" } }]);
  });
});

describe("passing a call on by the card", () => {
  const call = aCall({ card: "card-1", state: "talking", voice: TAB, talkSeconds: 5 });
  const held = { ...call, state: "held", held: true } as const;
  const asked = aCall({ id: "call-2", state: "dialling", direction: "outbound", number: "300", consults: "call-1" });
  const answered = { ...asked, state: "talking", talkSeconds: 1 } as const;

  function talking(): Driven {
    const page = new Driven();
    page.connect();
    page.hear(call);
    page.on(drawn);
    return page;
  }

  function asking(consultation: Call = asked): Driven {
    const page = talking();
    page.hear(held, consultation);
    return page;
  }

  test.each<[unknown, { number: string; user: number }]>([
    [
      { phoneNumber: "+49 30", target: "7" },
      { number: "7", user: 7 },
    ],
    [
      { phoneNumber: "+49 30", target: 7 },
      { number: "7", user: 7 },
    ],
    [
      { phoneNumber: "+49 30", target: "+49 (30) 5" },
      { number: "+49305", user: 0 },
    ],
    [
      { type: "user", target: "7" },
      { number: "", user: 7 },
    ],
    [
      { type: "pstn", target: "300" },
      { number: "300", user: 0 },
    ],
    [
      { type: "queue", target: "7" },
      { number: "", user: 0 },
    ],
    ["7", { number: "", user: 0 }],
  ])("%j → %j", (payload, target) => {
    expect(transferTarget(payload)).toEqual(target);
  });

  test("whoever is chosen is asked first, once", () => {
    const page = talking();
    const payload = { call: "call-1", dial: "said-1", number: "", user: 7 };
    const click = said("transfer", { type: "user", target: "7" });
    expect(page.on(click, click)).toEqual([{ type: "send", name: "consult", payload }]);
    expect(page.hear(held, asked)).toContainEqual(setUi("transferring"));
  });

  test("complete before an answer passes the call on without a word", () => {
    expect(asking().on(said("completeTransfer"))).toEqual([
      { type: "send", name: "hangUp", payload: { call: "call-2" } },
      { type: "send", name: "transfer", payload: { call: "call-1", number: "300", user: 0 } },
    ]);
  });

  test("complete after an answer puts the two together", () => {
    const page = asking(answered);
    expect(page.on(said("completeTransfer"))).toEqual([
      { type: "send", name: "complete", payload: { call: "call-2" } },
    ]);
    const passing = { ...held, state: "transferring" } as const;
    expect(page.hear(passing, answered)).not.toContainEqual(setUi("connected"));
    expect(page.hear(passing)).toContainEqual(setUi("transferConnected"));
    expect(page.hear()).toContainEqual(close);
  });

  test("cancel goes back to the caller", () => {
    const page = asking();
    expect(page.on(said("cancelTransfer"))).toEqual([{ type: "send", name: "back", payload: { call: "call-2" } }]);
    const over = { ...asked, state: "ended", ended: "cancelled" } as const;
    expect(page.hear(held, over)).toContainEqual(setUi("connected"));
  });

  test("when nobody answered the card says so, and cancel takes the caller off hold", () => {
    const page = asking();
    const effects = page.hear(held, { ...asked, state: "ended", ended: "busy" });
    expect(effects).toContainEqual(setUi("transferFailed"));
    expect(effects).toContainEqual(setStatus("The line is busy. Try again later."));
    const resumed = page.on(said("cancelTransfer"));
    expect(resumed).toContainEqual({ type: "send", name: "hold", payload: { call: "call-1", held: false } });
    expect(resumed).toContainEqual(setUi("connected"));
    expect(page.hear(held)).toEqual([]);
  });

  test("when the PBX did not pass it on the card says so until the operator has seen it", () => {
    const page = talking();
    page.hear({ ...call, state: "transferring" });
    const back = { ...call, transferFailed: "unsupported" } as const;
    expect(page.hear(back)).toContainEqual(setUi("transferFailed"));
    expect(page.on(said("cancelTransfer"))).toContainEqual(setUi("connected"));
    page.hear({ ...back, state: "transferring" });
    expect(page.hear(back), "a second attempt fails anew").toContainEqual(setUi("transferFailed"));
  });
});

test("what `initialized` says is taken with care", () => {
  expect(cardOf({ CALL_ID: "card-1", PHONE_NUMBER: 30, LINE_NUMBER: null })).toEqual(aCard({ number: "", line: "" }));
  expect(cardOf([])).toBeNull();
});

test("event names are those of the portal", () => {
  for (const name of Object.values(CARD_EVENTS)) expect(name).toMatch(/^BackgroundCallCard::[a-z]+(Click)?$/i);
});
