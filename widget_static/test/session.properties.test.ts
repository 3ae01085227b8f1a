// Whatever the order of events: what was started is stopped, once, and nothing is started twice.

import fc from "fast-check";
import { expect, test } from "vitest";
import { CARD_EVENTS, type CardEvent } from "../src/card";
import type { Flow } from "../src/legs";
import type { Call, CallState, Tone } from "../src/protocol";
import type { Effect, Event, Session } from "../src/session";
import { aCall, aState, aTone, Driven, said, TAB } from "./a_call";

const STATES: CallState[] = ["ringing", "dialling", "joining", "talking", "held", "rejoining", "transferring", "ended"];
const IDS = ["call-1", "call-2", "call-3"];

const call: fc.Arbitrary<Call> = fc
  .record({
    id: fc.constantFrom(...IDS),
    state: fc.constantFrom(...STATES),
    direction: fc.constantFrom("inbound", "outbound"),
    voice: fc.constantFrom("", TAB, TAB, "another"),
    sound: fc.boolean(),
    elsewhere: fc.boolean(),
    muted: fc.boolean(),
    held: fc.boolean(),
    progress: fc.constantFrom("", "ringing", "early"),
    card: fc.constantFrom("", "card-1"),
    consults: fc.constantFrom("", "call-1"),
    isHeard: fc.boolean(),
  })
  .map(({ isHeard, ...part }) => aCall({ ...part, tone: isHeard ? aTone(part.state === "ended" ? 5 : 0) : null }));
const calls = fc.uniqueArray(call, { selector: (each) => each.id, maxLength: 3 });
/** A part of the page reports on its present or an earlier piece of work. */
type Report = (session: Session) => Event;
const onLeg = (make: (leg: string, offer: string, call: string) => Event) =>
  fc.nat(3).map(
    (which): Report =>
      ({ legs }) =>
        make(legs[which]?.id ?? `${TAB}.1`, legs[which]?.offer ?? `${TAB}.1`, legs[which]?.call ?? "call-1"),
  );
const onCapture = (make: (turn: number) => Event) =>
  fc.boolean().map(
    (late): Report =>
      ({ captures }) =>
        make(late ? captures - 1 : captures),
  );
const stated = fc
  .record({ lead: fc.boolean(), calls })
  .map((part): Event => ({ type: "stated", state: aState(part), at: 0 }));

const event: fc.Arbitrary<Event | Report> = fc.oneof(
  { weight: 4, arbitrary: stated },
  fc.constant<Report>(({ presence }) => ({ type: "connected", told: presence })),
  fc.constant<Report>(({ parting }) => ({ type: parting ? "toneEnded" : "colleaguesAsked" })),
  fc.constant<Event>({ type: "disconnected" }),
  fc.constant<Event>({ type: "left" }),
  onLeg((_, offer) => ({ type: "legOffered", offer, sdp: "v=0" })),
  onLeg((_, offer, id) => ({ type: "mediaAnswered", answer: { call: id, offer, sdp: "v=0" } })),
  onLeg((leg) => ({ type: "legConnected", leg })),
  onLeg((leg) => ({ type: "legSpeaks", leg })),
  onLeg((leg) => ({ type: "legLost", leg })),
  fc.constantFrom(...IDS).map((id): Event => ({ type: "answerSeen", call: id })),
  fc.constant<Event>({ type: "answerLapsed" }),
  onLeg((_, offer) => ({ type: "offerRefused", offer })),
  fc.constantFrom(...IDS).map((id): Event => ({ type: "reofferAsked", wish: { call: id, anew: false } })),
  onCapture((turn) => ({ type: "captured", turn })),
  onCapture((turn) => ({ type: "captureFailed", turn, why: "denied" })),
  onCapture((turn) => ({ type: "captureEnded", turn })),
  fc.constantFrom("card-1", "card-2").map((card) => said("initialized", { CALL_ID: card, CALL_DIRECTION: "outgoing" })),
  fc.constantFrom("card-1", "card-2").map((card): Event => ({ type: "cardLeft", card })),
  fc.constantFrom("card-1", "card-2").map((card): Event => ({ type: "cardMissed", card })),
  fc.constantFrom("card-1", "card-2", "").map((card): Event => ({ type: "complained", text: "No.", card })),
  fc.constantFrom("yes", "no").map((capture): Event => ({ type: "measured", presence: { capture } as const })),
  fc
    .constantFrom(...(Object.keys(CARD_EVENTS) as CardEvent[]).filter((name) => name !== "initialized"))
    .chain((name) => fc.constantFrom(true, false, "5", null, { target: "7" }).map((payload) => said(name, payload))),
);
const history = fc.array(event, { maxLength: 40 });

