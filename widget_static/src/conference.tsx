// Three people in one conversation: who they are, and the ways out of it.

import { useState } from "preact/hooks";
import { HoldButton, KeypadButton, press, RecordingOf, Unconfirmed, wish } from "./calls";
import { TonePad } from "./keypad";
import { Button, type Dispatch, Notice } from "./parts";
import { clock, type Party, type Screen, whoOf } from "./screen";
import { soundOf, phoneTexts as texts } from "./texts";

interface Props {
  screen: Extract<Screen, { kind: "call" }>;
  partner: Party;
  dispatch: Dispatch;
}

export function Conference({ screen, partner, dispatch }: Props) {
  const { call, headline, seconds, holding, notice } = screen;
  const [isOpen, setOpen] = useState(false);
  const isJoined = call.state !== "transferring" && partner.call.state !== "transferring";
  const mute = () => dispatch({ type: "muteWished", call: call.id, muted: !call.muted });
  const holds = [call, partner.call].filter((each) => each.pbxHolds).map(whoOf);
  return (
    <>
      <p class="headline">{headline}</p>
      <h1>{texts.together(whoOf(call), whoOf(partner.call))}</h1>
      <p class="hint muted-hint" aria-live="polite">
        {[call.muted && texts.muted, ...holds.map(texts.holdsYou)].filter(Boolean).join(" · ")}
      </p>
      <Unconfirmed holding={holding} />
      {isJoined && (
        <div class="buttons">
          <Button kind="plain" label={texts.mute} does="mute" press={mute} pressed={call.muted} />
          <HoldButton call={call} holding={holding} dispatch={dispatch} />
          <KeypadButton isOpen={isOpen} toggle={() => setOpen(!isOpen)} />
        </div>
      )}
      {isJoined && isOpen && (
        <>
          <p class="hint">{texts.keysGoTo(whoOf(call))}</p>
          <TonePad press={(digit) => press(dispatch, call, digit)} />
        </>
      )}
      <section class="parties" aria-label={texts.parties}>
        <One party={{ call, headline, seconds }} dispatch={dispatch} />
        <One party={partner} dispatch={dispatch} />
      </section>
      {isJoined && (
        <div class="buttons">
          <Button kind="plain" label={texts.split} does="split" press={() => wish(dispatch, "split", call)} />
          <Button kind="plain" label={texts.leave} does="complete" press={() => wish(dispatch, "complete", call)} />
        </div>
      )}
      <div class="buttons">
        <Button kind="stop" label={texts.endForAll} does="hangUp" press={() => wish(dispatch, "hangUp", call)} />
      </div>
      {isJoined && <p class="hint">{texts.conferenceHint}</p>}
      <Notice notice={notice} />
    </>
  );
}

/** One of the two others, who can be hung up with alone. */
function One({ party, dispatch }: { party: Party; dispatch: Dispatch }) {
  const { call, headline, seconds } = party;
  return (
    <article class="party">
      <h2>
        {whoOf(call)}
        {seconds !== null && <span class="small-time"> · {clock(seconds)}</span>}
      </h2>
      {call.name && <p class="details">{call.number}</p>}
      <p class="hint" role="status">
        {call.state === "talking" ? call.quality && soundOf(call.quality) : headline}
      </p>
      <RecordingOf call={call} dispatch={dispatch} />
      <Button
        kind="stop"
        label={texts.hangUp}
        name={texts.of(texts.hangUp, whoOf(call))}
        does={`drop-${call.id}`}
        press={() => wish(dispatch, "drop", call)}
      />
    </article>
  );
}
