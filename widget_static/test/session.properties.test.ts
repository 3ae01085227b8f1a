// Whatever the order of events: what was started is stopped, once, and nothing is started twice.

import fc from "fast-check";
import { expect, test } from "vitest";
import type { Call, CallState } from "../src/protocol";
import type { Effect, Event, Session } from "../src/session";
import { aCall, Driven, TAB } from "./a_call";

const STATES: CallState[] = ["ringing", "dialling", "joining", "talking", "held", "rejoining", "transferring", "ended"];

const call: fc.Arbitrary<Call> = fc
  .record({
    id: fc.constantFrom("call-1", "call-2"),
    state: fc.constantFrom(...STATES),
    voice: fc.constantFrom("", TAB, "another"),
    sound: fc.boolean(),
    elsewhere: fc.boolean(),
    muted: fc.boolean(),
    card: fc.constantFrom("", "card-1"),
  })
  .map(aCall);
const calls = fc.uniqueArray(call, { selector: (each) => each.id, maxLength: 2 });
const id = fc.constantFrom("call-1", "call-2");
/** A part of the page reports on its present or an earlier piece of work. */
type Report = (session: Session) => Event;
const offered = (make: (offer: string) => Event) =>
  fc.boolean().map(
    (late): Report =>
      (session) =>
        make(late ? `${TAB}.1` : (session.leg?.offer ?? "")),
  );

const event: fc.Arbitrary<Event | Report> = fc.oneof(
  fc.record({ lead: fc.boolean(), calls }).map((state): Event => ({ type: "stated", state, at: 0 })),
  fc.record({ lead: fc.boolean(), calls }).map((state): Event => ({ type: "stated", state, at: 0 })),
  fc.constant<Report>(({ presence }) => ({ type: "connected", told: presence })),
  fc.constant<Event>({ type: "disconnected" }),
  fc.constant<Event>({ type: "left" }),
  offered((offer) => ({ type: "legOffered", offer, sdp: "v=0" })),
  offered((offer) => ({ type: "mediaAnswered", answer: { call: "call-1", offer, sdp: "v=0" } })),
  offered((offer) => ({ type: "legConnected", offer })),
  offered((offer) => ({ type: "legLost", offer })),
  id.map((call): Event => ({ type: "captured", call })),
  id.map((call): Event => ({ type: "captureFailed", call, why: "denied" })),
  id.map((call): Event => ({ type: "captureEnded", call })),
  fc.constant<Event>({ type: "cardInitialized", card: "card-1" }),
  fc.constantFrom("yes", "no").map((capture): Event => ({ type: "measured", presence: { capture } as const })),
  fc.constantFrom("answer", "mute", "hold", "close").map((click): Event => ({ type: "cardClicked", click, on: true })),
);
const history = fc.array(event, { maxLength: 40 });

/** What runs in the page, as its effects left it. */
class Machinery {
  rings = 0;
  leg: string | null = null;
  microphone: string | null = null;
  readonly offers: string[] = [];

  perform(effect: Effect): void {
    if (effect.type === "startRing") this.rings += 1;
    if (effect.type === "stopRing") this.rings -= 1;
    if (effect.type === "openLeg") {
      expect(this.leg, "a leg is closed before the next is opened").toBeNull();
      this.leg = effect.offer;
    }
    if (effect.type === "closeLeg") this.leg = null;
    if (effect.type === "capture") {
      expect(this.microphone, "the microphone is released before it is asked for again").toBeNull();
      this.microphone = effect.call;
    }
    if (effect.type === "release") this.microphone = null;
    if (effect.type === "send" && effect.name === "offer") this.offers.push(effect.payload.offer);
  }
}

function run(events: (Event | Report)[]): [Driven, Machinery] {
  const page = new Driven();
  const machinery = new Machinery();
  page.connect();
  for (const each of events) {
    for (const effect of page.on(typeof each === "function" ? each(page.session) : each)) machinery.perform(effect);
    expect(machinery.rings === 0 || machinery.rings === 1, "at most one ring").toBe(true);
    expect(machinery.leg).toBe(page.session.leg?.offer ?? null);
  }
  return [page, machinery];
}

test("at most one ring, one leg and one microphone at any time", () => {
  fc.assert(
    fc.property(history, (events) => void run(events)),
    { numRuns: 500 },
  );
});

test("when every call is over, nothing sounds, nothing captures, nothing is connected", () => {
  fc.assert(
    fc.property(history, (events) => {
      const over: Event = { type: "stated", state: { lead: true, calls: [] }, at: 0 };
      const [page, machinery] = run([...events, over]);
      expect(machinery).toMatchObject({ rings: 0, leg: null, microphone: null });
      expect(page.session.microphone).toBeNull();
    }),
    { numRuns: 500 },
  );
});

test("the microphone is open only for the call whose voice this page is", () => {
  fc.assert(
    fc.property(history, calls, (events, last) => {
      const [, machinery] = run([...events, { type: "stated", state: { lead: false, calls: last }, at: 0 }]);
      const spoken = last.filter((each) => each.voice === TAB && each.state !== "ringing" && each.state !== "ended");
      if (machinery.microphone) expect(spoken.map((each) => each.id)).toContain(machinery.microphone);
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

test("hearing the same state again does nothing", () => {
  fc.assert(
    fc.property(history, calls, fc.boolean(), (events, last, lead) => {
      const state: Event = { type: "stated", state: { lead, calls: last }, at: 0 };
      const [page] = run([...events, state]);
      expect(page.on(state)).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