/** What runs in the page, as its effects left it. */
class Machinery {
  ring = "";
  tone: Tone | null = null;
  microphone = 0;
  readonly legs = new Map<string, Flow>();
  readonly offers: string[] = [];
  /** The call card that the portal has drawn in this document. */
  card = "";

  /** What the portal and the person do to the card. */
  hear(event: Event): void {
    if (event.type === "toneEnded") this.tone = null;
    if (event.type === "cardLeft") this.card = event.card;
    if (event.type === "cardMissed" && this.card === event.card) this.card = "";
    if (event.type !== "cardSaid") return;
    if (event.event === "initialized") this.card = (event.payload as { CALL_ID: string }).CALL_ID;
    if (event.event === "close") this.card = "";
  }

  perform(effect: Effect): void {
    switch (effect.type) {
      case "startRing":
        expect(this.ring, "one ring stops before the next starts").toBe("");
        this.ring = effect.tone;
        break;
      case "stopRing":
        this.ring = "";
        break;
      case "startTone":
        expect(this.tone, "one tone at a time").toBeNull();
        this.tone = effect.tone;
        break;
      case "stopTone":
        this.tone = null;
        break;
      case "capture":
        expect(this.microphone, "the microphone is released before it is asked for again").toBe(0);
        this.microphone = effect.turn;
        break;
      case "release":
        this.microphone = 0;
        break;
      case "openLeg":
        expect(this.legs.has(effect.leg)).toBe(false);
        this.legs.set(effect.leg, effect.flow);
        break;
      case "setFlow":
      case "reoffer":
        expect(this.legs.has(effect.leg), "nothing is done to a leg that is gone").toBe(true);
        if (effect.type === "setFlow") this.legs.set(effect.leg, effect.flow);
        break;
      case "closeLeg":
        this.legs.delete(effect.leg);
        break;
      case "card":
        expect(effect.card, "only the card that is there is commanded").toBe(this.card);
        if (effect.command === "CallCardClose") this.card = "";
        break;
      case "send":
        if (effect.name === "offer") this.offers.push(effect.payload.offer);
        break;
    }
  }

  /** The legs that send a voice. */
  get open(): string[] {
    return [...this.legs].filter(([, flow]) => flow === "open").map(([leg]) => leg);
  }
}

function run(events: (Event | Report)[], kind: "worker" | "phone" = "worker"): [Driven, Machinery] {
  const page = new Driven(kind);
  const machinery = new Machinery();
  page.connect();
  for (const each of events) {
    const event = typeof each === "function" ? each(page.session) : each;
    machinery.hear(event);
    for (const effect of page.on(event)) machinery.perform(effect);
    const { legs } = page.session;
    expect([...machinery.legs]).toEqual(legs.map((leg) => [leg.id, leg.flow]));
    expect(new Set(legs.map((leg) => leg.call)).size, "one leg for each call").toBe(legs.length);
    expect(machinery.open.length, "one conversation at a time").toBeLessThan(2);
    expect(machinery.microphone).toBe(page.session.microphone?.turn ?? 0);
  }
  return [page, machinery];
}

function isSpokenHere(each: Call, lead: boolean): boolean {
  if (each.elsewhere || each.state === "ringing" || each.state === "ended") return false;
  return each.voice === TAB || (lead && each.voice === "" && ["rejoining", "dialling"].includes(each.state));
}

test("at most one ring, one microphone, one leg for each call, one conversation at any time", () => {
  fc.assert(
    fc.property(history, (events) => void run(events)),
    { numRuns: 500 },
  );
});

