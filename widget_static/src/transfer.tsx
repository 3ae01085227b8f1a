// Passing a call on: to a number at once, or after a word with whoever is there.

import { useEffect, useRef, useState } from "preact/hooks";
import { dialable } from "./dial";
import { Button, type Dispatch } from "./parts";
import type { Call, Colleague } from "./protocol";
import { whoOf } from "./screen";
import { phoneTexts as texts } from "./texts";

export function TransferButton({ isOpen, toggle }: { isOpen: boolean; toggle: () => void }) {
  return <Button kind="plain" label={texts.transfer} does="transfer" press={toggle} expanded={isOpen} />;
}

/** How often the list of colleagues is asked for while it is on show, ms. */
const ASK_EVERY = 5_000;

interface PanelProps {
  call: Call;
  colleagues: readonly Colleague[];
  dispatch: Dispatch;
}

export function TransferPanel({ call, colleagues, dispatch }: PanelProps) {
  const [number, setNumber] = useState("");
  const [isWrong, setWrong] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.focus();
    const ask = () => dispatch({ type: "colleaguesAsked" });
    // Not at once: whoever dispatches while the page is drawn draws it within itself, without end.
    const first = setTimeout(ask);
    const timer = setInterval(ask, ASK_EVERY);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, []);
  const pass = (send: (wanted: string) => void) => {
    const wanted = dialable(number);
    setWrong(!wanted);
    if (wanted) send(wanted);
  };
  const transfer = () => pass((wanted) => dispatch({ type: "transferWished", call: call.id, number: wanted }));
  const consult = () =>
    pass((wanted) => {
      const [dial, at] = [crypto.randomUUID(), performance.now()];
      dispatch({ type: "consultWished", call: call.id, number: wanted, dial, at });
    });
  return (
    <form
      class="dialpad transfer"
      aria-label={texts.transfer}
      onSubmit={(event) => {
        event.preventDefault();
        transfer();
      }}
    >
      <div class="field">
        <input
          ref={field}
          type="tel"
          autocomplete="off"
          maxLength={64}
          aria-label={texts.transferTo}
          aria-invalid={isWrong}
          aria-describedby="no-transfer"
          placeholder={texts.transferTo}
          value={number}
          onInput={(event) => {
            setWrong(false);
            setNumber(event.currentTarget.value);
          }}
        />
      </div>
      <p id="no-transfer" class="wrong" role="alert">
        {isWrong ? texts.noNumber : ""}
      </p>
      <div class="buttons">
        <button type="submit" class="plain" data-do="transferNow">
          {texts.transferNow}
        </button>
        <Button kind="plain" label={texts.consult} does="consult" press={consult} />
      </div>
      {colleagues.length > 0 && (
        <section class="colleagues" aria-label={texts.colleagues}>
          {colleagues.map((one) => (
            <Button
              key={one.user}
              kind="plain"
              label={texts.colleague(one.name || one.number, one.state)}
              does={`colleague-${one.user}`}
              press={() => {
                setWrong(false);
                setNumber(one.number);
                field.current?.focus();
              }}
            />
          ))}
        </section>
      )}
    </form>
  );
}

/** The ways out of a call that asks about another one. */
export function Consultation({ call, waiting, dispatch }: { call: Call; waiting: Call; dispatch: Dispatch }) {
  const wish = (name: "complete" | "merge" | "back") => () => dispatch({ type: "wished", wish: name, call: call.id });
  return (
    <>
      <p class="hint">{texts.consultation(whoOf(waiting))}</p>
      <div class="buttons">
        <Button kind="go" label={texts.connect} does="complete" press={wish("complete")} />
        <Button kind="plain" label={texts.conference} does="merge" press={wish("merge")} />
        <Button kind="plain" label={texts.back} does="back" press={wish("back")} />
      </div>
    </>
  );
}
