// What a page decides: (session, event) -> session, effects. Pure: no browser, no clock, no randomness.
//
// Every event changes facts; afterwards `settle` compares what the page should be doing with what it is doing and
// returns the difference as effects. The order of events therefore matters little.

import type { CardCommand, CardEvent, Face } from "./card";
import type { Digit } from "./keys";
import { dropLeg, type Flow, type Leg, legGrew, legOffered, mediaAnswered, reofferAsked } from "./legs";
import type {
  Call,
  CardShown,
  Colleague,
  FromPage,
  IceServer,
  MediaAnswer,
  Open,
  PageKind,
  Presence,
  Reoffer,
  State,
  Tone,
  VoiceFailure,
} from "./protocol";
import { floorOf, MAX_LOSSES, settle, spokenCalls } from "./settle";
import { cardSaid, wished, withCard } from "./wishes";

/** One capture, shared by all calls of the page. */
export interface Microphone {
  /** Counts captures, so that a late report is recognised. */
  turn: number;
  phase: "asking" | "live";
}

export interface Card {
  shown: CardShown;
  face: Face;
  /** A call with this CALL_ID was seen: the card is ours. */
  matched: boolean;
  /** Why the bridge did not make the call that the card stands for, "" while it may. */
  refused: string;
  /** The operator knows that the call could not be passed on. */
  seen: boolean;
}

/** A hold, or its end, that the PBX has not confirmed. */
export interface HoldWish {
  call: string;
  held: boolean;
  at: number;
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
  /** Why this page can't use the microphone, "" while nothing is known against it. */
  readonly obstacle: VoiceFailure | "";
  readonly lead: boolean;
  /** Bitrix24's desktop application draws the call cards. */
  readonly desktop: boolean;
  /** New voice messages that wait at the PBX. */
  readonly voicemail: number;
  /** Whom a call can be passed to, as asked last. */
  readonly colleagues: readonly Colleague[];
  readonly iceServers: IceServer[];
  readonly calls: readonly Call[];
  /** When `calls` were received, ms of the page's clock. */
  readonly heardAt: number;
  /** The call in front: the conversation, or what was the last one. "" when there is none. */
  readonly floor: string;
  /** The call that ended last, and when; for showing it a while. */
  readonly last: { call: Call; at: number } | null;
  readonly ring: "" | "ring" | "waiting";
  /** The call of whose end a tone tells, until that is over or there is another conversation. */
  readonly parting: Call | null;
  /** What is heard of which call in place of a voice, "" for nothing. */
  readonly sounding: string;
  readonly legs: readonly Leg[];
  readonly offers: number;
  /** Legs lost of each call since its state last changed. */
  readonly losses: Readonly<Record<string, number>>;
  readonly microphone: Microphone | null;
  readonly captures: number;
  readonly recaptures: number;
  /** Calls for which this page has told the bridge that it can't speak. */
  readonly failed: readonly string[];
  /** The call that was just answered here, or where this page will speak: the microphone opens while the bridge hears of it. */
  readonly answering: string;
  readonly card: Card | null;
  readonly opened: readonly string[];
  readonly holds: readonly HoldWish[];
  /** A number that was dialled and has not become a call yet. */
  readonly dialling: { number: string; at: number } | null;
  /** For dialling it again. */
  readonly dialled: string;
  /** Why the last wish of the person was not fulfilled, "" when it was. */
  readonly complaint: string;
}

/** What can be wished of a call without saying more. */
export type Wish =
  | "answer"
  | "decline"
  | "hangUp"
  | "take"
  | "complete"
  | "back"
  | "merge"
  | "split"
  | "drop"
  | "record"
  | "pauseRecording";

export type Event =
  | { type: "connected"; told: Presence }
  | { type: "disconnected" }
  | { type: "refused"; code: string; text: string }
  | { type: "welcomed"; name: string }
  | { type: "stated"; state: State; at: number }
  | { type: "openAsked"; open: Open }
  | { type: "reofferAsked"; wish: Reoffer }
  | { type: "mediaAnswered"; answer: MediaAnswer }
  | { type: "offerRefused"; offer: string }
  | { type: "legOffered"; offer: string; sdp: string }
  | { type: "legConnected"; leg: string }
  | { type: "legLost"; leg: string }
  | { type: "legSpeaks"; leg: string }
  | { type: "captured"; turn: number }
  | { type: "captureFailed"; turn: number; why: VoiceFailure }
  | { type: "captureEnded"; turn: number }
  | { type: "measured"; presence: Partial<Presence>; obstacle?: VoiceFailure | "" }
  | { type: "cardSaid"; event: CardEvent; payload: unknown; at: number; id: string }
  | { type: "cardLeft"; card: string }
  | { type: "cardMissed"; card: string }
  | { type: "wished"; wish: Wish; call: string }
  | { type: "answerSeen"; call: string }
  | { type: "answerLapsed" }
  | { type: "muteWished"; call: string; muted: boolean }
  | { type: "holdWished"; call: string; held: boolean; at: number }
  | { type: "pressed"; call: string; digit: Digit; press: string }
  | { type: "dialWished"; number: string; dial: string; at: number }
  | { type: "transferWished"; call: string; number: string }
  | { type: "consultWished"; call: string; number: string; dial: string; at: number }
  | { type: "colleaguesAsked" }
  | { type: "colleaguesTold"; colleagues: readonly Colleague[] }
  | { type: "complained"; text: string; card: string }
  | { type: "toneEnded" }
  | { type: "left" };

