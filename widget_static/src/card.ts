// Bitrix24's call card: its names in one typed table, and what it should show for a call (pure).
// A misspelt name fails silently there, so none is written anywhere else.

import { isObject } from "./bx24";
import type { Call, CallState, CardShown, Ended } from "./protocol";
import { cardTexts, failures, notices } from "./texts";

export type UiState =
  | "incoming"
  | "transferIncoming"
  | "outgoing"
  | "connectingIncoming"
  | "connectingOutgoing"
  | "connected"
  | "transferring"
  | "transferFailed"
  | "transferConnected"
  | "error"
  | "moneyError"
  | "redial";

/** Commands of the card and their parameters. They act on the one card of the document. */
export interface CardCommands {
  CallCardSetUiState: { uiState: UiState };
  CallCardSetMute: { muted: boolean };
  CallCardSetHold: { held: boolean };
  CallCardSetStatusText: { statusText: string };
  CallCardClose: Record<string, never>;
}

export type CardCommand = {
  [Name in keyof CardCommands]: { command: Name; params: CardCommands[Name] };
}[keyof CardCommands];

/**
 * Events of the card that we bind; what each means is decided in `wishes.ts`. Portals offer one or the other of them not.
 *
 * Of all there are only `entityChanged` is left out: it may come before `initialized`, and who is calling the bridge finds out.
 */
export const CARD_EVENTS = {
  initialized: "BackgroundCallCard::initialized",
  answer: "BackgroundCallCard::answerButtonClick",
  skip: "BackgroundCallCard::skipButtonClick",
  hangUp: "BackgroundCallCard::hangupButtonClick",
  makeCall: "BackgroundCallCard::makeCallButtonClick",
  next: "BackgroundCallCard::nextButtonClick",
  mute: "BackgroundCallCard::muteButtonClick",
  hold: "BackgroundCallCard::holdButtonClick",
  close: "BackgroundCallCard::closeButtonClick",
  dialpad: "BackgroundCallCard::dialpadButtonClick",
  transfer: "BackgroundCallCard::transferButtonClick",
  completeTransfer: "BackgroundCallCard::completeTransferButtonClick",
  cancelTransfer: "BackgroundCallCard::cancelTransferButtonClick",
  quality: "BackgroundCallCard::qualityMeterClick",
  comment: "BackgroundCallCard::addCommentButtonClick",
  notifyAdmin: "BackgroundCallCard::notifyAdminButtonClick",
} as const;

export type CardEvent = keyof typeof CARD_EVENTS;

/** What a card shows; the unset parts are as the portal drew them. */
export interface Face {
  ui?: UiState;
  muted?: boolean;
  held?: boolean;
  status?: string;
}

/** What else the page knows that the card of a call shows. */
export interface Around {
  /** The socket is connected. */
  online: boolean;
  /** The call that asks a third party about this one. */
  consultation: Call | undefined;
  /** Why the last attempt to pass the call on failed, "" when it did not or when the operator has seen it. */
  failure: string;
}

/**
 * What a live call looks like on its card.
 *
 * Not `outgoing` for a call that is dialled: that one has a button to call with, and none to hang up. Leaving `connected`
 * stops the card's timer, and a rejoin takes a fraction of a second: the status text tells it. Once the PBX passes the call
 * on nothing is left but to hang up, which is `transferConnected`; until then, while somebody is asked, it is `transferring`,
 * with the buttons to complete and to cancel.
 */
const LIVE: Record<Exclude<CallState, "ended">, Record<Call["direction"], UiState>> = {
  ringing: { inbound: "incoming", outbound: "connectingOutgoing" },
  dialling: { inbound: "connectingIncoming", outbound: "connectingOutgoing" },
  joining: { inbound: "connectingIncoming", outbound: "connectingOutgoing" },
  talking: { inbound: "connected", outbound: "connected" },
  held: { inbound: "connected", outbound: "connected" },
  rejoining: { inbound: "connected", outbound: "connected" },
  transferring: { inbound: "transferConnected", outbound: "transferConnected" },
};

