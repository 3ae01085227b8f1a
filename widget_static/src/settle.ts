// What a page should be doing against what it is doing: (session) -> session, effects. Pure.

import { commandsFor, type Face, faceOf, refusedFace } from "./card";
import { type Flow, type Leg, newLeg } from "./legs";
import type { Call, Presence } from "./protocol";
import type { Card, Effect, Session, Step } from "./session";
import { cardTexts, failures } from "./texts";

/** New legs for one call before the page gives up. */
export const MAX_LOSSES = 4;

/** The difference as effects. Without `card`, the call card stays as it is. */
export function settle(session: Session, card: boolean): Step {
  const parts = [settleRing, settleTone, settleMicrophone, settleLegs, ...(card ? [settleCard] : []), settlePresence];
  let current: Session = { ...session, failed: session.failed.filter((id) => isVoiceOf(session, id)) };
  const all: Effect[] = [];
  for (const part of parts) {
    const [next, effects] = part(current);
    current = next;
    all.push(...effects);
  }
  return [current, all];
}

/** The calls for which this page holds, or should hold, the microphone. */
export function spokenCalls(session: Session): Call[] {
  return session.calls.filter((call) => isVoice(session, call) && !session.failed.includes(call.id));
}

/** Is this call beyond ringing, and ours to show with all its buttons? */
export function isUp(call: Call): boolean {
  return call.state !== "ended" && !isWaiting(call) && !call.elsewhere;
}

/** An incoming call that nobody has answered. */
export function isWaiting(call: Call): boolean {
  return call.state === "ringing" && call.direction === "inbound";
}

/**
 * The call in front: the one that was answered, dialled or resumed last; one conversation at a time, also while the
 * PBX has not yet confirmed that the other one is held. Whoever is brought into a conversation stands behind it.
 */
export function floorOf({ calls, floor }: Pick<Session, "calls" | "floor">, after: readonly Call[]): string {
  const isLive = (call: Call | undefined) => call !== undefined && isUp(call) && !call.held;
  const was = (id: string) => calls.find((call) => call.id === id);
  const live = after.filter(isLive);
  const isFresh = (call: Call) => !isLive(was(call.id)) && !(floor && call.conference === floor);
  const fresh = live.filter(isFresh).at(-1);
  const next = fresh ?? live.find((call) => call.id === floor) ?? live.at(-1);
  const up = after.filter(isUp);
  return (next ?? up.find((call) => call.id === floor) ?? up.at(-1))?.id ?? "";
}

// ---- tones

function settleRing(session: Session): Step {
  const wanted = session.synced && session.page === "worker" && session.calls.some(rings);
  const tone = !wanted ? "" : session.calls.some(isBusyWith) ? "waiting" : "ring";
  if (tone === session.ring) return [session, []];
  const effects: Effect[] = session.ring === "" ? [] : [{ type: "stopRing" }];
  if (tone !== "") effects.push({ type: "startRing", tone });
  return [{ ...session, ring: tone }, effects];
}

function rings(call: Call): boolean {
  return isRinging(call) && call.sound;
}

/** It waits for this person. */
function isRinging(call: Call): boolean {
  return isWaiting(call) && !call.elsewhere;
}

/** The person is in this call, on this or another machine. */
function isBusyWith(call: Call): boolean {
  return call.state !== "ended" && call.state !== "ringing";
}

/** What is heard of a call in place of a voice: one tone at a time. */
function settleTone(session: Session): Step {
  const { floor, parting, sounding, synced } = session;
  const spoken = synced ? spokenCalls(session) : [];
  const call = parting ?? spoken.find((each) => each.tone && (each.id === floor || each.held));
  const wanted = call ? `${call.id} ${call.state}` : "";
  if (wanted === sounding) return [session, []];
  const effects: Effect[] = sounding === "" ? [] : [{ type: "stopTone" }];
  if (call?.tone) effects.push({ type: "startTone", tone: call.tone });
  return [{ ...session, sounding: wanted }, effects];
}

// ---- the voice

function settleMicrophone(session: Session): Step {
  // Without a socket and without a leg nobody can hear: an open microphone would serve nobody.
  const isSpoken = (session.synced || session.legs.length > 0) && spokenCalls(session).length > 0;
  const isWanted = isSpoken || isAnswering(session);
  if (isWanted === (session.microphone !== null)) return [session, []];
  if (!isWanted) return [{ ...session, microphone: null, recaptures: 0 }, [{ type: "release" }]];
  const turn = session.captures + 1;
  return [{ ...session, microphone: { turn, phase: "asking" }, captures: turn }, [{ type: "capture", turn }]];
}

/**
 * Somebody has just answered, and this page will most likely have to speak: opening the microphone takes as long as the
 * answer's way to the bridge and back. Only where no question would be asked.
 */
function isAnswering({ answering, calls, presence }: Session): boolean {
  return presence.capture === "yes" && calls.some((call) => call.id === answering && isRinging(call));
}

function settleLegs(session: Session): Step {
  const calls = callsOfLegs(session);
  const effects: Effect[] = [];
  const kept: Leg[] = [];
  for (const leg of session.legs) {
    const call = calls.find((each) => each.id === leg.call);
    if (!call || isSpent(leg, call, session.synced)) effects.push({ type: "closeLeg", leg: leg.id });
    else kept.push(flowing(session, session.synced ? { ...leg, stale: false } : leg, call, effects));
  }
  if (!session.synced) return [{ ...session, legs: kept }, effects];
  return offering({ ...session, legs: kept }, calls, effects);
}