export type Send = { [Name in keyof FromPage]: { type: "send"; name: Name; payload: FromPage[Name] } }[keyof FromPage];

export type Effect =
  | Send
  | { type: "startRing"; tone: "ring" | "waiting" }
  | { type: "stopRing" }
  | { type: "startTone"; tone: Tone }
  | { type: "stopTone" }
  | { type: "openLeg"; leg: string; flow: Flow; iceServers: IceServer[] }
  | { type: "setFlow"; leg: string; flow: Flow }
  | { type: "reoffer"; leg: string; offer: string }
  | { type: "acceptAnswer"; leg: string; sdp: string }
  | { type: "closeLeg"; leg: string }
  | { type: "capture"; turn: number }
  | { type: "release" }
  | { type: "announceAnswer"; call: string }
  | { type: "openApplication"; open: Open }
  | ({ type: "card"; card: string } & CardCommand);

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
    obstacle: "",
    lead: false,
    desktop: false,
    voicemail: 0,
    colleagues: [],
    iceServers: [],
    calls: [],
    heardAt: 0,
    floor: "",
    last: null,
    ring: "",
    parting: null,
    sounding: "",
    legs: [],
    offers: 0,
    losses: {},
    microphone: null,
    captures: 0,
    recaptures: 0,
    failed: [],
    answering: "",
    card: null,
    opened: [],
    holds: [],
    dialling: null,
    dialled: "",
    complaint: "",
  };
}

export function step(session: Session, event: Event): Step {
  const [changed, effects] = take(session, event);
  // The card shows its new mute button already: wait for the bridge's word, or the button would flicker.
  const [settled, more] = settle(changed, !(event.type === "cardSaid" && event.event === "mute"));
  return [settled, [...effects, ...more]];
}

// ---- events become facts

function take(session: Session, event: Event): Step {
  switch (event.type) {
    case "connected":
      // A failure may never have reached the bridge: try again when it asks again.
      return [{ ...session, refusal: null, told: event.told, failed: [] }, []];
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
    case "reofferAsked":
      return [reofferAsked(session, event.wish), []];
    case "mediaAnswered":
      return mediaAnswered(session, event.answer);
    case "legOffered":
      return legOffered(session, event.offer, event.sdp);
    case "legConnected":
      return legGrew(session, event.leg, { connected: true });
    case "legSpeaks":
      return legGrew(session, event.leg, { speaks: true });
    case "legLost":
      return legLost(session, (leg) => leg.id === event.leg);
    case "offerRefused":
      return legLost(session, (leg) => leg.offer === event.offer);
    case "captured":
      return [isOn(session, event.turn, "asking") ? withMicrophone(session, event.turn) : session, []];
    case "captureFailed":
      return captureFailed(session, event.turn, event.why);
    case "captureEnded":
      return captureEnded(session, event.turn);
    case "measured":
      return [measured(session, event.presence, event.obstacle), []];
    case "answerSeen":
      return [session.lead ? { ...session, answering: event.call } : session, []];
    case "answerLapsed":
      return [{ ...session, answering: "" }, []];
    case "cardSaid":
      return cardSaid(session, event);
    case "cardLeft":
      return [withCard(session, { card: event.card, outgoing: false, number: "", line: "" }), []];
    case "cardMissed":
      return [session.card?.shown.card === event.card ? { ...session, card: null } : session, []];
    case "colleaguesAsked":
      return [session, [{ type: "send", name: "colleagues", payload: {} }]];
    case "colleaguesTold":
      return [{ ...session, colleagues: event.colleagues }, []];
    case "complained":
      return [complained(session, event.text, event.card), []];
    case "toneEnded":
      return [{ ...session, parting: null, sounding: "" }, []];
    case "left":
      return [{ ...disconnected(session), calls: [], lead: false, floor: "", parting: null }, []];
    default:
      return wished(session, event);
  }
}

function disconnected(session: Session): Session {
  return {
    ...session,
    synced: false,
    told: null,
    answering: "",
    legs: session.legs.map((leg) => ({ ...leg, stale: true })),
  };
}

