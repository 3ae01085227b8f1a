// The page's peer connections with the bridge, one for each call that it prepares or speaks (pure).
//
// A leg keeps its id; the bridge may ask for a new offer on it: MAKING -> OFFERED -> ANSWERED -> MAKING -> …

import type { MediaAnswer, Reoffer } from "./protocol";
import type { Effect, Session, Step } from "./session";

/**
 * What a leg carries: nothing while the call still rings, a silent microphone and no sound while it is held,
 * a silent microphone while it is muted, everything while it is open.
 */
export type Flow = "warm" | "held" | "muted" | "open";

export interface Leg {
  /** The name of its first offer. */
  id: string;
  call: string;
  /** The name of its newest offer. */
  offer: string;
  exchange: "making" | "offered" | "answered";
  connected: boolean;
  /** It has a microphone to send. */
  speaks: boolean;
  /** The bridge may have lost it: made before the socket broke, or the bridge asks to rejoin. */
  stale: boolean;
  /** The bridge wants another offer, as soon as the present one is answered. */
  reofferDue: boolean;
  flow: Flow;
}

export function newLeg(call: string, offer: string, flow: Flow): Leg {
  return {
    id: offer,
    call,
    offer,
    exchange: "making",
    connected: false,
    speaks: false,
    stale: false,
    reofferDue: false,
    flow,
  };
}

export function legOffered(session: Session, offer: string, sdp: string): Step {
  const leg = session.legs.find((each) => each.offer === offer && each.exchange === "making");
  if (!leg) return [session, []];
  const next = withLeg(session, { ...leg, exchange: "offered" });
  return [next, [{ type: "send", name: "offer", payload: { call: leg.call, offer, sdp } }]];
}

export function mediaAnswered(session: Session, { offer, sdp }: MediaAnswer): Step {
  const leg = session.legs.find((each) => each.offer === offer && each.exchange === "offered");
  if (!leg) return [session, []];
  return [withLeg(session, { ...leg, exchange: "answered" }), [{ type: "acceptAnswer", leg: leg.id, sdp }]];
}

/** The leg got further. Once it is connected and speaks, the bridge is told at once: the first packet takes 20 ms more. */
export function legGrew(session: Session, id: string, part: Partial<Pick<Leg, "connected" | "speaks">>): Step {
  const leg = session.legs.find((each) => each.id === id);
  if (!leg) return [session, []];
  const grown = { ...leg, ...part };
  const isUp = grown.connected && grown.speaks && !(leg.connected && leg.speaks);
  return [withLeg(session, grown), isUp ? [{ type: "send", name: "speaking", payload: { call: leg.call } }] : []];
}

export function reofferAsked(session: Session, { call, anew }: Reoffer): Session {
  const leg = session.legs.find((each) => each.call === call);
  return leg ? withLeg(session, { ...leg, reofferDue: !anew, stale: anew || leg.stale }) : session;
}

/** Without the leg, which is closed and counted as lost. */
export function dropLeg(session: Session, { id, call }: Leg): Step {
  const losses = { ...session.losses, [call]: (session.losses[call] ?? 0) + 1 };
  const effects: Effect[] = [{ type: "closeLeg", leg: id }];
  return [{ ...session, legs: session.legs.filter((each) => each.id !== id), losses }, effects];
}

function withLeg(session: Session, leg: Leg): Session {
  return { ...session, legs: session.legs.map((each) => (each.id === leg.id ? leg : each)) };
}
