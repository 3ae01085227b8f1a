// What every screen of the phone page is made of.

import type { ComponentChildren, Ref } from "preact";
import type { Call } from "./protocol";
import { clock, detailsOf, whoOf } from "./screen";
import type { Event } from "./session";
import { type Notice as NoticeText, phoneTexts as texts } from "./texts";

export type Dispatch = (event: Event) => void;

export function Caller({ headline, call, children }: { headline: string; call: Call; children?: ComponentChildren }) {
  return (
    <>
      <p class="headline">{headline}</p>
      <h1>{whoOf(call)}</h1>
      <Details call={call} />
      {children}
    </>
  );
}

/** What the name does not tell: the number, our own line, and who forwarded the call. */
export function Details({ call }: { call: Call }) {
  const { number, line, diverter } = detailsOf(call);
  if (!number && !line && !diverter) return null;
  return (
    <p class="details">
      {number && <span class="number">{number}</span>}
      {line && <span class="line">{texts.line(line)}</span>}
      {diverter && <span class="line">{texts.diverted(diverter)}</span>}
    </p>
  );
}

export function TalkTime({ seconds }: { seconds: number }) {
  return (
    <p class="time" role="timer" aria-label={texts.duration(clock(seconds))}>
      {clock(seconds)}
    </p>
  );
}

export function Notice({ notice }: { notice: NoticeText | null }) {
  if (!notice) return null;
  return (
    <div class="notice" role="alert">
      <strong>{notice.what}</strong> {notice.todo}
    </div>
  );
}

interface ButtonProps {
  kind: "go" | "stop" | "plain" | "dial" | "key";
  label: string;
  press: (event: MouseEvent) => void;
  /** What it does, for tests and style sheets. */
  does: string;
  /** Another name for those who can't see where the button stands; it contains the label. */
  name?: string;
  pressed?: boolean;
  expanded?: boolean;
  /** Waits for somebody else: stays in reach, but a click does nothing. */
  busy?: boolean;
  button?: Ref<HTMLButtonElement>;
}

export function Button(props: ButtonProps) {
  const { kind, label, press, does, name, pressed, expanded, busy = false, button = null } = props;
  return (
    <button
      type="button"
      class={kind}
      data-do={does}
      onClick={(event) => !busy && press(event)}
      aria-label={name}
      aria-pressed={pressed}
      aria-expanded={expanded}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      ref={button}
    >
      {label}
    </button>
  );
}
