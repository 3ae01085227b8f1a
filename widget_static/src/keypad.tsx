// The twelve keys: for dialling a number, and for the tones within a call.

import { useEffect, useState } from "preact/hooks";
import { DIGITS, type Digit, digitOf } from "./keys";
import { Button } from "./parts";
import { phoneTexts as texts } from "./texts";

/** As many of the pressed keys as fit on a line. */
const SHOWN = 16;

export function Keys({ press }: { press: (digit: Digit, event: MouseEvent) => void }) {
  return (
    <div class="keys">
      {DIGITS.map((digit) => (
        <Button
          key={digit}
          kind="key"
          label={digit}
          does={`key-${digit}`}
          {...(digit in texts.digits && { name: texts.digits[digit] ?? digit })}
          press={(event) => press(digit, event)}
        />
      ))}
    </div>
  );
}

/** The keys of a call: those of the keyboard count as well, and what was pressed can be read. */
export function TonePad({ press }: { press: (digit: Digit) => void }) {
  const [pressed, setPressed] = useState("");
  const take = (digit: Digit) => {
    setPressed((before) => before + digit);
    press(digit);
  };
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      const digit = digitOf(event.key);
      if (!digit || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      take(digit);
    };
    document.addEventListener("keydown", hear);
    return () => document.removeEventListener("keydown", hear);
  });
  return (
    <div class="tones">
      <output class="pressed" aria-label={texts.pressed(pressed)}>
        {pressed.slice(-SHOWN)}
      </output>
      <Keys press={take} />
    </div>
  );
}
