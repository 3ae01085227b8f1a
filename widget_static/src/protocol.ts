// Generated from bridge/operators/protocol.py, do not edit; run `python -m bridge.operators.typescript`.

export type PageKind = "worker" | "phone";

/** May this page use the microphone, as far as it can know without asking? */
export type Capture = "yes" | "ask" | "no" | "unknown";

/** Sent as `presence` whenever one of these changes. */
export interface Presence {
  visible: boolean;
  capture: Capture;
  /** The portal's page offers the call card to this worker (absent in slider documents). */
  card: boolean;
}

/** The `auth` of the socket. */
export interface Hello {
  /** The page ticket of the document. */
  ticket: string;
  /** The session ticket of an earlier connection, "" if there is none. */
  session: string;
  /** A random UUID, made when the document was loaded and kept for its life. */
  tab: string;
  /** A random UUID shared by all pages of one browser at one portal (partitioned localStorage). */
  browser: string;
  page: PageKind;
  presence: Presence;
}

/** `message` of the connect_error; `data.text` holds a sentence for people. */
export type Refusal =
  | "ticket-expired"
  | "ticket-invalid"
  | "not-an-operator"
  | "portal-unreachable"
  | "bad-message"
  | "busy";

/**
 * `answer`, `decline`, `hangUp`, `take` (the voice of a running call to this page or its browser); of a call that
 * consults about another one: `complete` (bring the two far ends together and leave), `back` (hang up, resume the other).
 * `merge` makes one conversation of a held call and the one that is talked on, `split` takes it apart, `drop` hangs up one of
 * its parties and goes on with the other. In a conference `hangUp` is for both, as are `mute`, `hold` and `take`; `complete`
 * leaves the two others with one another; keys go to the call that they are pressed for.
 * `record` records the call, `pauseRecording` interrupts that: repeating them does no harm, how it stands is in `state`.
 * `notifyAdmin` tells the portal's administrators about a call that could not be made; it comes when that has ended.
 */
export interface CallCommand {
  call: string;
}

/** `mute`: an absolute state, so repeating it is harmless. */
export interface Mute {
  call: string;
  muted: boolean;
}

/** `dial`: call this number. `dial` is the page's random name for the wish: repeating it makes no second call. */
export interface Dial {
  dial: string;
  number: string;
}

/** `transfer`: pass the call on without a word (blind), to a number or to a colleague. How it goes on is in `state`. */
export interface Transfer {
  call: string;
  number: string | "";
  /** Bitrix24's id of the colleague, 0 where `number` says it. With both, the number is for a user without a telephone. */
  user: number;
}

/** `consult`: hold this call and dial a number, or a colleague, to ask about it; `dial` as in `dial`. */
export interface Consult {
  call: string;
  dial: string;
  number: string | "";
  user: number;
}

/** `hold`: an absolute state. Holding is shown once the PBX has confirmed it (`state` held). */
export interface Hold {
  call: string;
  held: boolean;
}

/** `digits`: keys of the keypad; `press` is the page's random name for this press: repeating it sends nothing twice. */
export interface Digits {
  call: string;
  press: string;
  digits: string;
}

/**
 * `card`: the portal has drawn the card of this CALL_ID in this page's document.
 *
 * An outgoing card that nobody here has caused is a click on a number in the portal: the bridge makes the call, unless the
 * portal's own event was first.
 */
export interface CardShown {
  card: string;
  outgoing: boolean;
  number: string;
  line: string;
}

/** `rate`: how the operator finds the quality of the call, 5 is best. */
export interface Rate {
  call: string;
  mark: number;
}

/** `comment`: what the operator noted on the call card, which the portal keeps by itself. */
export interface Comment {
  call: string;
  text: string;
}

/** `offer`: the page's voice for a call, without candidates; answered by `mediaAnswer` with the same `offer`. */
export interface Offer {
  call: string;
  offer: string;
  sdp: string;
}

/** `speaking`: the microphone runs and this page's leg for the call sends it; the first packet is on its way. */
export interface Speaking {
  call: string;
}

export type VoiceFailure = "denied" | "not-delegated" | "no-device" | "timeout" | "other";

/** `voiceFailed`: this page was to speak and can't. */
export interface VoiceFailed {
  call: string;
  why: VoiceFailure;
}

