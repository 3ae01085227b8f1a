// Every sentence that a person can read, by key, so that another language is another table.

import type {
  Call,
  CallState,
  Capture,
  ClientKind,
  ColleagueState,
  Ended,
  Quality,
  Refusal,
  TransferFailure,
  Trouble,
  VoiceFailure,
} from "./protocol";

export interface Notice {
  what: string;
  todo: string;
}

/** What a person hears while nobody has answered. */
type Progress = Exclude<Call["progress"], "">;

interface CardTexts {
  states: Record<CallState, string>;
  progress: Record<Progress, string>;
  pbxHolds: string;
  offline: string;
  transferFailed: string;
  referred: (by: string) => string;
}

const progress: Record<Progress, string> = { ringing: "Ringing…", early: "Waiting for an answer…" };

export const cardTexts: CardTexts = {
  states: {
    ringing: "Incoming call",
    dialling: "Connecting…",
    joining: "Connecting…",
    talking: "In a call",
    held: "On hold",
    rejoining: "Restoring the voice…",
    transferring: "Transferring…",
    ended: "Call ended",
  },
  progress,
  pbxHolds: "The other side put you on hold",
  offline: "Connecting to the telephone server…",
  transferFailed: "The call could not be passed on.",
  referred: (by) => `Passed on by ${by}`,
};

/** Why a number could not be reached. */
export const failures = {
  busy: "The line is busy. Try again later.",
  "unknown-number": "This number does not exist. Check it, please.",
  "incomplete-number": "This number is not complete. Check it, please.",
  "no-answer": "Nobody answered.",
  unavailable: "The other side cannot be reached at the moment.",
  rejected: "The other side declined the call.",
  forbidden:
    "The rules of your company or of its telephone system do not allow this call now. Ask the administrator of the telephone.",
  "no-funds": "The telephone system wants this call to be paid for. Tell your administrator.",
  failed: "The call could not be connected. Try again. If it keeps failing, ask the administrator of the telephone.",
} satisfies { [How in Ended]?: string };

export const endings: Record<Ended, string> = {
  ...failures,
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
  cancelled: "You ended the call before anybody answered.",
  transferred: "The call was passed on.",
  "": "The call has ended.",
};

export const troubles: Record<Exclude<Trouble, "">, string> = {
  "operator-loss": "Your network loses parts of the voice. A cable instead of Wi-Fi helps most.",
  "operator-jitter": "Your network carries the voice unevenly. A cable instead of Wi-Fi helps most.",
  "operator-delay": "Your network is slow: let the other side finish before you speak.",
  "pbx-loss": "Parts of the voice are lost between us and the telephone system.",
  "pbx-jitter": "The voice comes unevenly from the telephone system.",
  "pbx-delay": "The way to the telephone system is long: let the other side finish before you speak.",
};

/** One line: how the worse direction sounds, by the steps of ITU-T G.107, annex B, and what to know about it. */
export function soundOf(quality: Quality): string {
  const worse = Math.min(quality.heard, quality.said);
  const word = worse >= 4 ? "good" : worse >= 3.6 ? "fair" : worse >= 3.1 ? "poor" : "bad";
  return quality.trouble === "" ? `Voice: ${word}` : `Voice: ${word}. ${troubles[quality.trouble]}`;
}

export const colleagueStates: Record<ColleagueState, string> = {
  free: "free",
  ringing: "ringing",
  busy: "in a call",
  away: "no page open",
};

/** Why the operator has a call back that was to be passed on. */
export const transferFailures: Record<TransferFailure, Notice> = {
  busy: { what: "The call was not passed on: the line is busy.", todo: "Try another number, or call there first." },
  "no-answer": { what: "The call was not passed on: nobody answered.", todo: "Try another number." },
  "unknown-number": {
    what: "The call was not passed on: the number does not exist.",
    todo: "Check the number, please.",
  },
  unavailable: {
    what: "The call was not passed on: the other telephone cannot be reached.",
    todo: "Try another number.",
  },
  rejected: { what: "The call was not passed on: it was declined there.", todo: "Try another number." },
  forbidden: {
    what: "The call was not passed on: the rules of your company or of its telephone system do not allow this number.",
    todo: "Ask its administrator.",
  },
  unsupported: {
    what: "Your telephone system does not pass calls on.",
    todo: "Ask its administrator to allow transfers (REFER), or for a code to dial on the keypad.",
  },
  untold: {
    what: "Your telephone system did not say whether the call was passed on.",
    todo: "Check that the other side is still there.",
  },
  failed: { what: "The call could not be passed on.", todo: "Try again, or call there first." },
};

