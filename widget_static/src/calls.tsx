// The screens with calls: one that rings, one that is dialled, the conversation, and the calls beside it.

import { useEffect, useRef, useState } from "preact/hooks";
import { InTheCrm } from "./client";
import { TonePad } from "./keypad";
import { type Digit, digitOf } from "./keys";
import { Button, Caller, Details, type Dispatch, Notice, TalkTime } from "./parts";
import type { Call, Colleague } from "./protocol";
import { clock, type Holding, type OtherCall, type Screen, whoOf } from "./screen";
import type { Wish } from "./session";
import { soundOf, phoneTexts as texts } from "./texts";
import { Consultation, TransferButton, TransferPanel } from "./transfer";

type Of<Kind extends Screen["kind"]> = { screen: Extract<Screen, { kind: Kind }>; dispatch: Dispatch };

/** `mayTakeFocus`: nobody is typing, so that Enter may answer. */
export function Incoming({ screen, dispatch, mayTakeFocus }: Of<"incoming"> & { mayTakeFocus: boolean }) {
  const { call, label } = screen;
  const answer = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (mayTakeFocus) answer.current?.focus();
  }, [call.id]);
  return (
    <Caller headline={texts.incoming} call={call}>
      <InTheCrm call={call} />
      <Notice notice={screen.notice} />
      <div class="buttons">
        <Button kind="go" label={label} does="answer" press={() => wish(dispatch, "answer", call)} button={answer} />
        <Button kind="stop" label={texts.decline} does="decline" press={() => wish(dispatch, "decline", call)} />
      </div>
    </Caller>
  );
}

export function Dialling({ screen, dispatch }: Of<"dialling">) {
  const { call, headline, notice } = screen;
  const [isOpen, setOpen] = useState(false);
  const isHeard = call.progress === "early";
  return (
    <Caller headline={headline} call={call}>
      <Notice notice={notice} />
      <div class="buttons">
        {isHeard && <KeypadButton isOpen={isOpen} toggle={() => setOpen(!isOpen)} />}
        <Button
          kind="stop"
          label={texts.cancel}
          does="hangUp"
          press={() => wish(dispatch, call.consults ? "back" : "hangUp", call)}
        />
      </div>
      {isHeard && isOpen && <TonePad press={(digit) => press(dispatch, call, digit)} />}
    </Caller>
  );
}

export function InCall({ screen, colleagues, dispatch }: Of<"call"> & { colleagues: readonly Colleague[] }) {
  const { call, headline, seconds, holding, notice, waiting } = screen;
  const [open, setOpen] = useState<"" | "keypad" | "transfer">("");
  const toggle = (part: "keypad" | "transfer") => setOpen(open === part ? "" : part);
  const mute = () => dispatch({ type: "muteWished", call: call.id, muted: !call.muted });
  const isJoined = seconds !== null && call.state !== "transferring";
  // In the place of the other buttons: further down Bitrix24's call card would cover it.
  const isPassedOn = isJoined && open === "transfer" && !waiting;
  return (
    <Caller headline={headline} call={call}>
      <InTheCrm call={call} />
      {seconds !== null && <TalkTime seconds={seconds} />}
      <p class="hint muted-hint" aria-live="polite">
        {[call.muted && texts.muted, call.held && call.pbxHolds && texts.pbxHolds].filter(Boolean).join(" · ")}
      </p>
      <Unconfirmed holding={holding} />
      {isPassedOn && <TransferPanel call={call} colleagues={colleagues} dispatch={dispatch} />}
      {isJoined && !isPassedOn && (
        <div class="buttons">
          <Button kind="plain" label={texts.mute} does="mute" press={mute} pressed={call.muted} />
          <HoldButton call={call} holding={holding} dispatch={dispatch} />
          <KeypadButton isOpen={open === "keypad"} toggle={() => toggle("keypad")} />
        </div>
      )}
      {isJoined && !isPassedOn && <RecordingOf call={call} dispatch={dispatch} />}
      {isJoined && call.extension && <ExtensionButton call={call} dispatch={dispatch} />}
      {isJoined && waiting && <Consultation call={call} waiting={waiting} dispatch={dispatch} />}
      <div class="buttons">
        {isJoined && !waiting && <TransferButton isOpen={open === "transfer"} toggle={() => toggle("transfer")} />}
        <Button kind="stop" label={texts.hangUp} does="hangUp" press={() => wish(dispatch, "hangUp", call)} />
      </div>
      {isJoined && (
        <p class="hint sound" role="status">
          {call.quality && soundOf(call.quality)}
        </p>
      )}
      {isJoined && open === "keypad" && <TonePad press={(digit) => press(dispatch, call, digit)} />}
      <Notice notice={notice} />
    </Caller>
  );
}

