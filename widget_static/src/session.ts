// What a page decides: (session, event) -> session, effects. Pure: no browser, no clock, no randomness.
//
// Every event changes facts; afterwards `settle` compares what the page should be doing with what it is doing and
// returns the difference as effects. The order of events therefore matters little.

import type { CardClick, CardCommand, Face } from "./card";
import type { Call, FromPage, MediaAnswer, Open, PageKind, Presence, State, VoiceFailure } from "./protocol";
import { MAX_LOSSES, settle, spokenCall } from "./settle";

/** The page's peer connection with the bridge: MAKING -> OFFERED -> ANSWERED -> CONNECTED, then gone. */
export interface Leg {
  call: string;
  offer: string;
  phase: "making" | "offered" | "answered" | "connected";
  /** The bridge may have lost it: made before the socket broke, or the bridge asks to rejoin. */
  stale: boolean;
}

export interface Microphone {
  call: string;
  phase: "asking" | "live" | "failed";
  muted: boolean;
}

export interface Card {
  /** Bitrix24's CALL_ID. */
  id: string;
  face: Face;
  /** A call with this CALL_ID was seen: the card is ours. */
  matched: boolean;
}

export interface Session {
  readonly tab: string;
  readonly page: PageKind;
  readonly user: string;
  /** The socket is connected and the bridge has sent its state since. */
  readonly synced: boolean;
  readonly refusal: { code: string; text: string } | null;
  readonly presence: Presence;
  /** The presence that the bridge knows. */
  readonly told: Presence | null;
  readonly lead: boolean;
  readonly calls: readonly Call[];
  /** When `calls` were received, ms of the page's clock. */
  readonly heardAt: number;
  /** The call that ended last, and when; for showing it a while. */
  readonly last: { call: Call; at: number } | null;
  readonly ringing: boolean;
  readonly leg: Leg | null;
  readonly offers: number;
  /** Legs lost since the call's state last changed. */
  readonly losses: { call: string; count: number };
  readonly microphone: Microphone | null;
  readonly recaptures: number;
  readonly card: Card | null;
  readonly opened: readonly string[];
  /** Why the last wish of the person was not fulfilled, "" when it was. */
  readonly complaint: string;
}

export type Event =
  | { type: "connected"; told: Presence }
  | { type: "disconnected" }
  | { type: "refused"; code: string; text: string }
  | { type: "welcomed"; name: string }
  | { type: "stated"; state: State; at: number }
  | { type: "openAsked"; open: Open }
  | { type: "mediaAnswered"; answer: MediaAnswer }
  | { type: "offerRefused"; offer: string }
  | { type: "legOffered"; offer: string; sdp: string }
  | { type: "legConnected"; offer: string }
  | { type: "legLost"; offer: string }
  | { type: "captured"; call: string }
  | { type: "captureFailed"; call: string; why: VoiceFailure }
  | { type: "captureEnded"; call: string }
  | { type: "measured"; presence: Partial<Presence> }
  | { type: "cardInitialized"; card: string }
  | { type: "cardClicked"; click: CardClick; on: boolean }
  | { type: "wished"; wish: "answer" | "decline" | "hangUp"; call: string }
  | { type: "muteWished"; call: string; muted: boolean }
  | { type: "complained"; text: string }
  | { type: "left" };

export type Send = { [Name in keyof FromPage]: { type: "send"; name: Name; payload: FromPage[Name] } }[keyof FromPage];

export type Effect =
  | Send
  | { type: "startRing" }
  | { type: "stopRing" }
  | { type: "openLeg"; offer: string }
  | { type: "acceptAnswer"; offer: string; sdp: string }
  | { type: "closeLeg" }
  | { type: "capture"; call: string; muted: boolean }
  | { type: "setMuted"; muted: boolean }
  | { type: "release" }
  | { type: "openApplication"; open: Open }
  | ({ type: "card" } & CardCommand);

export type Step = readonly [Session, readonly Effect[]];

const MAX_RECAPTURES = 3;
const MAX_OPENED = 50;

