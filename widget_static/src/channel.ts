// The socket to the bridge: connects, comes back, and delivers what a person wished even over a short break.

import { io, type Socket } from "socket.io-client";
import { forgetSession, keepSession, sessionTicket } from "./memory";
import type { Ack, FromPage, Hello, Refusal, ToPage, Welcome } from "./protocol";
import type { Event, Send } from "./session";
import { failure, refusals } from "./texts";

type Listeners = { [Name in keyof ToPage]: (message: ToPage[Name]) => void };
type Emitters = { [Name in keyof FromPage]: (message: FromPage[Name], acked: (ack: Ack) => void) => void };

const ACK_DEADLINE = 4_000;
const PROBE_DEADLINE = 1_500;
/** A click is worth repeating for so long; later it would surprise. */
const WISH_DEADLINE = 10_000;
const WISHES = [
  "answer",
  "decline",
  "hangUp",
  "mute",
  "take",
  "dial",
  "hold",
  "record",
  "pauseRecording",
  "digits",
  "card",
  "rate",
  "comment",
  "notifyAdmin",
] as const;
/** A connection that lasted so long was a good one: the next break starts with a quick attempt again. */
const GOOD_CONNECTION = 5_000;

/** Failed attempts after which the portal's push server shall say when a call waits. */
const SLEEPS_AFTER = 3;

/** Where the build has put `wake.ts`. */
declare const WAKE_URL: string;

type WishName = (typeof WISHES)[number];
type Wish = Extract<Send, { name: WishName }>;

export class Channel {
  private readonly socket: Socket<Listeners, Emitters>;
  private readonly wishes = new Map<string, Wish>();
  private hello: Hello;
  private attempts = 0;
  /** The session ticket that was given to this connection. */
  private session = "";
  private connectedAt = 0;
  private away = true;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private renewal: ReturnType<typeof setTimeout> | undefined;
  private waken: (() => void) | null = null;

  /** `urgent` says whether a call depends on the socket now. */
  constructor(
    private readonly makeHello: () => Hello,
    private readonly urgent: () => boolean,
    private readonly report: (event: Event) => void,
  ) {
    this.hello = makeHello();
    // The library's own reconnection waits at least a timer, which a hidden frame gets only once a second.
    this.socket = io({
      transports: ["websocket"],
      autoConnect: false,
      reconnection: false,
      timeout: 10_000,
      auth: (give) => give(this.greet()),
    });
    this.socket.on("connect", () => this.connected());
    this.socket.on("disconnect", (reason) => this.disconnected(reason));
    // The portal removes a page that loads slowly: the browser's own record says what took the time.
    const socket: Socket = this.socket;
    socket.once("connect", () => socket.emit("loaded", performance.getEntriesByType("navigation")[0]));
    this.socket.on("connect_error", (error) => this.refused(error));
    this.socket.on("welcome", (welcome) => this.welcomed(welcome));
    this.socket.on("state", (state) => report({ type: "stated", state, at: performance.now() }));
    this.socket.on("open", (open) => report({ type: "openAsked", open }));
    this.socket.on("reoffer", (wish) => report({ type: "reofferAsked", wish }));
    this.socket.on("colleagues", ({ colleagues }) => report({ type: "colleaguesTold", colleagues }));
    this.socket.on("mediaAnswer", (answer) => report({ type: "mediaAnswered", answer }));
    addEventListener("online", () => this.probe());
  }

  connect(): void {
    this.away = false;
    this.again(0);
  }

  /** The page goes away, perhaps into the back/forward cache, which would keep the socket open. */
  leave(): void {
    this.away = true;
    clearTimeout(this.retry);
    clearTimeout(this.renewal);
    this.wishes.clear();
    this.waken?.();
    this.waken = null;
    if (this.socket.connected) this.socket.emit("bye", {}, () => {});
    this.socket.disconnect();
  }

  /** The network may be another one: a socket that does not even answer any more only stands in the way of the next. */
  probe(): void {
    const socket: Socket = this.socket;
    const { id } = socket;
    this.again(0);
    if (!id) return;
    socket.timeout(PROBE_DEADLINE).emit("renew", {}, (error: Error | null) => {
      if (error && socket.id === id) socket.disconnect();
    });
  }

  send(send: Send): void {
    if (isWish(send)) this.wish(send);
    else if (this.socket.connected) this.emit(send, (ack) => this.offerAcked(send, ack));
  }

  // ---- wishes: repeated until they are acknowledged, which their idempotence allows

  private wish(wish: Wish): void {
    const key = keyOf(wish);
    this.wishes.set(key, wish);
    this.fulfil(wish);
    setTimeout(() => this.settle(wish, { ok: false, error: failure }), WISH_DEADLINE);
  }

