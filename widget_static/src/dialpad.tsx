// The idle screen: a number is typed, pasted or pressed, and called.

import { useRef, useState } from "preact/hooks";
import { dialable } from "./dial";
import { Keys } from "./keypad";
import type { Digit } from "./keys";
import { Button, type Dispatch, Notice } from "./parts";
import type { Session } from "./session";
import { type Notice as NoticeText, phoneTexts as texts } from "./texts";
import { isDialling } from "./wishes";

interface Props {
  session: Session;
  dispatch: Dispatch;
  notice: NoticeText | null;
  /** What stands in the field; kept outside, as a call may come in between. */
  number: string;
  setNumber: (number: string) => void;
}

export function Idle(props: Props) {
  return (
    <>
      <h1>{texts.ready}</h1>
      {props.notice ? <Notice notice={props.notice} /> : <p class="hint">{texts.readyHint}</p>}
      <Dialpad {...props} />
    </>
  );
}

function Dialpad({ session, dispatch, number, setNumber }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const [isWrong, setWrong] = useState(false);
  const write = (text: string) => {
    setWrong(false);
    setNumber(text);
  };
  const dial = (wanted: string) => {
    const at = performance.now();
    dispatch({ type: "dialWished", number: wanted, dial: crypto.randomUUID(), at });
    setNumber("");
  };
  const call = () => {
    field.current?.focus();
    const wanted = dialable(number);
    if (wanted) dial(wanted);
    // As telephones do: an empty field and Call bring the last number back.
    else if (number.trim() === "") setNumber(session.dialled);
    else setWrong(true);
  };
  const press = (digit: Digit, event: MouseEvent) => {
    write(number + digit);
    // After a click Enter should dial; after a key press on this button it stays where it is.
    if (event.detail > 0) field.current?.focus();
  };
  const busy = isDialling(session, performance.now());
  return (
    <form
      class="dialpad"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) call();
      }}
    >
      <div class="entry">
        <input
          ref={field}
          type="tel"
          autocomplete="off"
          maxLength={64}
          aria-label={texts.number}
          aria-invalid={isWrong}
          aria-describedby="no-number"
          placeholder={texts.numberHint}
          value={number}
          onInput={(event) => write(event.currentTarget.value)}
          onPaste={(event) => paste(event, number, write)}
        />
        <Button
          kind="plain"
          label="⌫"
          name={texts.deleteDigit}
          does="delete"
          press={() => write(number.slice(0, -1))}
        />
      </div>
      <p id="no-number" class="wrong" role="alert">
        {isWrong ? texts.noNumber : ""}
      </p>
      <Keys press={press} />
      <button type="submit" class="dial" data-do="dial" aria-busy={busy} aria-disabled={busy}>
        {texts.call}
      </button>
      {session.dialled && number === "" && (
        <Button
          kind="plain"
          label={texts.redial(session.dialled)}
          does="redial"
          busy={busy}
          press={() => dial(session.dialled)}
        />
      )}
    </form>
  );
}

/** A number from anywhere, without its ornaments; into the selection, as pasting does. */
function paste(
  event: ClipboardEvent & { currentTarget: HTMLInputElement },
  number: string,
  write: (text: string) => void,
) {
  const pasted = dialable(event.clipboardData?.getData("text") ?? "");
  if (!pasted) return;
  event.preventDefault();
  const { selectionStart, selectionEnd } = event.currentTarget;
  write(number.slice(0, selectionStart ?? number.length) + pasted + number.slice(selectionEnd ?? number.length));
}