function stated(session: Session, state: State, at: number): Session {
  const before = new Map(session.calls.map((call) => [call.id, call]));
  const now = new Map(state.calls.map((call) => [call.id, call]));
  const moved = state.calls.filter((call) => before.get(call.id)?.state !== call.state);
  const ended = moved.find((call) => call.state === "ended");
  const isOccupied = state.calls.some((call) => call.state !== "ended" && !call.held && !call.elsewhere);
  const hasDialled = moved.some((call) => call.direction === "outbound" && !before.has(call.id));
  const stays = (id: string) => now.has(id) && now.get(id)?.state === before.get(id)?.state;
  return {
    ...session,
    synced: true,
    lead: state.lead,
    desktop: state.desktop,
    voicemail: state.voicemail,
    iceServers: state.iceServers,
    calls: state.calls,
    heardAt: at,
    floor: floorOf(session, state.calls),
    last: ended ? { call: ended, at } : session.last,
    parting: isOccupied ? null : ended?.tone ? ended : session.parting,
    legs: session.legs.map((leg) => ({ ...leg, stale: leg.stale || asksAnew(session, leg, state.calls) })),
    answering: now.get(session.answering)?.state === "ringing" ? session.answering : "",
    losses: Object.fromEntries(Object.entries(session.losses).filter(([id]) => stays(id))),
    holds: session.holds.filter((wish) => now.get(wish.call)?.held === !wish.held),
    dialling: hasDialled ? null : session.dialling,
    complaint: moved.length > 0 ? "" : session.complaint,
  };
}

/** The bridge gave up the leg that we have: the call began to rejoin, or our turn at joining failed. */
function asksAnew({ calls, tab }: Session, leg: Leg, after: readonly Call[]): boolean {
  const now = after.find((call) => call.id === leg.call);
  const was = calls.find((call) => call.id === leg.call);
  if (now?.state !== "rejoining" && now?.state !== "dialling") return false;
  if (was?.voice === tab && now.voice === "") return true;
  // Answered while our voice was on its way: the leg that we are making is the one the bridge waits for.
  const isAwaited = was?.state === "dialling" && was.voice === "";
  return now.state === "rejoining" && was?.state !== "rejoining" && !isAwaited;
}

function opened(session: Session, open: Open): Step {
  if (session.opened.includes(open.call)) return [session, []];
  const remembered = [...session.opened, open.call].slice(-MAX_OPENED);
  return [{ ...session, opened: remembered }, [{ type: "openApplication", open }]];
}

/** A wish was refused; `of` is the card that asked for a call, "" otherwise. */
function complained(session: Session, text: string, of: string): Session {
  const { card } = session;
  const refused = card?.shown.card === of ? { ...card, refused: text } : card;
  return { ...session, complaint: text, holds: [], dialling: null, answering: "", card: refused };
}

// ---- the voice

function legLost(session: Session, isIt: (leg: Leg) => boolean): Step {
  const leg = session.legs.find(isIt);
  if (!leg) return [session, []];
  const [next, effects] = dropLeg(session, leg);
  const isSpoken = spokenCalls(session).some((call) => call.id === leg.call);
  if (!isSpoken || (next.losses[leg.call] ?? 0) <= MAX_LOSSES) return [next, effects];
  const [given, more] = giveUp(next, [leg.call], "other");
  return [given, [...effects, ...more]];
}

function captureFailed(session: Session, turn: number, why: VoiceFailure): Step {
  if (!isOn(session, turn, "asking")) return [session, []];
  return lostMicrophone(session, why);
}

function captureEnded(session: Session, turn: number): Step {
  if (!isOn(session, turn, "live")) return [session, []];
  if (session.recaptures >= MAX_RECAPTURES) return lostMicrophone(session, "no-device");
  return [{ ...session, microphone: null, recaptures: session.recaptures + 1 }, [{ type: "release" }]];
}

function lostMicrophone(session: Session, why: VoiceFailure): Step {
  const calls = spokenCalls(session).map((call) => call.id);
  const [next, effects] = giveUp({ ...session, microphone: null, answering: "" }, calls, why);
  return [next, [{ type: "release" }, ...effects]];
}

/** Tells the bridge that this page can't speak; it stays silent in these calls until the bridge decides anew. */
function giveUp(session: Session, calls: readonly string[], why: VoiceFailure): Step {
  const effects = calls.map((call): Effect => ({ type: "send", name: "voiceFailed", payload: { call, why } }));
  return [{ ...session, failed: [...session.failed, ...calls] }, effects];
}

function measured(session: Session, part: Partial<Presence>, obstacle = session.obstacle): Session {
  const presence = { ...session.presence, ...part };
  const isAllowed = presence.capture === "yes" && session.presence.capture !== "yes";
  return { ...session, presence, obstacle, failed: isAllowed ? [] : session.failed };
}

// ---- small questions

function isOn({ microphone }: Session, turn: number, phase: Microphone["phase"]): boolean {
  return microphone?.turn === turn && microphone.phase === phase;
}

function withMicrophone(session: Session, turn: number): Session {
  return { ...session, microphone: { turn, phase: "live" } };
}