export function begin(tab: string, page: PageKind, presence: Presence): Session {
  return {
    tab,
    page,
    user: "",
    synced: false,
    refusal: null,
    presence,
    told: null,
    lead: false,
    calls: [],
    heardAt: 0,
    last: null,
    ringing: false,
    leg: null,
    offers: 0,
    losses: { call: "", count: 0 },
    microphone: null,
    recaptures: 0,
    card: null,
    opened: [],
    complaint: "",
  };
}

export function step(session: Session, event: Event): Step {
  const [changed, effects] = take(session, event);
  // The card shows its new mute button already: wait for the bridge's word, or the button would flicker.
  const [settled, more] = settle(changed, !(event.type === "cardClicked" && event.click === "mute"));
  return [settled, [...effects, ...more]];
}

// ---- events become facts

function take(session: Session, event: Event): Step {
  switch (event.type) {
    case "connected":
      return [{ ...session, refusal: null, told: event.told }, []];
    case "disconnected":
      return [disconnected(session), []];
    case "refused":
      return [{ ...session, synced: false, refusal: { code: event.code, text: event.text } }, []];
    case "welcomed":
      return [{ ...session, user: event.name }, []];
    case "stated":
      return [stated(session, event.state, event.at), []];
    case "openAsked":
      return opened(session, event.open);
    case "mediaAnswered":
      return mediaAnswered(session, event.answer);
    case "legOffered":
      return legOffered(session, event.offer, event.sdp);
    case "legConnected":
      return [withLeg(session, event.offer, (leg) => ({ ...leg, phase: "connected" })), []];
    case "legLost":
    case "offerRefused":
      return legLost(session, event.offer);
    case "captured":
      return [withMicrophone(session, event.call, (microphone) => ({ ...microphone, phase: "live" })), []];
    case "captureFailed":
      return captureFailed(session, event.call, event.why);
    case "captureEnded":
      return captureEnded(session, event.call);
    case "measured":
      return [measured(session, event.presence), []];
    case "cardInitialized":
      return [{ ...session, card: { id: event.card, face: {}, matched: false } }, []];
    case "cardClicked":
      return cardClicked(session, event.click, event.on);
    case "wished":
      return [{ ...session, complaint: "" }, [{ type: "send", name: event.wish, payload: { call: event.call } }]];
    case "muteWished":
      return [{ ...session, complaint: "" }, [mute(event.call, event.muted)]];
    case "complained":
      return [{ ...session, complaint: event.text }, []];
    case "left":
      return [{ ...disconnected(session), calls: [], lead: false }, []];
  }
}

function disconnected(session: Session): Session {
  return {
    ...session,
    synced: false,
    told: null,
    leg: session.leg && { ...session.leg, stale: true },
    // The failure may never have reached the bridge: try again when it asks again.
    microphone: session.microphone?.phase === "failed" ? null : session.microphone,
  };
}

function stated(session: Session, state: State, at: number): Session {
  const before = new Map(session.calls.map((call) => [call.id, call]));
  const moved = state.calls.filter((call) => before.get(call.id)?.state !== call.state);
  const ended = moved.find((call) => call.state === "ended");
  const resets = moved.some((call) => call.id === session.losses.call);
  return {
    ...session,
    synced: true,
    lead: state.lead,
    calls: state.calls,
    heardAt: at,
    last: ended ? { call: ended, at } : session.last,
    leg: session.leg && { ...session.leg, stale: session.leg.stale || asksAnew(session, state.calls) },
    losses: resets ? { call: "", count: 0 } : session.losses,
    complaint: moved.length > 0 ? "" : session.complaint,
  };
}

/** The bridge gave up the leg that we have: the call began to rejoin, or our turn at rejoining failed. */
function asksAnew({ leg, calls, tab }: Session, after: readonly Call[]): boolean {
  const now = after.find((call) => call.id === leg?.call);
  const was = calls.find((call) => call.id === leg?.call);
  if (now?.state !== "rejoining") return false;
  return was?.state !== "rejoining" || (was.voice === tab && now.voice === "");
}

function opened(session: Session, open: Open): Step {
  if (session.opened.includes(open.call)) return [session, []];
  const remembered = [...session.opened, open.call].slice(-MAX_OPENED);
  return [{ ...session, opened: remembered }, [{ type: "openApplication", open }]];
}