/**
 * `loaded`: when what happened while the frame was loaded, in milliseconds since that began (Navigation Timing).
 *
 * Sent once by each document. It is the browser's own record, whose other fields are of no interest.
 */
export interface Loaded {
  fetchStart: number;
  requestStart: number;
  responseStart: number;
  responseEnd: number;
  /** Until the end of the `load` event; 0 before it. */
  duration: number;
}

/**
 * `bye`: the page goes away now. `renew`: a new session ticket, please (comes as `welcome`). `colleagues`: who can be passed a call
 * (comes as `colleagues`).
 */
export type Nothing = Record<string, never>;

export interface Ack {
  ok: boolean;
  /** A sentence for people, "" when ok. */
  error: string;
}

/** `welcome`: who you are. Keep `session` in localStorage and show it with the next `Hello`. */
export interface Welcome {
  session: string;
  /** Seconds until a `renew` is due. */
  renewIn: number;
  user: number;
  name: string;
}

export type CallState =
  | "ringing"
  | "dialling"
  | "joining"
  | "talking"
  | "held"
  | "rejoining"
  | "transferring"
  | "ended";

export type Ended =
  | "operator-hung-up"
  | "caller-hung-up"
  | "caller-gave-up"
  | "answered-elsewhere"
  | "declined"
  | "nobody-online"
  | "nobody-answered"
  | "voice-lost"
  | "media-failed"
  | "pbx-lost"
  | "bridge-stopped"
  | "cancelled"
  | "busy"
  | "unknown-number"
  | "incomplete-number"
  | "no-answer"
  | "unavailable"
  | "rejected"
  | "forbidden"
  | "no-funds"
  | "failed"
  | "transferred"
  | "";

/** Which leg makes the voice bad, and how. */
export type Trouble =
  | "operator-loss"
  | "operator-jitter"
  | "operator-delay"
  | "pbx-loss"
  | "pbx-jitter"
  | "pbx-delay"
  | "";

/** `off`: the operator may ask for it; `failed`: nothing more is recorded, the call goes on; "": there is none. */
export type Recording = "off" | "on" | "paused" | "failed" | "";

/** How a call sounds: mean opinion scores, 1 to 4.5. */
export interface Quality {
  /** What the operator hears. */
  heard: number;
  /** What the other side hears of the operator. */
  said: number;
  trouble: Trouble;
}

/** Why a transfer came to nothing; `unsupported`: the PBX does none for us, `untold`: it never said. */
export type TransferFailure =
  | "busy"
  | "no-answer"
  | "unknown-number"
  | "unavailable"
  | "rejected"
  | "forbidden"
  | "unsupported"
  | "untold"
  | "failed";

export type ClientKind = "CONTACT" | "COMPANY" | "LEAD";

/** Who it is in the CRM; the name stands in the call. */
export interface Client {
  kind: ClientKind;
  id: number;
  /** The name of whoever looks after them, "" if nobody does. */
  responsible: string;
  /** That is this operator. */
  mine: boolean;
}

export interface TonePart {
  /** What sounds together; nothing: a pause. */
  hertz: number[];
  seconds: number;
}

/** Sounds and pauses in turn. */
export interface Tone {
  parts: TonePart[];
  /** How often they are heard; 0: until somebody stops it. */
  times: number;
  /** 0 to 1, of each frequency. */
  volume: number;
}

