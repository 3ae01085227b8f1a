// Every sentence that a person can read, by key, so that another language is another table.

import type { CallState, Capture, Ended, Refusal, VoiceFailure } from "./protocol";

interface Notice {
  what: string;
  todo: string;
}

export const cardTexts: { states: Record<CallState, string>; pbxHolds: string; offline: string } = {
  states: {
    ringing: "Incoming call",
    dialling: "Calling…",
    joining: "Connecting…",
    talking: "In a call",
    held: "On hold",
    rejoining: "Restoring the voice…",
    transferring: "Transferring…",
    ended: "Call ended",
  },
  pbxHolds: "The other side put the call on hold",
  offline: "Connecting to the telephone server…",
};

export const endings: Record<Ended, string> = {
  "operator-hung-up": "You ended the call.",
  "caller-hung-up": "The other side ended the call.",
  "caller-gave-up": "The caller hung up before anyone answered.",
  "answered-elsewhere": "The call was answered elsewhere.",
  declined: "You declined the call.",
  "nobody-online": "Nobody was there to take the call.",
  "nobody-answered": "Nobody answered in time.",
  "voice-lost": "The connection to your browser was lost for too long.",
  "media-failed": "The voice could not be connected.",
  "pbx-lost": "The connection to the telephone system was lost.",
  "bridge-stopped": "The telephone server was stopped.",
  "": "The call has ended.",
};

export const notices: Record<VoiceFailure, Notice> = {
  denied: {
    what: "Your browser refused the microphone.",
    todo: "Click the icon left of the address, allow the microphone for this portal, then answer again.",
  },
  "not-delegated": {
    what: "The portal does not let the telephone use the microphone.",
    todo: "This Bitrix24 is too old for that. Ask its administrator to update it.",
  },
  "no-device": {
    what: "No microphone was found.",
    todo: "Plug in a headset or a microphone, then answer again.",
  },
  timeout: {
    what: "The browser's question about the microphone was not answered.",
    todo: "Answer the call again and choose “Allow” when the browser asks.",
  },
  other: {
    what: "The voice could not be started.",
    todo: "Close other programs that use the microphone and check your network, then answer again.",
  },
};

export const refusals: Record<Refusal, string> = {
  "ticket-expired": "This page is too old. Reload it, please.",
  "ticket-invalid": "This page was not recognised. Reload it, please.",
  "not-an-operator": "You are not set up as an operator. Ask the administrator of the telephone to add you.",
  "portal-unreachable": "Bitrix24 does not answer at the moment. The telephone keeps trying.",
  "bad-message": "This page and the telephone server do not fit together. Reload the page, please.",
  busy: "The telephone server is busy. The page tries again in a moment.",
};

export const readiness: Record<Capture, string> = {
  yes: "allowed",
  ask: "the browser will ask at the first call",
  no: "blocked, or none is connected",
  unknown: "not checked yet",
};

export const phoneTexts = {
  ready: "Ready for calls",
  readyHint: "When somebody calls, the call shows here and on every Bitrix24 page you have open.",
  connecting: "Connecting…",
  connectingHint: "The telephone server cannot be reached. This page keeps trying.",
  connected: "Connected",
  notConnected: "Not connected",
  refused: "No connection",
  signedIn: (name: string) => `Signed in as ${name}`,
  incoming: "Incoming call",
  outgoing: "Calling",
  joining: "Connecting the voice…",
  talking: "In a call",
  held: "On hold",
  pbxHolds: "The other side put the call on hold",
  rejoining: "Restoring the voice…",
  transferring: "Transferring…",
  elsewhere: "Answered elsewhere",
  elsewhereHint: "This call goes on in another browser, or with a colleague.",
  ended: "Call ended",
  withheld: "Number withheld",
  line: (line: string) => `Line ${line}`,
  waiting: (count: number) => (count === 1 ? "1 more call is waiting" : `${count} more calls are waiting`),
  announceIncoming: (who: string) => `Incoming call from ${who}`,
  duration: (time: string) => `Talk time ${time}`,
  answer: "Answer",
  decline: "Decline",
  hangUp: "Hang up",
  mute: "Mute",
  muted: "You are muted",
  close: "Close",
  microphone: "Microphone",
  server: "Telephone server",
  failed: "That did not work. Try again, please.",
};

export const installTexts = {
  title: "Install the telephone",
  intro: "This connects the telephone with your Bitrix24. Nothing is called and no call is changed. The installation",
  plan: [
    "checks that this Bitrix24 is known to the telephone server,",
    "adds an invisible helper to every page, so that calls ring wherever your operators are,",
    "registers the telephone lines, so that calls are written to the CRM.",
  ],
  admin: "You need to be an administrator of this Bitrix24. It takes a few seconds.",
  install: "Install",
  installing: "Installing…",
  retry: "Retry",
  steps: "Steps",
  ok: "done",
  bad: "failed",
  done: "Installed. Bitrix24 opens the telephone now.",
  doneOutside: "Installed. Reload this Bitrix24 page, please.",
  incomplete: "The installation is not complete. See the failed step above, then try again.",
  unreachable: "The telephone server did not answer. Check that it is running, then try again.",
  unclear: "The telephone server gave an answer that makes no sense. Try again, or look into its log.",
};