function legOffered(session: Session, offer: string, sdp: string): Step {
  const { leg } = session;
  if (leg?.offer !== offer || leg.phase !== "making") return [session, []];
  const next: Session = { ...session, leg: { ...leg, phase: "offered" } };
  return [next, [{ type: "send", name: "offer", payload: { call: leg.call, offer, sdp } }]];
}

function mediaAnswered(session: Session, answer: MediaAnswer): Step {
  const { leg } = session;
  if (leg?.offer !== answer.offer || leg.phase !== "offered") return [session, []];
  const next: Session = { ...session, leg: { ...leg, phase: "answered" } };
  return [next, [{ type: "acceptAnswer", offer: answer.offer, sdp: answer.sdp }]];
}

function legLost(session: Session, offer: string): Step {
  const { leg, losses } = session;
  if (leg?.offer !== offer) return [session, []];
  const count = losses.call === leg.call ? losses.count + 1 : 1;
  const next: Session = { ...session, leg: null, losses: { call: leg.call, count } };
  const effects: Effect[] = [{ type: "closeLeg" }];
  const spoken = spokenCall(session);
  if (spoken?.id !== leg.call || count <= MAX_LOSSES || session.microphone?.phase === "failed") return [next, effects];
  return giveUp(next, spoken.id, "other", effects);
}

function captureFailed(session: Session, call: string, why: VoiceFailure): Step {
  if (session.microphone?.call !== call || session.microphone.phase !== "asking") return [session, []];
  return giveUp(session, call, why, []);
}

/** Tells the bridge that this page can't speak; it stays silent until the bridge decides anew. */
function giveUp(session: Session, call: string, why: VoiceFailure, effects: readonly Effect[]): Step {
  const microphone: Microphone = { call, phase: "failed", muted: session.microphone?.muted ?? false };
  const released: Effect[] = [{ type: "release" }, { type: "send", name: "voiceFailed", payload: { call, why } }];
  return [{ ...session, microphone }, [...effects, ...released]];
}

function captureEnded(session: Session, call: string): Step {
  if (session.microphone?.call !== call || session.microphone.phase !== "live") return [session, []];
  if (session.recaptures >= MAX_RECAPTURES) return giveUp(session, call, "no-device", []);
  return [{ ...session, microphone: null, recaptures: session.recaptures + 1 }, [{ type: "release" }]];
}

function measured(session: Session, part: Partial<Presence>): Session {
  const presence = { ...session.presence, ...part };
  const allowed = presence.capture === "yes" && session.presence.capture !== "yes";
  const retry = allowed && session.microphone?.phase === "failed";
  return { ...session, presence, microphone: retry ? null : session.microphone };
}

function cardClicked(session: Session, click: CardClick, on: boolean): Step {
  const call = session.calls.find((each) => each.card !== "" && each.card === session.card?.id);
  if (click === "close") return [{ ...session, card: null }, []];
  if (!call || !session.card || call.state === "ended") return [session, []];
  switch (click) {
    case "answer":
      return [session, [{ type: "send", name: "answer", payload: { call: call.id } }]];
    case "skip":
      return [session, [{ type: "send", name: "decline", payload: { call: call.id } }]];
    case "hangUp":
      return [session, [{ type: "send", name: "hangUp", payload: { call: call.id } }]];
    case "mute":
      return [withFace(session, session.card, { muted: on }), [mute(call.id, on)]];
    // There is no hold from the card: `settle` puts the button back, so that it does not promise what is not so.
    case "hold":
      return [withFace(session, session.card, { held: on }), []];
  }
}

// ---- small questions

function mute(call: string, muted: boolean): Effect {
  return { type: "send", name: "mute", payload: { call, muted } };
}

function withLeg(session: Session, offer: string, change: (leg: Leg) => Leg): Session {
  return session.leg?.offer === offer ? { ...session, leg: change(session.leg) } : session;
}

function withMicrophone(session: Session, call: string, change: (microphone: Microphone) => Microphone): Session {
  return session.microphone?.call === call && session.microphone.phase === "asking"
    ? { ...session, microphone: change(session.microphone) }
    : session;
}

function withFace(session: Session, card: Card, face: Face): Session {
  return { ...session, card: { ...card, face: { ...card.face, ...face } } };
}
