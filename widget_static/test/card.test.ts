import { describe, expect, test } from "vitest";
import { CARD_EVENTS, type CardClick, commandsFor, faceOf } from "../src/card";
import type { CallState } from "../src/protocol";
import { aCall, Driven, TAB, types } from "./a_call";

describe("what the card shows", () => {
  test.each<[CallState, "inbound" | "outbound", string]>([
    ["ringing", "inbound", "incoming"],
    ["dialling", "outbound", "connectingOutgoing"],
    ["joining", "inbound", "connectingIncoming"],
    ["joining", "outbound", "connectingOutgoing"],
    ["talking", "inbound", "connected"],
    ["held", "inbound", "connected"],
    ["rejoining", "inbound", "connected"],
  ])("%s %s → %s", (state, direction, ui) => {
    expect(faceOf(aCall({ state, direction }), true)).toMatchObject({ ui });
  });

  test("an ended call, and one that somebody else took, close the card", () => {
    expect(faceOf(aCall({ state: "ended" }), true)).toBe("closed");
    expect(faceOf(aCall({ state: "talking", elsewhere: true }), true)).toBe("closed");
  });

  test("why answering failed stands on the card of the call that rings again", () => {
    expect(faceOf(aCall({ notice: "no-device" }), true)).toMatchObject({ status: "No microphone was found." });
  });

  test("only what changed is commanded", () => {
    const shown = { ui: "connected", muted: false, held: false, status: "In a call" } as const;
    expect(commandsFor(shown, shown)).toEqual([]);
    expect(commandsFor(shown, { ...shown, muted: true })).toEqual([
      { command: "CallCardSetMute", params: { muted: true } },
    ]);
  });
});

describe("a card in a session", () => {
  const ringing = aCall({ card: "card-1" });
  const talking = aCall({ card: "card-1", state: "talking", voice: TAB });
  const initialized = { type: "cardInitialized", card: "card-1" } as const;

  function withCard(): Driven {
    const page = new Driven();
    page.connect();
    page.hear(ringing);
    page.on(initialized);
    page.effects = [];
    return page;
  }

  function click(click: CardClick, on = false) {
    return { type: "cardClicked", click, on, at: 0 } as const;
  }

  test("it may be drawn before or after the bridge knows its name", () => {
    const late = new Driven();
    late.connect();
    late.hear(ringing);
    const drawn = late.on(initialized);
    const early = new Driven();
    early.connect();
    early.hear(aCall());
    expect(early.on(initialized)).toEqual([]);
    expect(early.hear(ringing)).toEqual(drawn);
  });

  test("the card of another application is left alone", () => {
    const page = new Driven();
    page.connect();
    page.on({ type: "cardInitialized", card: "theirs" });
    page.hear(ringing);
    expect(types(page.hear())).not.toContain("card");
    expect(page.on(click("answer"))).toEqual([]);
  });

  test.each<[CardClick, string]>([
    ["skip", "decline"],
    ["hangUp", "hangUp"],
  ])("%s click → %s", (button, name) => {
    expect(withCard().on(click(button))).toEqual([{ type: "send", name, payload: { call: "call-1" } }]);
  });

  test("answer click → answer, and every page of this browser sees it", () => {
    expect(withCard().on(click("answer"))).toMatchObject([
      { type: "announceAnswer", call: "call-1" },
      { type: "send", name: "answer", payload: { call: "call-1" } },
      { type: "capture" },
    ]);
  });

  test("a mute click is sent and the button is left as it was clicked", () => {
    const page = withCard();
    page.hear(talking);
    const sent = { type: "send", name: "mute", payload: { call: "call-1", muted: true } };
    expect(page.on(click("mute", true))).toEqual([sent]);
    expect(types(page.hear({ ...talking, muted: true }))).toEqual(["setFlow"]);
  });

  test("hold is sent, and the button shows it only when the PBX has confirmed it", () => {
    const page = withCard();
    page.hear(talking);
    const setHold = (held: boolean) => ({ type: "card", command: "CallCardSetHold", params: { held } });
    const sent = { type: "send", name: "hold", payload: { call: "call-1", held: true } };
    expect(page.on(click("hold", true))).toEqual([sent, setHold(false)]);
    expect(page.hear({ ...talking, state: "held", held: true })).toContainEqual(setHold(true));
  });

  test("a key of the card's keypad is sent, anything else is not", () => {
    const page = withCard();
    page.hear(talking);
    const sent = { type: "send", name: "digits", payload: { call: "call-1", press: "p", digits: "5" } };
    expect(page.on({ type: "cardPressed", digit: "5", press: "p" })).toEqual([sent]);
    expect(page.on({ type: "cardPressed", digit: "55", press: "q" })).toEqual([]);
  });

  test("the card of a click-to-call, drawn by the portal, follows the call", () => {
    const page = new Driven();
    page.connect();
    page.on(initialized);
    const dialling = aCall({ card: "card-1", state: "dialling", direction: "outbound" });
    const ui = (uiState: string) => ({ type: "card", command: "CallCardSetUiState", params: { uiState } });
    const says = (statusText: string) => ({ type: "card", command: "CallCardSetStatusText", params: { statusText } });
    expect(page.hear(dialling)).toContainEqual(ui("connectingOutgoing"));
    expect(page.hear({ ...dialling, progress: "ringing" })).toContainEqual(says("Ringing…"));
    expect(page.hear({ ...dialling, state: "talking", talkSeconds: 0 })).toContainEqual(ui("connected"));
  });

  test("a card that the operator closed gets no more commands, and the call goes on", () => {
    const page = withCard();
    expect(page.on(click("close"))).toEqual([]);
    expect(types(page.hear(talking))).not.toContain("card");
  });

  test("the card closes once, also when the end of the call was missed", () => {
    const page = withCard();
    const close = { type: "card", command: "CallCardClose", params: {} };
    expect(page.hear()).toContainEqual(close);
    expect(page.hear()).toEqual([]);
  });

  test("a card drawn anew after a reload is dressed from scratch", () => {
    const page = withCard();
    page.hear(talking);
    const uiState = { type: "card", command: "CallCardSetUiState", params: { uiState: "connected" } };
    expect(page.on(initialized)).toContainEqual(uiState);
  });
});

test("event names are those of the portal", () => {
  for (const name of Object.values(CARD_EVENTS)) expect(name).toMatch(/^BackgroundCallCard::[a-z]+(ButtonClick)?$/i);
});