/** Why two calls are still two. */
export const noConference: Notice = {
  what: "The calls could not be joined; both are still there.",
  todo: "Try again, or connect the two with each other.",
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

/** Why the phone page speaks instead of the hidden page that usually does, by what stands against that one. */
export const speakers: Record<VoiceFailure, Notice> = {
  denied: {
    what: "The hidden telephone may not use the microphone, so this page speaks: keep it open.",
    todo: "To change that, click the icon left of the address and allow the microphone for this portal.",
  },
  "not-delegated": {
    what: "Your portal does not let the hidden telephone use the microphone, so this page speaks: keep it open.",
    todo: "This Bitrix24 is too old for that. Ask its administrator to update it.",
  },
  "no-device": {
    what: "The hidden telephone found no microphone, so this page speaks: keep it open.",
    todo: "Check that your headset is plugged in, then reload the portal’s page after the call.",
  },
  timeout: {
    what: "The question about the microphone was not answered, so this page speaks: keep it open.",
    todo: "Choose “Allow” when the browser asks the next time.",
  },
  other: {
    what: "The hidden telephone could not use the microphone, so this page speaks: keep it open.",
    todo: "Close other programs that use the microphone before the next call.",
  },
};

/** Before any call. */
export const obstacles: Record<Exclude<VoiceFailure, "timeout" | "not-delegated">, Notice> = {
  denied: {
    what: "Your browser blocks the microphone: you could not speak in a call.",
    todo: "Click the icon left of the address and allow the microphone for this portal.",
  },
  "no-device": {
    what: "No microphone was found: you could not speak in a call.",
    todo: "Plug in a headset or a microphone.",
  },
  other: {
    what: "This browser does not give the microphone to pages without encryption.",
    todo: "Ask the administrator of the telephone to serve it over https.",
  },
};

/** When there is nothing better to say. */
export const failure = "That did not work. Try again, please.";

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
  voicemail: (count: number) =>
    count === 1 ? "You have a new voice message." : `You have ${count} new voice messages.`,
  readyHint: "Calls show here and on every Bitrix24 page you have open.",
  connecting: "Connecting…",
  connectingHint: "The telephone server cannot be reached. This page keeps trying.",
  connected: "Connected",
  notConnected: "Not connected",
  refused: "No connection",
  notAnOperator: "No telephone yet",
  signedIn: (name: string) => `Signed in as ${name}`,
  incoming: "Incoming call",
  dialling: "Connecting…",
  progress,
  joining: "Connecting the voice…",
  talking: "In a call",
  held: "On hold",
  pbxHolds: "The other side put you on hold",
  rejoining: "Restoring the voice…",
  transferring: "Passing the call on…",
  transferringTo: (number: string) => `Passing the call on to ${number}…`,
  transferRings: (number: string) => `It rings at ${number || "the other telephone"}…`,
  transfer: "Transfer",
  transferTo: "Transfer to",
  colleagues: "Colleagues",
  colleague: (name: string, state: ColleagueState) => `${name}: ${colleagueStates[state]}`,
  transferNow: "Transfer now",
  consult: "Call first",
  connect: "Connect them",
  back: "Back",
  consultation: (who: string) => `${who} is waiting on hold.`,
  conference: "Conference",
  together: (one: string, other: string) => `${one} and ${other}`,
  parties: "In this conference",
  split: "Split",
  leave: "Leave them talking",
  endForAll: "End for all",
  conferenceHint:
    "“End for all” hangs up with both. “Leave them talking” ends it for you alone, if your telephone system can connect the two.",
  holdsYou: (who: string) => `${who} put you on hold`,
  keysGoTo: (who: string) => `Keys go to ${who}.`,
  elsewhere: "Answered elsewhere",
  elsewhereHint: "A colleague has answered this call.",
  onAnotherPage: "In a call on another page",
  onAnotherPageHint: "You speak in another browser or on another machine.",
  ended: "Call ended",
  withheld: "Number withheld",
  line: (line: string) => `Line ${line}`,
  diverted: (number: string) => `Forwarded from ${number}`,
  others: "Other calls",
  announceIncoming: (who: string) => `Incoming call from ${who}`,
  duration: (time: string) => `Talk time ${time}`,
  clients: { CONTACT: "Contact", COMPANY: "Company", LEAD: "Lead" } as Readonly<Record<ClientKind, string>>,
  responsible: (name: string) => `Looked after by ${name}`,
  yours: "Your client",
  openClient: "Open in the CRM",
  sendExtension: (digits: string) => `Key in extension ${digits}`,
  answer: "Answer",
  holdAndAnswer: "Hold & answer",
  decline: "Decline",
  hangUp: "Hang up",
  cancel: "Cancel",
  mute: "Mute",
  muted: "You are muted",
  record: "Record",
  pauseRecording: "Pause recording",
  resumeRecording: "Resume recording",
  recordAgain: "Record again",
  recording: {
    off: "Not recorded",
    on: "Being recorded",
    paused: "Recording paused",
    failed: "Recording has stopped, administrators know",
  },
  hold: "Hold",
  holding: "Holding…",
  resume: "Resume",
  resuming: "Resuming…",
  holdUnconfirmed: "The telephone system has not confirmed this. The call goes on as before.",
  takeOver: "Take over",
  close: "Close",
  keypad: "Keypad",
  pressed: (digits: string) => `Pressed: ${digits}`,
  number: "Telephone number",
  numberHint: "Number to call",
  noNumber: "This is not a telephone number. Digits, * and # can be dialled, and a + in front.",
  call: "Call",
  redial: (number: string) => `Redial ${number}`,
  deleteDigit: "Delete the last digit",
  digits: { "*": "star", "#": "hash" } as Readonly<Record<string, string>>,
  /** A button's label beside those of other calls, for those who can't see which call it belongs to. */
  of: (action: string, who: string) => `${action}: ${who}`,
  microphone: "Microphone",
  server: "Telephone server",
  administration: "Administration",
  desktop: "Bitrix24’s desktop application shows the call card; calls work here all the same.",
};