  private fulfil(wish: Wish): void {
    if (!this.socket.connected || this.wishes.get(keyOf(wish)) !== wish) return;
    this.emit(wish, (ack) => (ack ? this.settle(wish, ack) : this.fulfil(wish)));
  }

  private settle(wish: Wish, ack: Ack): void {
    if (this.wishes.get(keyOf(wish)) !== wish) return;
    this.wishes.delete(keyOf(wish));
    const card = wish.name === "card" ? wish.payload.card : "";
    if (!ack.ok) this.report({ type: "complained", text: ack.error || failure, card });
  }

  private offerAcked(send: Send, ack: Ack | null): void {
    if (send.name === "offer" && ack && !ack.ok) this.report({ type: "offerRefused", offer: send.payload.offer });
  }

  /** Emits and gives the acknowledgement, or null when none came in time. */
  private emit(send: Send, acked: (ack: Ack | null) => void): void {
    // The library's types can't follow a name and a payload that belong together; ours did until here.
    const socket: Socket = this.socket;
    socket.timeout(ACK_DEADLINE).emit(send.name, send.payload, (error: Error | null, ack?: Ack) => {
      acked(error ? null : (ack ?? null));
    });
  }

  // ---- coming and going

  private greet(): Hello {
    this.hello = this.makeHello();
    return this.hello;
  }

  private connected(): void {
    this.connectedAt = performance.now();
    this.waken?.();
    this.waken = null;
    this.report({ type: "connected", told: this.hello.presence });
    for (const wish of this.wishes.values()) this.fulfil(wish);
  }

  private disconnected(reason: string): void {
    // The bridge showed us out: the portal says that this is somebody else than the session does.
    if (reason === "io server disconnect") forgetSession(this.session);
    if (performance.now() - this.connectedAt > GOOD_CONNECTION) this.attempts = 0;
    this.report({ type: "disconnected" });
    this.lost();
  }

  private refused(error: Error & { data?: { text?: unknown } }): void {
    const code = error.message;
    if (!isRefusal(code)) {
      this.lost();
      return;
    }
    if (code === "ticket-invalid") forgetSession(this.hello.session);
    const text = typeof error.data?.text === "string" && error.data.text ? error.data.text : refusals[code];
    this.report({ type: "refused", code, text });
    this.again(delayAfterRefusal(code, this.attempts, Math.random()));
  }

  private lost(): void {
    if (this.attempts >= SLEEPS_AFTER && !this.waken) this.sleep();
    this.again(delay(this.attempts, this.urgent(), Math.random()));
  }

  private again(milliseconds: number): void {
    clearTimeout(this.retry);
    if (this.away || this.socket.connected) return;
    this.retry = setTimeout(() => {
      this.attempts += 1;
      this.socket.connect();
    }, milliseconds);
  }

  /** The socket does not come about: another way says when it is worth an attempt. */
  private sleep(): void {
    this.waken = () => {};
    import(WAKE_URL).then(
      ({ sleep }: typeof import("./wake")) => {
        if (this.waken) this.waken = sleep(sessionTicket, () => this.again(0));
      },
      () => {
        this.waken = null;
      },
    );
  }

  private welcomed(welcome: Welcome): void {
    this.session = welcome.session;
    keepSession(welcome.session);
    this.report({ type: "welcomed", name: welcome.name });
    clearTimeout(this.renewal);
    this.renewal = setTimeout(() => {
      if (this.socket.connected) this.socket.emit("renew", {}, () => {});
    }, welcome.renewIn * 1_000);
  }
}

/** Milliseconds until the next attempt. `random` spreads the pages of a restarted bridge. */
export function delay(attempts: number, urgent: boolean, random: number): number {
  if (attempts <= 1) return urgent ? 0 : 2_000 * random;
  return Math.min(15_000, 500 * 2 ** attempts) * (0.5 + random / 2);
}

/** As `delay`, when the bridge said no: another page may bring a new session ticket, so it is worth asking now and then. */
export function delayAfterRefusal(code: Refusal, attempts: number, random: number): number {
  const passing = code === "busy" || code === "portal-unreachable";
  return passing ? Math.max(2_000, delay(attempts + 2, false, random)) : 60_000 * (0.5 + random / 2);
}

function isWish(send: Send): send is Wish {
  return (WISHES as readonly string[]).includes(send.name);
}

/** The newest wish of a key replaces the earlier ones: of hold and resume only the last counts, of pressed keys all do. */
function keyOf({ name, payload }: Wish): string {
  if (name === "dial") return `${name} ${payload.dial}`;
  if (name === "card") return `${name} ${payload.card}`;
  return name === "digits" ? `${name} ${payload.press}` : `${name} ${payload.call}`;
}

function isRefusal(code: string): code is Refusal {
  return Object.hasOwn(refusals, code);
}
