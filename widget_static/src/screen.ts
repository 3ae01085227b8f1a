// What the phone page shows (pure): a session and the time -> one screen.

import type { Call, VoiceFailure } from "./protocol";
import type { Session } from "./session";
import { isUp, isWaiting, spokenCalls } from "./settle";
import {
  endings,
  type Notice,
  noConference,
  notices,
  obstacles,
  phoneTexts,
  refusals,
  speakers,
  transferFailures,
} from "./texts";

export type Screen =
  | { kind: "incoming"; call: Call; label: string; notice: Notice | null; others: readonly OtherCall[] }
  | { kind: "dialling"; call: Call; headline: string; notice: Notice | null; others: readonly OtherCall[] }
  | {
      kind: "call";
      call: Call;
      headline: string;
      seconds: number | null;
      holding: Holding;
      notice: Notice | null;
      /** The held call that this one asks about. */
      waiting: Call | null;
      /** Who is in a conference with it. */
      partner: Party | null;
      others: readonly OtherCall[];
    }
  | { kind: "elsewhere"; call: Call; headline: string; hint: string; mayTake: boolean; others: readonly OtherCall[] }
  | { kind: "ended"; call: Call; sentence: string }
  | { kind: "refused"; sentence: string }
  | { kind: "connecting" }
  | { kind: "idle"; notice: Notice | null };

/** A hold, or its end: `asked` until the PBX confirms it, `unconfirmed` for a while when it does not. */
export type Holding = "" | "asked" | "unconfirmed";

/** The other one of a conference. */
export interface Party {
  call: Call;
  headline: string;
  seconds: number | null;
}

/** A call that is not in front, and what can be done with it. */
export interface OtherCall {
  call: Call;
  headline: string;
  seconds: number | null;
  action: "answer" | "resume" | "take" | "none";
  /** It waits, and could become one conversation with the call in front. */
  mayMerge: boolean;
  /** Of the button that answers. */
  label: string;
  holding: Holding;
}

/** How long the end of a call stays to be read, ms. */
const ENDED_STAYS = 8_000;
const HOLD_PENDS = 8_000;
const UNCONFIRMED_STAYS = 6_000;

export function screenOf(session: Session, now: number): Screen {
  const live = session.calls.filter((call) => call.state !== "ended");
  const front = frontOf(session, live);
  if (front) {
    const rest = live.filter((call) => call !== front);
    // Who rings comes first: it is the call that does not wait.
    const sorted = [...rest.filter(isAnswerable), ...rest.filter((call) => !isAnswerable(call))];
    const others = sorted.map((call) => otherCall(session, call, front, now));
    return withCall(session, front, others, now);
  }
  if (session.last && now - session.last.at < ENDED_STAYS) {
    const { call } = session.last;
    return { kind: "ended", call, sentence: endings[call.ended] };
  }
  if (session.refusal) return { kind: "refused", sentence: session.refusal.text || refusalText(session.refusal.code) };
  return session.synced ? { kind: "idle", notice: obstacleNotice(session) } : { kind: "connecting" };
}

/** The conversation before a call that rings, and that before one that is somewhere else. */
function frontOf(session: Session, live: readonly Call[]): Call | undefined {
  const ours = live.filter((call) => !call.elsewhere);
  return ours.find((call) => call.id === session.floor) ?? ours.find(isUp) ?? ours.find(isWaiting) ?? live[0];
}

function withCall(session: Session, call: Call, others: readonly OtherCall[], now: number): Screen {
  if (call.elsewhere) return elsewhere(call, others);
  const [headline, notice] = [headlineOf(call), noticeOf(session, call)];
  if (isWaiting(call)) return { kind: "incoming", call, label: answerLabel(session), notice, others };
  if (call.talkSeconds === null && call.direction === "outbound")
    return { kind: "dialling", call, headline, notice, others };
  const [seconds, holding] = [secondsOf(session, call, now), holdingOf(session, call, now)];
  const partner = others.find((other) => other.call.id === call.conference) ?? null;
  if (partner) {
    const rest = others.filter((other) => other !== partner);
    const together = call.state === "talking" ? phoneTexts.conference : headline;
    return { kind: "call", call, headline: together, seconds, holding, notice, waiting: null, partner, others: rest };
  }
  const waiting = others.find((other) => other.call.id === call.consults)?.call ?? null;
  return { kind: "call", call, headline, seconds, holding, notice, waiting, partner, others };
}

function elsewhere(call: Call, others: readonly OtherCall[]): Screen {
  const mayTake = isTakeable(call);
  const headline = mayTake ? phoneTexts.onAnotherPage : phoneTexts.elsewhere;
  const hint = mayTake ? phoneTexts.onAnotherPageHint : phoneTexts.elsewhereHint;
  return { kind: "elsewhere", call, headline, hint, mayTake, others };
}

