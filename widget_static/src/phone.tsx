// The phone page: shows the calls and has their buttons, and dials. It opens as a slider when a call rings, and as the
// application's page.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Accounts } from "./accounts";
import { Bx24, isObject, type Params } from "./bx24";
import { Dialling, Elsewhere, InCall, Incoming, Others } from "./calls";
import { OpenPath } from "./client";
import { Conference } from "./conference";
import { Idle } from "./dialpad";
import { Page } from "./page";
import { Button, Caller, type Dispatch, Notice } from "./parts";
import { announcementOf, type Screen, screenOf } from "./screen";
import type { Session } from "./session";
import { Administration, Settings } from "./settings";
import { notices, readiness, settingsTexts, phoneTexts as texts } from "./texts";

const TICK = 250;

interface Props {
  session: Session;
  dispatch: Dispatch;
  /** Closes the slider, null where there is none. */
  close: (() => void) | null;
  /** Opens a page of the portal, null outside one. */
  openPath: ((path: string) => void) | null;
  /** For administrators, on the application's own page. */
  accounts: Accounts | null;
}

export function Phone(props: Props) {
  const { session, dispatch, close, openPath, accounts } = props;
  const [isSettling, setSettling] = useState(false);
  const screen = screenOf(session, useNow());
  // Whatever an administrator is at, a call comes first.
  const isAside = isSettling && isQuiet(screen);
  return (
    <OpenPath.Provider value={openPath}>
      <p class="hidden" aria-live="assertive">
        {announcementOf(screen)}
      </p>
      {!isAside && (
        <section class={`sheet ${screen.kind}`}>
          <Body {...props} screen={screen} />
          {session.complaint && (
            <p class="notice" role="alert">
              {session.complaint}
            </p>
          )}
        </section>
      )}
      {"others" in screen && <Others others={screen.others} dispatch={dispatch} />}
      {session.voicemail > 0 && (
        <p class="hint voicemail" role="status">
          {texts.voicemail(session.voicemail)}
        </p>
      )}
      {session.desktop && <p class="hint desktop">{texts.desktop}</p>}
      {accounts && isSettling && <Settings accounts={accounts} back={() => setSettling(false)} />}
      <Footer session={session} />
      {accounts && !isSettling && (
        <p class="administrator">
          <Button kind="plain" label={settingsTexts.open} does="settings" press={() => setSettling(true)} />
        </p>
      )}
      {isQuiet(screen) && !close && !accounts && <Administration label={texts.administration} />}
    </OpenPath.Provider>
  );
}

function Body({ screen, session, dispatch, close }: Props & { screen: Screen }) {
  const [number, setNumber] = useState("");
  switch (screen.kind) {
    case "incoming":
      return <Incoming screen={screen} dispatch={dispatch} mayTakeFocus={number === ""} />;
    case "dialling":
      return <Dialling key={screen.call.id} screen={screen} dispatch={dispatch} />;
    case "call":
      return screen.partner ? (
        <Conference screen={screen} partner={screen.partner} dispatch={dispatch} />
      ) : (
        <InCall key={screen.call.id} screen={screen} colleagues={session.colleagues} dispatch={dispatch} />
      );
    case "elsewhere":
      return <Elsewhere screen={screen} dispatch={dispatch} />;
    case "ended":
      return (
        <Caller headline={texts.ended} call={screen.call}>
          <p class="hint">{screen.sentence}</p>
          <Notice notice={screen.call.notice === "" ? null : notices[screen.call.notice]} />
          {close && <Button kind="plain" label={texts.close} does="close" press={close} />}
        </Caller>
      );
    case "refused":
      return <Plain headline={headlineOf(session)} hint={screen.sentence} />;
    case "connecting":
      return <Plain headline={texts.connecting} hint={session.user ? texts.connectingHint : ""} />;
    case "idle":
      return (
        <Idle session={session} dispatch={dispatch} notice={screen.notice} number={number} setNumber={setNumber} />
      );
  }
}

function headlineOf({ refusal }: Session): string {
  return refusal?.code === "not-an-operator" ? texts.notAnOperator : texts.refused;
}

function Plain({ headline, hint }: { headline: string; hint: string }) {
  return (
    <>
      <h1>{headline}</h1>
      {hint && <p class="hint">{hint}</p>}
    </>
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

/** No call would be lost if this page were left. */
function isQuiet({ kind }: Screen): boolean {
  return kind === "idle" || kind === "refused" || kind === "connecting";
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
  let accounts: Accounts | null = null;
  const openPath = bx24 && ((path: string) => bx24.openPath(path));
  const dispatch: Dispatch = (event) => page.dispatch(event);
  const draw = () =>
    render(<Phone session={page.session} dispatch={dispatch} {...{ close, openPath, accounts }} />, root);
  const page = new Page("phone", bx24, draw);
  draw();
  await page.start();
  const data = await bx24?.getInitData();
  if (bx24 && isSlider(data)) close = () => bx24.closeApplication();
  else if (data?.IS_ADMIN === true) accounts = await Accounts.open(document.body.dataset.ticket ?? "");
  draw();
}

/** Opened by `openApplication` for a call, and not as the application's own page. */
function isSlider(data: Params | null | undefined): boolean {
  return isObject(data?.PLACEMENT_OPTIONS) && "call" in data.PLACEMENT_OPTIONS;
}

const root = document.getElementById("page");
if (root) void start(root);