export const installTexts = {
  title: "Install the telephone",
  titleInstalled: "The telephone in this Bitrix24",
  intro: "This connects the telephone with your Bitrix24. Nothing is called and no call is changed. The installation",
  plan: [
    "checks that this Bitrix24 is known to the telephone server, and that you are an administrator,",
    "keeps your authorisation, sealed, so that the telephone can write calls to the CRM in its name,",
    "adds an invisible helper to every page, so that calls ring wherever your operators are,",
    "asks Bitrix24 to tell the telephone when somebody clicks a number,",
    "registers a telephone line, under which calls are logged.",
  ],
  admin: "You need to be an administrator of this Bitrix24. It takes a few seconds and can be repeated at any time.",
  stateLabel: "How it stands",
  stepsLabel: "Installation",
  line: "Number of the line",
  lineHint: "The number that your callers dial. Leave it empty to log calls without a line.",
  lineName: "Name of the line",
  lineNameHint: "What Bitrix24 shows for it.",
  region: "Region",
  regionHint: "Two letters, such as DE: where a number without country code belongs.",
  install: "Install",
  installing: "Installing…",
  again: "Install again",
  retry: "Try again",
  steps: {
    portal: "This Bitrix24",
    token: "The application",
    administrator: "You",
    tokens: "Authorisation",
    worker: "The telephone on every page",
    events: "Events",
    line: "Line",
    application: "The application",
    administrators: "Administrators",
    Bitrix24: "Bitrix24",
    address: "Address",
    licence: "Licence",
    rights: "Rights",
  } as Readonly<Record<string, string>>,
  ok: "in order",
  bad: "needs attention",
  done: "Installed. Bitrix24 opens the telephone now.",
  doneAgain: "Installed.",
  doneOutside: "Installed. Reload this Bitrix24 page, please.",
  incomplete: "The installation is not complete. See what needs attention above, then try again.",
  unreachable: "The telephone server did not answer. Check that it is running, then try again.",
  unclear: "The telephone server gave an answer that makes no sense. Try again, or look into its log.",
};

export const settingsTexts = {
  open: "Administration",
  installation: "Installation, line and how things stand",
  title: "Operators and accounts",
  intro: "An operator is whoever has the extension in Bitrix24. Changes take effect at once; calls go on.",
  loading: "Loading…",
  back: "Back to the telephone",
  voice: "How calls sounded",
  operator: "Operator",
  account: "Account at the PBX",
  state: "State",
  none: "Nobody has an account yet: nobody can telephone.",
  unknown: "Nobody",
  nobody: "Nobody in Bitrix24 has this extension",
  registered: "Registered",
  shared: "Reached through the trunk",
  registering: "Registering…",
  unregistered: "Not registered",
  notRegistered: (why: string) => `Not registered: ${why || "the PBX does not answer"}`,
  online: "a page is open",
  offline: "no page is open",
  fixed: "in the configuration file",
  extensionOf: (extension: string) => `extension ${extension}`,
  remove: "Remove",
  reallyRemove: "Remove now",
  keep: "Keep",
  without: "Extensions without an account",
  giveAccount: "Add account",
  peopleUnknown: "Bitrix24 has not told its employees yet: accounts are given to them as soon as it has.",
  add: "Add an account",
  extension: "Extension in Bitrix24",
  sipUser: "SIP user",
  sipUserHint: "Left empty, it is the extension.",
  password: "Password at the PBX",
  trunk: "PBX",
  addAccount: "Add account",
  importTitle: "Import a table",
  importHint: "CSV. The first line names the columns: extension, sip_user, password, and if needed trunk and user_id.",
  file: "From a file",
  paste: "Or paste it here",
  sample: "extension,sip_user,password\n101,1001,…",
  check: "Check",
  take: "Import",
  wouldBe: "Nothing was changed. This would be:",
  done: "Done:",
  empty: "nothing in it",
  line: (line: number) => `Line ${line}`,
  changes: { added: "added", changed: "changed", unchanged: "unchanged", refused: "refused" } as Readonly<
    Record<string, string>
  >,
  of: (action: string, who: string) => `${action}: ${who}`,
  unreachable: "The telephone server did not answer. Check that it is running, then try again.",
  unclear: "The telephone server gave an answer that makes no sense. Try again, or look into its log.",
};