/** The leg with the flow that its call asks for. */
function flowing(session: Session, leg: Leg, call: Call, effects: Effect[]): Leg {
  const flow = flowOf(session, call);
  if (flow !== leg.flow) effects.push({ type: "setFlow", leg: leg.id, flow });
  return { ...leg, flow };
}

/** Offers anew where the bridge asked for it, and makes the legs that are missing. */
function offering(session: Session, calls: readonly Call[], effects: Effect[]): Step {
  let { offers } = session;
  const name = () => `${session.tab}.${++offers}`;
  const legs = session.legs.map((leg): Leg => {
    if (!leg.reofferDue || leg.exchange !== "answered") return leg;
    const offer = name();
    effects.push({ type: "reoffer", leg: leg.id, offer });
    return { ...leg, offer, exchange: "making", reofferDue: false };
  });
  for (const call of calls) {
    const isHopeless = session.failed.includes(call.id) || (session.losses[call.id] ?? 0) > MAX_LOSSES;
    if (isHopeless || legs.some((leg) => leg.call === call.id)) continue;
    const leg = newLeg(call.id, name(), flowOf(session, call));
    effects.push({ type: "openLeg", leg: leg.id, flow: leg.flow, iceServers: session.iceServers });
    legs.push(leg);
  }
  return [{ ...session, legs, offers }, effects];
}

function flowOf(session: Session, call: Call): Flow {
  if (!isVoice(session, call)) return "warm";
  if (call.held || (session.floor !== call.id && !call.conference)) return "held";
  return call.muted ? "muted" : "open";
}

/** A stale leg lives on only if it carries a call that the bridge takes for going on. */
function isSpent(leg: Leg, call: Call, synced: boolean): boolean {
  if (!leg.stale || !synced) return false;
  const isWhole = leg.connected && leg.exchange === "answered";
  return !isWhole || !["talking", "held", "transferring"].includes(call.state);
}

/**
 * The calls that have a leg: those whose voice is here, and the first that rings, if this page is to prepare for it.
 *
 * A leg outlives the failure of the microphone: its end could reach the bridge before the message that says why.
 */
function callsOfLegs(session: Session): Call[] {
  const ours = session.calls.filter((call) => isVoice(session, call));
  const ringing = session.lead ? session.calls.find(isRinging) : undefined;
  return ringing ? [...ours, ringing] : ours;
}

function isVoice(session: Session, call: Call): boolean {
  if (call.state === "ended" || call.state === "ringing" || call.elsewhere) return false;
  if (call.voice === session.tab) return true;
  // Nobody speaks yet or any more, and the bridge waits for the lead.
  const isAwaited = call.state === "rejoining" || call.state === "dialling";
  return isAwaited && call.voice === "" && session.lead;
}

function isVoiceOf(session: Session, id: string): boolean {
  return session.calls.some((call) => call.id === id && isVoice(session, call));
}

// ---- the card and the presence

function settleCard(session: Session): Step {
  const { card } = session;
  const face = card && wantedFace(session, card);
  if (!card || !face) return [session, []];
  const { card: id } = card.shown;
  if (face === "closed") {
    return [{ ...session, card: null }, [{ type: "card", card: id, command: "CallCardClose", params: {} }]];
  }
  const effects = commandsFor(card.face, face).map((command): Effect => ({ type: "card", card: id, ...command }));
  const seen = card.seen && face.ui !== "transferring" && face.ui !== "transferConnected";
  return [{ ...session, card: { ...card, face, matched: face.ui !== "outgoing", seen } }, effects];
}

/** Null leaves the card as it is: it is not ours, or not yet. */
function wantedFace(session: Session, card: Card): Required<Face> | "closed" | null {
  const { calls, last, synced } = session;
  const call = calls.find((each) => each.card === card.shown.card);
  const consultation = call && consultationOf(session, call);
  const around = {
    online: synced,
    consultation,
    failure: (call && !card.seen && transferFailure(session, call)) || "",
  };
  if (call && call.state !== "ended") return faceOf(call, around);
  // There is one card for each page: it makes room for the next call.
  const ended = calls.some((each) => each.state !== "ended") ? undefined : last?.call;
  if (ended?.card === card.shown.card) return faceOf(ended, around);
  if (call || (card.matched && synced)) return "closed";
  return card.refused ? refusedFace(card.refused) : null;
}

/** The live call that asks somebody about this one. */
export function consultationOf({ calls }: Session, { id }: Call): Call | undefined {
  return calls.find((each) => each.consults === id && each.state !== "ended");
}

/** Why a call that was to be passed on is still here. */
function transferFailure({ last }: Session, call: Call): string {
  if (call.transferFailed !== "") return cardTexts.transferFailed;
  const asked = last?.call.consults === call.id && call.held ? last.call : undefined;
  const why = asked?.talkSeconds === null && Object.hasOwn(failures, asked.ended) && asked.ended;
  return why ? failures[why as keyof typeof failures] : "";
}

function settlePresence(session: Session): Step {
  const { told, presence } = session;
  if (!told || isSame(told, presence)) return [session, []];
  return [{ ...session, told: presence }, [{ type: "send", name: "presence", payload: presence }]];
}

function isSame(one: Presence, other: Presence): boolean {
  return one.visible === other.visible && one.capture === other.capture && one.card === other.card;
}
