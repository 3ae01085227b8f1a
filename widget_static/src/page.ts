// Runs a session in a page: feeds events to the pure `step` and carries out its effects.

import type { Bx24 } from "./bx24";
import { Channel } from "./channel";
import { browserId, sessionTicket } from "./memory";
import { measureCapture, watchCapture } from "./permission";
import type { Hello, Open, PageKind } from "./protocol";
import { begin, type Effect, type Event, type Session, step } from "./session";
import { spokenCall } from "./settle";
import { Voice } from "./voice";

export class Page {
  session: Session;
  private readonly channel: Channel;
  private readonly voice: Voice;
  private readonly browser = browserId();
  private readonly queue: Event[] = [];
  private busy = false;

  constructor(
    kind: PageKind,
    private readonly bx24: Bx24 | null,
    private readonly changed: (session: Session) => void = () => {},
  ) {
    const presence = { visible: isVisible(), capture: "unknown", card: false } as const;
    this.session = begin(crypto.randomUUID(), kind, presence);
    this.voice = new Voice((event) => this.dispatch(event));
    this.channel = new Channel(
      () => this.hello(),
      () => spokenCall(this.session) !== null,
      (event) => this.dispatch(event),
    );
  }

  async start(): Promise<void> {
    document.addEventListener("visibilitychange", () => this.measured({ visible: isVisible() }));
    addEventListener("pagehide", () => this.leave());
    addEventListener("pageshow", (event) => event.persisted && this.channel.connect());
    const measure = async () => this.measured({ capture: await measureCapture() });
    // The first Hello should know the answer already, but must not hang on a browser that does not give it.
    await Promise.race([measure(), new Promise((resolve) => setTimeout(resolve, 500))]);
    this.channel.connect();
    await watchCapture(() => void measure());
  }

  /** Events that arise while effects are carried out wait for their turn. */
  dispatch(event: Event): void {
    this.queue.push(event);
    if (this.busy) return;
    this.busy = true;
    try {
      for (let next = this.queue.shift(); next; next = this.queue.shift()) this.take(next);
    } finally {
      this.busy = false;
    }
    this.changed(this.session);
  }

  private take(event: Event): void {
    const [session, effects] = step(this.session, event);
    this.session = session;
    for (const effect of effects) this.perform(effect);
  }

  private perform(effect: Effect): void {
    const { voice } = this;
    switch (effect.type) {
      case "send":
        this.channel.send(effect);
        break;
      case "startRing":
        voice.ring.start();
        break;
      case "stopRing":
        voice.ring.stop();
        break;
      case "openLeg":
        void voice.openLeg(effect.offer);
        break;
      case "acceptAnswer":
        void voice.acceptAnswer(effect.offer, effect.sdp);
        break;
      case "closeLeg":
        voice.closeLeg();
        break;
      case "capture":
        void voice.capture(effect.call, effect.muted);
        break;
      case "setMuted":
        voice.setMuted(effect.muted);
        break;
      case "release":
        voice.release();
        break;
      case "openApplication":
        this.openApplication(effect.open);
        break;
      case "card":
        void this.bx24?.call(effect.command, effect.params);
        break;
    }
  }

  private openApplication({ width, ...open }: Open): void {
    this.bx24?.openApplication({ ...open, bx24_width: width, bx24_title: open.name || open.number });
  }

  private measured(presence: Extract<Event, { type: "measured" }>["presence"]): void {
    this.dispatch({ type: "measured", presence });
  }

  private leave(): void {
    this.channel.leave();
    this.dispatch({ type: "left" });
  }

  private hello(): Hello {
    const { tab, page, presence } = this.session;
    return {
      ticket: document.body.dataset.ticket ?? "",
      session: sessionTicket(),
      tab,
      browser: this.browser,
      page,
      presence,
    };
  }
}

function isVisible(): boolean {
  return document.visibilityState === "visible";
}