test("when every call is over, nothing sounds, nothing captures, nothing is connected", () => {
  fc.assert(
    fc.property(history, (events) => {
      const over: Event = { type: "stated", state: aState(), at: 0 };
      const [page, machinery] = run([...events, over]);
      expect(machinery).toMatchObject({ ring: "", microphone: 0 });
      expect(machinery.tone?.times, "what is heard ends by itself").not.toBe(0);
      expect(machinery.legs.size).toBe(0);
      expect(page.session.failed).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test("the microphone is open only for calls whose voice this page is, or will be as soon as the bridge hears of it", () => {
  fc.assert(
    fc.property(history, calls, fc.boolean(), (events, last, lead) => {
      const [page, machinery] = run([...events, { type: "stated", state: aState({ lead, calls: last }), at: 0 }]);
      const spoken = last.filter((each) => isSpokenHere(each, lead));
      const { answering } = page.session;
      const isComing = last.some((each) => each.id === answering && each.state === "ringing");
      if (machinery.microphone && !isComing) expect(spoken).not.toEqual([]);
      for (const leg of page.session.legs) {
        if (leg.flow !== "warm") expect(spoken.map((each) => each.id)).toContain(leg.call);
      }
    }),
    { numRuns: 500 },
  );
});

test("a call that is held or muted sends no voice", () => {
  fc.assert(
    fc.property(history, calls, (events, last) => {
      const [page] = run([...events, { type: "stated", state: aState({ calls: last }), at: 0 }]);
      const silent = last.filter((each) => each.held || each.muted).map((each) => each.id);
      for (const leg of page.session.legs) if (silent.includes(leg.call)) expect(leg.flow).not.toBe("open");
    }),
    { numRuns: 500 },
  );
});

test("a tone that goes on sounds only for a call that this page speaks in", () => {
  fc.assert(
    fc.property(history, calls, fc.boolean(), (events, last, lead) => {
      const [, machinery] = run([...events, { type: "stated", state: aState({ lead, calls: last }), at: 0 }]);
      const audible = last.filter((each) => each.tone?.times === 0 && isSpokenHere(each, lead));
      if (machinery.tone?.times === 0) expect(audible).not.toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test("of a call's end nothing is heard any more once there is a conversation, or once it was heard", () => {
  fc.assert(
    fc.property(history, calls, (events, last) => {
      const [page, machinery] = run([...events, { type: "stated", state: aState({ calls: last }), at: 0 }]);
      const talks = last.some((each) => each.state !== "ended" && !each.held && !each.elsewhere);
      if (machinery.tone?.times) expect(talks).toBe(false);
      expect(page.on({ type: "toneEnded" }).filter(({ type }) => type === "stopTone")).toEqual([]);
      expect(page.session.parting).toBeNull();
    }),
    { numRuns: 500 },
  );
});

test("a phone page never rings", () => {
  fc.assert(fc.property(history, (events) => void expect(run(events, "phone")[1].ring).toBe("")));
});

test("a new offer that the bridge asks for leaves every leg as it is", () => {
  fc.assert(
    fc.property(history, fc.constantFrom(...IDS), (events, id) => {
      const [page] = run(events);
      const before = page.session.legs.map((leg) => leg.id);
      const effects = page.on({ type: "reofferAsked", wish: { call: id, anew: false } });
      expect(page.session.legs.map((leg) => leg.id)).toEqual(before);
      // The card may still owe what it left out while its mute button was clicked.
      for (const effect of effects) expect(["reoffer", "card"]).toContain(effect.type);
    }),
    { numRuns: 500 },
  );
});

test("an offer is sent once", () => {
  fc.assert(
    fc.property(history, (events) => {
      const [, { offers }] = run(events);
      expect(new Set(offers).size).toBe(offers.length);
    }),
  );
});

test("a call is dialled by a person's click alone, never by a card that appears", () => {
  fc.assert(
    fc.property(history, (events) => {
      const [page] = run(events);
      const drawnAgain = said("initialized", { CALL_ID: "card-1", CALL_DIRECTION: "outgoing", PHONE_NUMBER: "123" });
      for (const effect of page.on(drawnAgain)) expect(effect).not.toMatchObject({ type: "send", name: "dial" });
    }),
  );
});

test("hearing the same state again does nothing", () => {
  fc.assert(
    fc.property(history, calls, fc.boolean(), (events, last, lead) => {
      const state: Event = { type: "stated", state: aState({ lead, calls: last }), at: 0 };
      const [page] = run([...events, state]);
      expect(page.on(state)).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
