// Runs a session in a page: feeds events to the pure `step` and carries out its effects.

import type { Bx24 } from "./bx24";
import { isMissing } from "./card";
import { Channel } from "./channel";
import { browserId, keepCard, sessionTicket } from "./memory";
import { measureCapture, watchCapture } from "./permission";
import type { Hello, Open, PageKind } from "./protocol";
import { Player, rings } from "./ring";
import { begin, type Effect, type Event, type Session, step } from "./session";
import { spokenCalls } from "./settle";
import { cardTexts } from "./texts";
import { Voice } from "./voice";

/** An answer that the bridge does not show by then was none. */
const ANSWER_LAPSES = 3_000;
/** Of a command to the call card; a portal that is busy or old may never answer. */
const CARD_DEADLINE = 2_000;

export class Page {
  session: Session;
  private readonly channel: Channel;
  private readonly voice: Voice;
  private readonly ring = new Player();
  private readonly tone = new Player();
  private readonly browser = browserId();
  /** Of the pages of this browser: which call was answered in one of them. */
  private readonly answers = new BroadcastChannel("answers");
  private readonly queue: Event[] = [];
  private busy = false;

  constructor(
    kind: PageKind,
    private readonly bx24: Bx24 | null,
    private readonly changed: (session: Session) => void = () => {},
  ) {
    const presence = { visible: isVisible(), capture: "unknown", card: false } as const;
    this.session = begin(crypto.randomUUID(), kind, presence);
    this.voice = new Voice(
      (event) => this.dispatch(event),
      () => this.channel.probe(),
    );
    this.channel = new Channel(
      () => this.hello(),
      () => spokenCalls(this.session).length > 0,
      (event) => this.dispatch(event),
    );
  }

  async start(): Promise<void> {
    this.answers.onmessage = ({ data }) => this.answerSeen(String(data));
    document.addEventListener("visibilitychange", () => this.look());
    addEventListener("pagehide", () => this.leave());
    addEventListener("pageshow", (event) => event.persisted && this.comeBack());
    const measure = async () => {
      const { capture, obstacle } = await measureCapture();
      this.dispatch({ type: "measured", presence: { capture }, obstacle });
    };
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
    const card = session.card?.shown.card;
    if (card !== this.session.card?.shown.card) keepCard(card ?? "");
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
        this.ring.start(rings[effect.tone]);
        break;
      case "stopRing":
        this.ring.stop();
        break;
      case "startTone":
        this.tone.start(effect.tone, () => this.dispatch({ type: "toneEnded" }));
        break;
      case "stopTone":
        this.tone.stop();
        break;
      case "openLeg":
        void voice.openLeg(effect.leg, effect.flow, effect.iceServers);
        break;
      case "setFlow":
        voice.setFlow(effect.leg, effect.flow);
        break;
      case "reoffer":
        void voice.reoffer(effect.leg, effect.offer);
        break;
      case "acceptAnswer":
        void voice.acceptAnswer(effect.leg, effect.sdp);
        break;
      case "closeLeg":
        voice.closeLeg(effect.leg);
        break;
      case "capture":
        void voice.capture(effect.turn);
        break;
      case "release":
        voice.release();
        break;
      case "announceAnswer":
        this.answers.postMessage(effect.call);
        break;
      case "openApplication":
        this.openApplication(effect.open);
        break;
      case "card":
        void this.commandCard(effect);
        break;
    }
  }

  private answerSeen(call: string): void {
    this.dispatch({ type: "answerSeen", call });
    setTimeout(() => this.dispatch({ type: "answerLapsed" }), ANSWER_LAPSES);
  }

  private openApplication({ width, ...open }: Open): void {
    const title = open.name || open.number || cardTexts.states.ringing;
    this.bx24?.openApplication({ ...open, bx24_width: width, bx24_title: title });
  }

  private async commandCard({ card, command, params }: Extract<Effect, { type: "card" }>): Promise<void> {
    const reply = await this.bx24?.call(command, params, CARD_DEADLINE);
    if (isMissing(reply)) this.dispatch({ type: "cardMissed", card });
  }

  private look(): void {
    this.dispatch({ type: "measured", presence: { visible: isVisible() } });
  }

  /** Out of the back/forward cache, with everything that was known, and all of it old. */
  private comeBack(): void {
    this.look();
    this.channel.connect();
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
