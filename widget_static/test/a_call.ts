// Calls and sessions for the tests, with the parts that matter to each given by name.

import type { CardEvent } from "../src/card";
import type { Leg } from "../src/legs";
import type { Call, CardShown, State, Tone } from "../src/protocol";
import { begin, type Effect, type Event, type Session, step } from "../src/session";

export const TAB = "tab-of-this-page";

export function aCall(part: Partial<Call> = {}): Call {
  return {
    id: "call-1",
    state: "ringing",
    direction: "inbound",
    number: "+442079460000",
    name: "",
    client: null,
    extension: "",
    line: "100",
    referrer: "",
    diverter: "",
    card: "",
    voice: "",
    sound: true,
    elsewhere: false,
    muted: false,
    held: false,
    pbxHolds: false,
    progress: "",
    talkSeconds: null,
    ended: "",
    notice: "",
    quality: null,
    recording: "",
    recordingPausable: false,
    consults: "",
    conference: "",
    conferenceFailed: false,
    transferTo: "",
    transferRings: false,
    transferFailed: "",
    tone: null,
    ...part,
  };
}

/** As the bridge describes one: heard for ever, or so many times. */
export function aTone(times = 0): Tone {
  return {
    parts: [
      { hertz: [425], seconds: 0.5 },
      { hertz: [], seconds: 0.5 },
    ],
    times,
    volume: 0.1,
  };
}

export function aState(part: Partial<State> = {}): State {
  return { lead: true, desktop: false, voicemail: 0, iceServers: [], calls: [], ...part };
}

/** The card of a call, as the portal introduces it. */
export function aCard(part: Partial<CardShown> = {}): CardShown {
  return { card: "card-1", outgoing: false, number: "+442079460000", line: "", ...part };
}

/** What the call card says: a button that was clicked, a card that was drawn. */
export function said(event: CardEvent, payload: unknown = null): Event {
  return { type: "cardSaid", event, payload, at: 0, id: "said-1" };
}

export const drawn = said("initialized", {
  CALL_ID: "card-1",
  PHONE_NUMBER: "+442079460000",
  CALL_DIRECTION: "incoming",
});

/** A session that is driven by events and remembers what it did. */
export class Driven {
  session: Session;
  effects: Effect[] = [];

  constructor(page: "worker" | "phone" = "worker") {
    this.session = begin(TAB, page, { visible: true, capture: "yes", card: false });
  }

  /** Takes events; returns the effects of these alone. */
  on(...events: Event[]): Effect[] {
    const before = this.effects.length;
    for (const event of events) {
      const [session, effects] = step(this.session, event);
      this.session = session;
      this.effects.push(...effects);
    }
    return this.effects.slice(before);
  }

  connect(): Effect[] {
    return this.on({ type: "connected", told: this.session.presence });
  }

  hear(...calls: Call[]): Effect[] {
    return this.on({ type: "stated", state: aState({ calls }), at: 0 });
  }

  /** The leg of this call. */
  leg(call = "call-1"): Leg {
    const leg = this.session.legs.find((each) => each.call === call);
    if (!leg) throw new Error(`no leg of ${call}`);
    return leg;
  }

  /** The page's own machinery answers: the leg is offered, answered and connected. */
  connectLeg(call = "call-1"): Effect[] {
    const { id, offer } = this.leg(call);
    return this.on(
      { type: "legOffered", offer, sdp: "v=0" },
      { type: "mediaAnswered", answer: { call, offer, sdp: "v=0" } },
      { type: "legConnected", leg: id },
    );
  }

  /** The microphone that was asked for is there. */
  capture(): Effect[] {
    return this.on({ type: "captured", turn: this.session.captures });
  }

  talk(part: Partial<Call> = {}): void {
    this.connect();
    this.hear(aCall());
    this.connectLeg();
    this.hear(aCall({ state: "joining", voice: TAB }));
    this.capture();
    this.hear(aCall({ state: "talking", voice: TAB, talkSeconds: 0, ...part }));
  }
}

export function types(effects: readonly Effect[]): string[] {
  return effects.map((effect) => (effect.type === "send" ? `send ${effect.name}` : effect.type));
}