/** One call as this page sees it. */
export interface Call {
  id: string;
  state: CallState;
  direction: "inbound" | "outbound";
  number: string;
  name: string;
  /** None until the CRM has said who it is, or if it knows nobody. */
  client: Client | null;
  /** Of the number that was called, to be keyed in once somebody has answered; "" for none. */
  extension: string;
  line: string;
  /** The number of whoever passed the call on to this operator, "" for nobody. */
  referrer: string;
  /** The number that was called before and forwards its calls here, "" for none. */
  diverter: string;
  /** Bitrix24's CALL_ID, "" until it is known: matches `initialized` of the call card. */
  card: string;
  /**
   * The tab that holds or shall hold the microphone. The page whose `tab` this is captures and speaks.
   *
   * "" while nobody answered; "" in `rejoining` and `dialling` calls the lead to offer its voice unasked.
   */
  voice: string;
  /** This page makes the noise for a call that rings: one page of the operator does. */
  sound: boolean;
  /** Answered by somebody, or on a page of this operator, in another browser. */
  elsewhere: boolean;
  muted: boolean;
  /** Held by the operator, confirmed by the PBX. */
  held: boolean;
  /** The other side holds. */
  pbxHolds: boolean;
  /** Outbound before the answer: `ringing` – the page that speaks plays `tone`; `early` – the PBX plays its own. */
  progress: "" | "ringing" | "early";
  /** Seconds of talk when this message was sent; None before the answer. */
  talkSeconds: number | null;
  ended: Ended;
  /** Why the last attempt to answer failed. */
  notice: "" | VoiceFailure;
  /** None before the first verdict. */
  quality: Quality | null;
  recording: Recording;
  /** The operator may interrupt it. */
  recordingPausable: boolean;
  /** The held call that this one asks about: `complete` and `back` are for it. "" for an ordinary call. */
  consults: string;
  /** The call that is one conversation with this one, "" for none. */
  conference: string;
  /** The last attempt at a conference came to nothing. */
  conferenceFailed: boolean;
  /** While `transferring`: the new party's number. */
  transferTo: string;
  /** The new party's telephone rings. */
  transferRings: boolean;
  /** Why the last transfer came to nothing; the operator has the call back. */
  transferFailed: "" | TransferFailure;
  /** What this page plays in place of a voice: that it rings at the far end, why nobody was reached, that somebody is on hold. */
  tone: Tone | null;
}

/** What RTCPeerConnection takes in `iceServers`: a TURN server, and credentials that soon expire. */
export interface IceServer {
  urls: string[];
  username: string;
  credential: string;
}

/** `state`: everything a page may know. */
export interface State {
  /** This page is the operator's lead: it rings, prepares the voice while it rings, opens the application. */
  lead: boolean;
  /** No page draws the cards of this operator's calls: Bitrix24's desktop application does. */
  desktop: boolean;
  /** New voice messages that wait at the PBX. */
  voicemail: number;
  /** For the legs that this page makes from now on; none where it has none to make, or the bridge knows no TURN server. */
  iceServers: IceServer[];
  calls: Call[];
}

/** `open`: call openApplication now; sent to one page, once per call. */
export interface Open {
  call: string;
  /** Bitrix24's CALL_ID, "" while it is not known: the ring does not wait for it. */
  card: string;
  number: string;
  name: string;
  line: string;
  /** Pixels (bx24_width). */
  width: number;
}

export type ColleagueState = "free" | "ringing" | "busy" | "away";

/** Somebody whom a call can be passed to. */
export interface Colleague {
  user: number;
  /** "" until they were seen. */
  name: string;
  /** What one dials to reach them. */
  number: string;
  state: ColleagueState;
}

/** `colleagues`: everybody at this portal with an account at the same PBX. */
export interface Colleagues {
  colleagues: Colleague[];
}

/** `reoffer`: the codec has changed, offer again on the running connection, or `anew` on another one: it is lost. */
export interface Reoffer {
  call: string;
  anew: boolean;
}

/** `mediaAnswer`: the bridge's description for the page's `offer`. */
export interface MediaAnswer {
  call: string;
  offer: string;
  sdp: string;
}

/** Events of the page and what each carries; all are acknowledged with an `Ack`. */
export interface FromPage {
  presence: Presence;
  offer: Offer;
  speaking: Speaking;
  answer: CallCommand;
  decline: CallCommand;
  hangUp: CallCommand;
  mute: Mute;
  take: CallCommand;
  dial: Dial;
  transfer: Transfer;
  consult: Consult;
  complete: CallCommand;
  back: CallCommand;
  merge: CallCommand;
  split: CallCommand;
  drop: CallCommand;
  hold: Hold;
  record: CallCommand;
  pauseRecording: CallCommand;
  digits: Digits;
  card: CardShown;
  rate: Rate;
  comment: Comment;
  notifyAdmin: CallCommand;
  voiceFailed: VoiceFailed;
  loaded: Loaded;
  colleagues: Nothing;
  renew: Nothing;
  bye: Nothing;
}

/** Events of the bridge and what each carries. */
export interface ToPage {
  welcome: Welcome;
  state: State;
  open: Open;
  mediaAnswer: MediaAnswer;
  reoffer: Reoffer;
  colleagues: Colleagues;
}