function otherCall(session: Session, call: Call, front: Call, now: number): OtherCall {
  const [seconds, holding] = [secondsOf(session, call, now), holdingOf(session, call, now)];
  const action = actionOf(call);
  const headline = action === "take" ? phoneTexts.onAnotherPage : headlineOf(call);
  return { call, headline, seconds, action, mayMerge: mayMerge(call, front), label: answerLabel(session), holding };
}

/** Beside a consultation stands the button for it already. */
function mayMerge(call: Call, front: Call): boolean {
  const waits = call.state === "held" && !call.elsewhere && !call.conference;
  const talks = front.state === "talking" && !front.held && !front.elsewhere && !front.conference;
  return waits && talks && front.consults !== call.id;
}

/** Answering puts a conversation on hold, and says so beforehand. */
function answerLabel({ calls }: Session): string {
  const isTalking = calls.some((call) => (isUp(call) || isTakeable(call)) && !call.held);
  return isTalking ? phoneTexts.holdAndAnswer : phoneTexts.answer;
}

function actionOf(call: Call): OtherCall["action"] {
  if (call.elsewhere) return isTakeable(call) ? "take" : "none";
  if (isAnswerable(call)) return "answer";
  return call.held ? "resume" : "none";
}

function isAnswerable(call: Call): boolean {
  return isWaiting(call) && !call.elsewhere;
}

/** A conversation of this person; one that a colleague has taken leaves the list as soon as it is one. */
function isTakeable(call: Call): boolean {
  return call.elsewhere && ["talking", "held", "rejoining"].includes(call.state);
}

function secondsOf(session: Session, call: Call, now: number): number | null {
  if (call.talkSeconds === null) return null;
  return call.talkSeconds + Math.max(0, now - session.heardAt) / 1_000;
}

function holdingOf(session: Session, call: Call, now: number): Holding {
  const wish = session.holds.find((each) => each.call === call.id);
  if (!wish) return "";
  const passed = now - wish.at;
  if (passed < HOLD_PENDS) return "asked";
  return passed < HOLD_PENDS + UNCONFIRMED_STAYS ? "unconfirmed" : "";
}

function headlineOf(call: Call): string {
  switch (call.state) {
    case "ringing":
      return call.direction === "inbound" ? phoneTexts.incoming : phoneTexts.dialling;
    case "dialling":
      return call.progress === "" ? phoneTexts.dialling : phoneTexts.progress[call.progress];
    case "joining":
      return phoneTexts.joining;
    case "rejoining":
      return phoneTexts.rejoining;
    case "transferring":
      if (call.transferRings) return phoneTexts.transferRings(call.transferTo);
      return call.transferTo ? phoneTexts.transferringTo(call.transferTo) : phoneTexts.transferring;
    default:
      if (call.held) return phoneTexts.held;
      return call.pbxHolds ? phoneTexts.pbxHolds : phoneTexts.talking;
  }
}

// ---- what a person should know about the microphone

/** Why the last attempt failed, or why this page speaks and must stay open. */
function noticeOf(session: Session, call: Call): Notice | null {
  const speaks = session.page === "phone" && spokenCalls(session).some((each) => each.id === call.id);
  // What this page may do tells what the hidden one may not: they share the permission and the device.
  if (call.transferFailed !== "") return transferFailures[call.transferFailed];
  if (session.calls.some((each) => each.conferenceFailed && each.state !== "ended")) return noConference;
  if (speaks) return speakers[call.notice || session.obstacle || "not-delegated"];
  return call.notice === "" ? null : notices[call.notice];
}

function obstacleNotice({ obstacle }: Session): Notice | null {
  return isTelling(obstacle) ? obstacles[obstacle] : null;
}

/** Whether this says something about the hidden page, too. */
function isTelling(obstacle: VoiceFailure | ""): obstacle is keyof typeof obstacles {
  return Object.hasOwn(obstacles, obstacle);
}

// ---- words

/** One sentence for a screen reader when this screen comes up. */
export function announcementOf(screen: Screen): string {
  const newcomer = "others" in screen ? screen.others.find((other) => other.action === "answer") : undefined;
  if (newcomer) return phoneTexts.announceIncoming(whoOf(newcomer.call));
  switch (screen.kind) {
    case "incoming":
      return phoneTexts.announceIncoming(whoOf(screen.call));
    case "dialling":
    case "call":
    case "elsewhere":
      return screen.headline;
    case "ended":
    case "refused":
      return screen.sentence;
    case "connecting":
      return phoneTexts.connecting;
    case "idle":
      return phoneTexts.ready;
  }
}

/** What stands under the name; a line that only forwards is named once, as who forwarded. */
export function detailsOf({ name, number, line, diverter }: Call): { number: string; line: string; diverter: string } {
  return { number: name ? number : "", line: line === diverter ? "" : line, diverter };
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