/** A call that the operator could not make: the card stays for what can be done about it. All others close. */
const ENDED: { [How in keyof typeof failures]: UiState } & { [How in Ended]?: UiState } = {
  busy: "redial",
  "no-answer": "redial",
  unavailable: "redial",
  rejected: "redial",
  "unknown-number": "error",
  "incomplete-number": "error",
  forbidden: "error",
  failed: "error",
  "no-funds": "moneyError",
};

/** What the card of this call should show, or "closed". */
export function faceOf(call: Call, around: Around): Required<Face> | "closed" {
  const plain = { muted: false, held: false };
  if (call.state === "ended") {
    const isUnmade = call.direction === "outbound" && call.talkSeconds === null;
    const ui = isUnmade && ENDED[call.ended];
    return ui ? { ui, ...plain, status: failures[call.ended as keyof typeof failures] } : "closed";
  }
  if (call.elsewhere && call.state !== "ringing") return "closed";
  const { muted, held } = call;
  const { online, consultation, failure } = around;
  if (consultation) return { ui: "transferring", muted, held, status: statusOf(consultation, online) };
  if (failure) return { ui: "transferFailed", muted, held, status: failure };
  const isReferred = call.state === "ringing" && call.referrer !== "";
  const ui = isReferred ? "transferIncoming" : LIVE[call.state][call.direction];
  return { ui, muted, held, status: statusOf(call, online) };
}

/**
 * Where `transferButtonClick` wants the call to go; 0 and "" leave out what it does not say.
 *
 * Documented is `{phoneNumber, target}`, with a user's id or a number as the target; portals also send `{type, target}`. A
 * bare short number may be either: the bridge knows its operators.
 */
export function transferTarget(payload: unknown): { number: string; user: number } {
  const { type, target } = isObject(payload) ? payload : {};
  const number = String(target ?? "").replace(/[^\d*#+]/g, "");
  const isUser = type === "user" || (type !== "pstn" && /^\d{1,9}$/.test(number));
  return {
    number: type === undefined || type === "pstn" ? number : "",
    user: isUser && type !== "queue" ? Number(number) : 0,
  };
}

/** The card of a click on a number whose call was refused: the operator may try again. */
export function refusedFace(why: string): Required<Face> {
  return { ui: "outgoing", muted: false, held: false, status: why };
}

/** The argument of `initialized`; null when it names no call. */
export function cardOf(payload: unknown): CardShown | null {
  if (!isObject(payload) || typeof payload.CALL_ID !== "string") return null;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return {
    card: payload.CALL_ID,
    outgoing: payload.CALL_DIRECTION === "outgoing",
    number: text(payload.PHONE_NUMBER),
    line: text(payload.LINE_NUMBER),
  };
}

/** The reply of a command when the document has no card. */
export function isMissing(reply: unknown): boolean {
  return Array.isArray(reply) && reply[0]?.errorCode === "Call card is undefined";
}

/** The commands that bring a card from one face to another: only what changes, the state first. */
export function commandsFor(shown: Face, face: Required<Face>): CardCommand[] {
  const commands: CardCommand[] = [];
  if (shown.ui !== face.ui) commands.push({ command: "CallCardSetUiState", params: { uiState: face.ui } });
  if ((shown.muted ?? false) !== face.muted)
    commands.push({ command: "CallCardSetMute", params: { muted: face.muted } });
  if ((shown.held ?? false) !== face.held) commands.push({ command: "CallCardSetHold", params: { held: face.held } });
  if (shown.status !== face.status) {
    commands.push({ command: "CallCardSetStatusText", params: { statusText: face.status } });
  }
  return commands;
}

function statusOf(call: Call, online: boolean): string {
  if (!online) return cardTexts.offline;
  if (call.notice !== "" && call.state === "ringing") return notices[call.notice].what;
  if (call.state === "ringing" && call.referrer) return cardTexts.referred(call.referrer);
  if (call.pbxHolds) return cardTexts.pbxHolds;
  if (call.state === "dialling" && call.progress !== "") return cardTexts.progress[call.progress];
  return cardTexts.states[call.held ? "held" : call.state];
}
