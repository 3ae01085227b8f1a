// What a page should be doing against what it is doing: (session) -> session, effects. Pure.

import { commandsFor, faceOf } from "./card";
import type { Call, Presence } from "./protocol";
import type { Effect, Leg, Microphone, Session, Step } from "./session";

/** New legs for one call before the page gives up. */
export const MAX_LOSSES = 4;

/** The difference as effects. Without `card`, the call card stays as it is. */
export function settle(session: Session, card: boolean): Step {
  const parts = [settleRing, settleMicrophone, settleLeg, ...(card ? [settleCard] : []), settlePresence];
  let current = session;
  const all: Effect[] = [];
  for (const part of parts) {
    const [next, effects] = part(current);
    current = next;
    all.push(...effects);
  }
  return [current, all];
}

/** The call for which this page holds, or should hold, the microphone. */
export function spokenCall(session: Session): Call | null {
  return session.calls.find((call) => isVoice(session, call)) ?? null;
}

function settleRing(session: Session): Step {
  const wanted =
    session.synced && session.page === "worker" && spokenCall(session) === null && session.calls.some(rings);
  if (wanted === session.ringing) return [session, []];
  return [{ ...session, ringing: wanted }, [{ type: wanted ? "startRing" : "stopRing" }]];
}

function settleMicrophone(session: Session): Step {
  const { microphone } = session;
  // Without a socket and without a leg nobody can hear: an open microphone would serve nobody.
  const call = session.synced || session.leg ? spokenCall(session) : null;
  if (microphone && microphone.call !== call?.id) {
    const released: Effect[] = microphone.phase === "failed" ? [] : [{ type: "release" }];
    const [next, effects] = settleMicrophone({ ...session, microphone: null, recaptures: 0 });
    return [next, [...released, ...effects]];
  }
  if (!call) return [session, []];
  const muted = call.muted;
  if (!microphone) {
    const asking: Microphone = { call: call.id, phase: "asking", muted };
    return [{ ...session, microphone: asking }, [{ type: "capture", call: call.id, muted }]];
  }
  if (microphone.muted === muted) return [session, []];
  return [{ ...session, microphone: { ...microphone, muted } }, [{ type: "setMuted", muted }]];
}

function settleLeg(session: Session): Step {
  const call = callOfLeg(session);
  const { leg } = session;
  const effects: Effect[] = [];
  let next = session;
  if (leg && (leg.call !== call?.id || isSpent(leg, call, session.synced))) {
    effects.push({ type: "closeLeg" });
    next = { ...next, leg: null };
  } else if (leg?.stale && session.synced) {
    next = { ...next, leg: { ...leg, stale: false } };
  }
  const lost = session.losses.call === call?.id ? session.losses.count : 0;
  if (!call || next.leg || !session.synced || lost > MAX_LOSSES) return [next, effects];
  const offer = `${session.tab}.${session.offers + 1}`;
  effects.push({ type: "openLeg", offer });
  const fresh: Leg = { call: call.id, offer, phase: "making", stale: false };
  return [{ ...next, leg: fresh, offers: session.offers + 1 }, effects];
}

/** A stale leg lives on only if it carries a call that the bridge takes for going on. */
function isSpent(leg: Leg, call: Call, synced: boolean): boolean {
  if (!leg.stale || !synced) return false;
  return leg.phase !== "connected" || !["talking", "held", "transferring"].includes(call.state);
}

/** The call that needs a leg: the one that is spoken, else the first that rings, if this page is to prepare for it. */
function callOfLeg(session: Session): Call | null {
  const spoken = spokenCall(session);
  if (spoken) return session.microphone?.phase === "failed" ? null : spoken;
  if (!session.lead) return null;
  return (
    session.calls.find((call) => call.state === "ringing" && !call.elsewhere && call.direction === "inbound") ?? null
  );
}

function settleCard(session: Session): Step {
  const { card } = session;
  if (!card) return [session, []];
  const call = session.calls.find((each) => each.card === card.id);
  if (!call && !(card.matched && session.synced)) return [session, []];
  const face = call ? faceOf(call, session.synced) : "closed";
  if (face === "closed") return [{ ...session, card: null }, [{ type: "card", command: "CallCardClose", params: {} }]];
  const effects = commandsFor(card.face, face).map((command): Effect => ({ type: "card", ...command }));
  return [{ ...session, card: { ...card, face, matched: true } }, effects];
}

function settlePresence(session: Session): Step {
  const { told, presence } = session;
  if (!told || isSame(told, presence)) return [session, []];
  return [{ ...session, told: presence }, [{ type: "send", name: "presence", payload: presence }]];
}

function isVoice(session: Session, call: Call): boolean {
  if (call.state === "ended" || call.state === "ringing") return false;
  if (call.voice === session.tab) return true;
  // The page that spoke is gone, and the bridge waits for the lead.
  return call.state === "rejoining" && call.voice === "" && session.lead && !call.elsewhere;
}

function rings(call: Call): boolean {
  return call.state === "ringing" && call.sound && !call.elsewhere;
}

function isSame(one: Presence, other: Presence): boolean {
  return one.visible === other.visible && one.capture === other.capture && one.card === other.card;
}