/** Whether the call is recorded, and the button for it where the operator may decide. */
export function RecordingOf({ call, dispatch }: { call: Call; dispatch: Dispatch }) {
  const { recording, recordingPausable } = call;
  if (recording === "") return null;
  const does = recording === "on" ? "pauseRecording" : "record";
  const label = {
    off: texts.record,
    on: texts.pauseRecording,
    paused: texts.resumeRecording,
    failed: texts.recordAgain,
  }[recording];
  return (
    <div class="recording">
      <p class={`hint recording-${recording}`} role="status">
        {texts.recording[recording]}
      </p>
      {(recording !== "on" || recordingPausable) && (
        <Button kind="plain" label={label} does={does} press={() => wish(dispatch, does, call)} />
      )}
    </div>
  );
}

/** Of the number that was called: when its turn comes is for a person to hear. */
function ExtensionButton({ call, dispatch }: { call: Call; dispatch: Dispatch }) {
  const keyIn = () => {
    for (const sign of call.extension) {
      const digit = digitOf(sign);
      if (digit) press(dispatch, call, digit);
    }
  };
  return (
    <div class="buttons">
      <Button kind="plain" label={texts.sendExtension(call.extension)} does="extension" press={keyIn} />
    </div>
  );
}

export function Elsewhere({ screen, dispatch }: Of<"elsewhere">) {
  const { call, headline, hint, mayTake } = screen;
  return (
    <Caller headline={headline} call={call}>
      <p class="hint">{hint}</p>
      {mayTake && (
        <div class="buttons">
          <Button kind="plain" label={texts.takeOver} does="take" press={() => wish(dispatch, "take", call)} />
        </div>
      )}
    </Caller>
  );
}

/** The calls beside the one in front. */
export function Others({ others, dispatch }: { others: readonly OtherCall[]; dispatch: Dispatch }) {
  if (others.length === 0) return null;
  return (
    <section class="others" aria-label={texts.others}>
      {others.map((other) => (
        <Other key={other.call.id} other={other} dispatch={dispatch} />
      ))}
    </section>
  );
}

function Other({ other, dispatch }: { other: OtherCall; dispatch: Dispatch }) {
  const { call, headline, seconds, holding } = other;
  return (
    <article class={other.action === "answer" ? "other incoming" : "other"}>
      <p class="headline">
        {headline}
        {seconds !== null && <span class="small-time"> · {clock(seconds)}</span>}
      </p>
      <h2>{whoOf(call)}</h2>
      <Details call={call} />
      {other.action === "answer" && <InTheCrm call={call} />}
      <Unconfirmed holding={holding} />
      <Actions other={other} dispatch={dispatch} />
    </article>
  );
}

function Actions({ other, dispatch }: { other: OtherCall; dispatch: Dispatch }) {
  const { call, action, label, holding, mayMerge } = other;
  const named = (text: string) => ({ label: text, name: texts.of(text, whoOf(call)) });
  if (action === "none") return null;
  return (
    <div class="buttons">
      {action === "answer" && (
        <>
          <Button kind="go" {...named(label)} does="answer" press={() => wish(dispatch, "answer", call)} />
          <Button kind="stop" {...named(texts.decline)} does="decline" press={() => wish(dispatch, "decline", call)} />
        </>
      )}
      {action === "resume" && (
        <>
          <HoldButton call={call} holding={holding} dispatch={dispatch} who={whoOf(call)} />
          {mayMerge && (
            <Button
              kind="plain"
              {...named(texts.conference)}
              does="merge"
              press={() => wish(dispatch, "merge", call)}
            />
          )}
          <Button kind="stop" {...named(texts.hangUp)} does="hangUp" press={() => wish(dispatch, "hangUp", call)} />
        </>
      )}
      {action === "take" && (
        <Button kind="plain" {...named(texts.takeOver)} does="take" press={() => wish(dispatch, "take", call)} />
      )}
    </div>
  );
}

export function HoldButton(props: { call: Call; holding: Holding; dispatch: Dispatch; who?: string }) {
  const { call, holding, dispatch, who } = props;
  const isAsked = holding === "asked";
  const label = call.held ? (isAsked ? texts.resuming : texts.resume) : isAsked ? texts.holding : texts.hold;
  const press = () => dispatch({ type: "holdWished", call: call.id, held: !call.held, at: performance.now() });
  return (
    <Button
      kind="plain"
      label={label}
      does="hold"
      press={press}
      pressed={call.held}
      busy={isAsked}
      {...(who !== undefined && { name: texts.of(label, who) })}
    />
  );
}

export function KeypadButton({ isOpen, toggle }: { isOpen: boolean; toggle: () => void }) {
  return <Button kind="plain" label={texts.keypad} does="keypad" press={toggle} expanded={isOpen} />;
}

export function Unconfirmed({ holding }: { holding: Holding }) {
  return holding === "unconfirmed" ? (
    <p class="notice" role="alert">
      {texts.holdUnconfirmed}
    </p>
  ) : null;
}

export function wish(dispatch: Dispatch, name: Wish, call: Call): void {
  dispatch({ type: "wished", wish: name, call: call.id });
}

export function press(dispatch: Dispatch, call: Call, digit: Digit): void {
  dispatch({ type: "pressed", call: call.id, digit, press: crypto.randomUUID() });
}
