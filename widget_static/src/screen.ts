// What the phone page shows (pure): a session and the time -> one screen.

import type { Call } from "./protocol";
import type { Session } from "./session";
import { endings, phoneTexts, refusals } from "./texts";

export type Screen =
  | { kind: "incoming"; call: Call; waiting: number }
  | { kind: "call"; call: Call; headline: string; seconds: number | null; waiting: number }
  | { kind: "elsewhere"; call: Call }
  | { kind: "ended"; call: Call; sentence: string }
  | { kind: "refused"; sentence: string }
  | { kind: "connecting" }
  | { kind: "idle" };

/** How long the end of a call stays to be read, ms. */
const ENDED_STAYS = 8_000;

export function screenOf(session: Session, now: number): Screen {
  const live = session.calls.filter((call) => call.state !== "ended");
  const ours = live.filter((call) => !call.elsewhere);
  const waiting = ours.filter((call) => call.state === "ringing" && call.direction === "inbound");
  const current = ours.find((call) => !waiting.includes(call));
  if (current) return inCall(session, current, waiting.length, now);
  const [incoming] = waiting;
  if (incoming) return { kind: "incoming", call: incoming, waiting: waiting.length - 1 };
  const [elsewhere] = live;
  if (elsewhere) return { kind: "elsewhere", call: elsewhere };
  if (session.last && now - session.last.at < ENDED_STAYS) {
    const { call } = session.last;
    return { kind: "ended", call, sentence: endings[call.ended] };
  }
  if (session.refusal) return { kind: "refused", sentence: session.refusal.text || refusalText(session.refusal.code) };
  return { kind: session.synced ? "idle" : "connecting" };
}

function inCall(session: Session, call: Call, waiting: number, now: number): Screen {
  const passed = Math.max(0, now - session.heardAt) / 1_000;
  const seconds = call.talkSeconds === null ? null : call.talkSeconds + passed;
  return { kind: "call", call, headline: headlineOf(call), seconds, waiting };
}

function headlineOf(call: Call): string {
  if (call.pbxHolds) return phoneTexts.pbxHolds;
  switch (call.state) {
    case "ringing":
    case "dialling":
      return phoneTexts.outgoing;
    case "joining":
      return phoneTexts.joining;
    case "held":
      return phoneTexts.held;
    case "rejoining":
      return phoneTexts.rejoining;
    case "transferring":
      return phoneTexts.transferring;
    default:
      return phoneTexts.talking;
  }
}

/** One sentence for a screen reader when this screen comes up. */
export function announcementOf(screen: Screen): string {
  switch (screen.kind) {
    case "incoming":
      return phoneTexts.announceIncoming(whoOf(screen.call));
    case "call":
      return screen.headline;
    case "elsewhere":
      return phoneTexts.elsewhere;
    case "ended":
    case "refused":
      return screen.sentence;
    case "connecting":
      return phoneTexts.connecting;
    case "idle":
      return phoneTexts.ready;
  }
}

export function whoOf(call: Call): string {
  return call.name || call.number || phoneTexts.withheld;
}

/** 3:07, or 1:02:03 from an hour on. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function refusalText(code: string): string {
  return Object.hasOwn(refusals, code) ? refusals[code as keyof typeof refusals] : phoneTexts.connectingHint;
}
