// The phone page: shows the call and has its buttons. It opens as a slider when a call rings, and as the application's page.

import { type ComponentChildren, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Bx24, isObject } from "./bx24";
import { Page } from "./page";
import type { Call } from "./protocol";
import { announcementOf, clock, type Screen, screenOf, whoOf } from "./screen";
import type { Event, Session } from "./session";
import { notices, readiness, phoneTexts as texts } from "./texts";

type Dispatch = (event: Event) => void;

const TICK = 250;

/** `close` closes the slider, null where there is none. */
export function Phone(props: { session: Session; dispatch: Dispatch; close: (() => void) | null }) {
  const { session, dispatch, close } = props;
  const screen = screenOf(session, useNow());
  return (
    <>
      <p class="hidden" aria-live="assertive">
        {announcementOf(screen)}
      </p>
      <section class={`sheet ${screen.kind}`}>
        <Body screen={screen} session={session} dispatch={dispatch} close={close} />
        {session.complaint && <p class="notice">{session.complaint}</p>}
      </section>
      <Footer session={session} />
    </>
  );
}

function Body(props: { screen: Screen; session: Session; dispatch: Dispatch; close: (() => void) | null }) {
  const { screen, session, dispatch, close } = props;
  switch (screen.kind) {
    case "incoming":
      return <Incoming call={screen.call} waiting={screen.waiting} dispatch={dispatch} />;
    case "call":
      return <InCall screen={screen} dispatch={dispatch} />;
    case "elsewhere":
      return (
        <Caller headline={texts.elsewhere} call={screen.call}>
          <p class="hint">{texts.elsewhereHint}</p>
        </Caller>
      );
    case "ended":
      return (
        <Caller headline={texts.ended} call={screen.call}>
          <p class="hint">{screen.sentence}</p>
          <Notice call={screen.call} />
          {close && <Button kind="plain" label={texts.close} press={close} />}
        </Caller>
      );
    case "refused":
      return <Plain headline={texts.refused} hint={screen.sentence} />;
    case "connecting":
      return <Plain headline={texts.connecting} hint={session.user ? texts.connectingHint : ""} />;
    case "idle":
      return <Plain headline={texts.ready} hint={texts.readyHint} />;
  }
}

function Incoming({ call, waiting, dispatch }: { call: Call; waiting: number; dispatch: Dispatch }) {
  const answer = useRef<HTMLButtonElement>(null);
  // A new call takes the focus, so that Enter answers it.
  useEffect(() => answer.current?.focus(), [call.id]);
  const wish = (name: "answer" | "decline") => () => dispatch({ type: "wished", wish: name, call: call.id });
  return (
    <Caller headline={texts.incoming} call={call}>
      <Notice call={call} />
      <div class="buttons">
        <Button kind="go" label={texts.answer} press={wish("answer")} focus={answer} />
        <Button kind="stop" label={texts.decline} press={wish("decline")} />
      </div>
      <Waiting count={waiting} />
    </Caller>
  );
}

function InCall({ screen, dispatch }: { screen: Extract<Screen, { kind: "call" }>; dispatch: Dispatch }) {
  const { call, headline, seconds, waiting } = screen;
  const toggle = () => dispatch({ type: "muteWished", call: call.id, muted: !call.muted });
  return (
    <Caller headline={headline} call={call}>
      {seconds !== null && (
        <p class="time" role="timer" aria-label={texts.duration(clock(seconds))}>
          {clock(seconds)}
        </p>
      )}
      <p class="hint muted-hint" aria-live="polite">
        {call.muted ? texts.muted : ""}
      </p>
      <Notice call={call} />
      <div class="buttons">
        {seconds !== null && <Button kind="plain" label={texts.mute} press={toggle} pressed={call.muted} />}
        <Button
          kind="stop"
          label={texts.hangUp}
          press={() => dispatch({ type: "wished", wish: "hangUp", call: call.id })}
        />
      </div>
      <Waiting count={waiting} />
    </Caller>
  );
}

function Caller({ headline, call, children }: { headline: string; call: Call; children: ComponentChildren }) {
  return (
    <>
      <p class="headline">{headline}</p>
      <h1>{whoOf(call)}</h1>
      {call.name && call.number && <p class="number">{call.number}</p>}
      {call.line && <p class="line">{texts.line(call.line)}</p>}
      {children}
    </>
  );
}

function Plain({ headline, hint }: { headline: string; hint: string }) {
  return (
    <>
      <h1>{headline}</h1>
      {hint && <p class="hint">{hint}</p>}
    </>
  );
}

function Notice({ call }: { call: Call }) {
  if (call.notice === "") return null;
  const { what, todo } = notices[call.notice];
  return (
    <div class="notice" role="alert">
      <strong>{what}</strong> {todo}
    </div>
  );
}

function Waiting({ count }: { count: number }) {
  return count > 0 ? <p class="hint">{texts.waiting(count)}</p> : null;
}

function Button(props: {
  kind: "go" | "stop" | "plain";
  label: string;
  press: () => void;
  pressed?: boolean;
  focus?: { current: HTMLButtonElement | null };
}) {
  const { kind, label, press, pressed, focus } = props;
  return (
    <button type="button" class={kind} onClick={press} aria-pressed={pressed} ref={focus ?? null}>
      {label}
    </button>
  );
}

function Footer({ session }: { session: Session }) {
  const { capture } = session.presence;
  return (
    <footer>
      <Light good={session.synced} label={texts.server} text={session.synced ? texts.connected : texts.notConnected} />
      <Light good={capture === "yes"} label={texts.microphone} text={readiness[capture]} />
      {session.user && <p>{texts.signedIn(session.user)}</p>}
    </footer>
  );
}

function Light({ good, label, text }: { good: boolean; label: string; text: string }) {
  return (
    <p>
      <span class={good ? "light good" : "light"} aria-hidden="true">
        {good ? "✓" : "!"}
      </span>
      <span>
        {label}: {text}
      </span>
    </p>
  );
}

function useNow(): number {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), TICK);
    return () => clearInterval(timer);
  }, []);
  // A render between two ticks must not show a time before the message it shows.
  return Math.max(now, performance.now());
}

async function start(root: HTMLElement): Promise<void> {
  const bx24 = Bx24.of(window);
  let close: (() => void) | null = null;
  const dispatch: Dispatch = (event) => page.dispatch(event);
  const draw = () => render(<Phone session={page.session} dispatch={dispatch} close={close} />, root);
  const page = new Page("phone", bx24, draw);
  draw();
  await page.start();
  if (bx24 && (await isSlider(bx24))) {
    close = () => bx24.closeApplication();
    draw();
  }
}

/** Opened by `openApplication` for a call, and not as the application's own page. */
async function isSlider(bx24: Bx24): Promise<boolean> {
  const data = await bx24.getInitData();
  return isObject(data?.PLACEMENT_OPTIONS) && "call" in data.PLACEMENT_OPTIONS;
}

const root = document.getElementById("page");
if (root) void start(root);
