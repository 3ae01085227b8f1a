// Bitrix24's call card: its names in one typed table, and what it should show for a call (pure).
// A misspelt name fails silently there, so none is written anywhere else.

import type { Call } from "./protocol";
import { cardTexts, notices } from "./texts";

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

/** Events of the card that we bind, and what a click on each means. */
export const CARD_EVENTS = {
  initialized: "BackgroundCallCard::initialized",
  answer: "BackgroundCallCard::answerButtonClick",
  skip: "BackgroundCallCard::skipButtonClick",
  hangUp: "BackgroundCallCard::hangupButtonClick",
  mute: "BackgroundCallCard::muteButtonClick",
  hold: "BackgroundCallCard::holdButtonClick",
  close: "BackgroundCallCard::closeButtonClick",
  dialpad: "BackgroundCallCard::dialpadButtonClick",
} as const;

export type CardClick = Exclude<keyof typeof CARD_EVENTS, "initialized" | "dialpad">;

/** What a card shows; the unset parts are as the portal drew them. */
export interface Face {
  ui?: UiState;
  muted?: boolean;
  held?: boolean;
  status?: string;
}

/** What the card of this call should show, or "closed". */
export function faceOf(call: Call, online: boolean): Required<Face> | "closed" {
  if (call.state === "ended" || (call.elsewhere && call.state !== "ringing")) return "closed";
  return { ui: uiOf(call), muted: call.muted, held: call.held, status: statusOf(call, online) };
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

function uiOf(call: Call): UiState {
  const inbound = call.direction === "inbound";
  switch (call.state) {
    case "ringing":
      return inbound ? "incoming" : "connectingOutgoing";
    // Not `outgoing`: that one has a button to call with, and none to hang up.
    case "dialling":
      return "connectingOutgoing";
    case "joining":
      return inbound ? "connectingIncoming" : "connectingOutgoing";
    // Leaving `connected` stops the card's timer, and a rejoin takes a fraction of a second: the status text tells it.
    default:
      return "connected";
  }
}

function statusOf(call: Call, online: boolean): string {
  if (!online) return cardTexts.offline;
  if (call.notice !== "" && call.state === "ringing") return notices[call.notice].what;
  if (call.pbxHolds) return cardTexts.pbxHolds;
  if (call.state === "dialling" && call.progress !== "") return cardTexts.progress[call.progress];
  return cardTexts.states[call.held ? "held" : call.state];
}
