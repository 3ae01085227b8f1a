// What the person wishes: clicks on the phone page and on the call card -> messages to the bridge. Pure.

import type { Face } from "./card";
import { type Digit, digitOf } from "./keys";
import type { Call, FromPage } from "./protocol";
import type { Card, Effect, Event, Session, Step } from "./session";

/** How long a number may take to become a call until it may be dialled again, ms. */
const DIAL_PENDS = 10_000;

type Wish = Extract<
  Event,
  {
    type: "wished" | "muteWished" | "holdWished" | "pressed" | "dialWished" | "transferWished" | "consultWished";
  }
>;
type Dialling = { name: "dial"; payload: FromPage["dial"] } | { name: "consult"; payload: FromPage["consult"] };
type CardEvent = Extract<Event, { type: "cardClicked" }>;
type Click = Extract<Event, { type: "cardClicked" | "cardPressed" }>;

export function wished(session: Session, event: Wish): Step {
  const content: Session = { ...session, complaint: "" };
  switch (event.type) {
    case "wished":
      if (event.wish === "answer") return answer(content, event.call);
      return [content, [{ type: "send", name: event.wish, payload: { call: event.call } }]];
    case "muteWished":
      return [content, [mute(event.call, event.muted)]];
    case "holdWished":
      return hold(content, event.call, event.held, event.at);
    case "pressed":
      return [content, [press(event.call, event.digit, event.press)]];
    case "dialWished":
      return dial(content, event, { name: "dial", payload: { dial: event.dial, number: event.number } });
    case "consultWished": {
      const { call, dial: name, number } = event;
      return dial(content, event, { name: "consult", payload: { call, dial: name, number, user: 0 } });
    }
    case "transferWished":
      return [content, [transfer(event.call, event.number)]];
  }
}

export function clicked(session: Session, event: Click): Step {
  const call = callOfCard(session);
  if (event.type === "cardClicked") return cardClicked(session, call, event);
  const digit = digitOf(event.digit);
  return [session, call && digit ? [press(call.id, digit, event.press)] : []];
}

function cardClicked(session: Session, call: Call | undefined, { click, on, at }: CardEvent): Step {
  if (click === "close") return [{ ...session, card: null }, []];
  if (!call || !session.card) return [session, []];
  switch (click) {
    case "answer":
      return answer(session, call.id);
    case "skip":
      return [session, [{ type: "send", name: "decline", payload: { call: call.id } }]];
    case "hangUp":
      return [session, [{ type: "send", name: "hangUp", payload: { call: call.id } }]];
    case "mute":
      return [withFace(session, session.card, { muted: on }), [mute(call.id, on)]];
    // `settle` puts the button back until the PBX has confirmed: it must not promise what is not so.
    case "hold":
      return hold(withFace(session, session.card, { held: on }), call.id, on, at);
  }
}

/** The other pages of this browser see it at once, and the one that will speak makes ready. */
function answer(session: Session, call: string): Step {
  const send: Effect = { type: "send", name: "answer", payload: { call } };
  return [{ ...session, answering: call }, [{ type: "announceAnswer", call }, send]];
}

function hold(session: Session, call: string, held: boolean, at: number): Step {
  const holds = [...session.holds.filter((wish) => wish.call !== call), { call, held, at }];
  return [{ ...session, holds }, [{ type: "send", name: "hold", payload: { call, held } }]];
}

/** A second click while the first one has not become a call would make a second call. */
function dial(session: Session, { number, at }: { number: string; at: number }, send: Dialling): Step {
  if (isDialling(session, at)) return [session, []];
  return [{ ...session, dialling: { number, at }, dialled: number }, [{ type: "send", ...send }]];
}

// ---- small questions

/** A number was dialled and the bridge has not shown its call yet. */
export function isDialling({ dialling }: Session, now: number): boolean {
  return dialling !== null && now - dialling.at < DIAL_PENDS;
}

function transfer(call: string, number: string): Effect {
  return { type: "send", name: "transfer", payload: { call, number, user: 0 } };
}

function mute(call: string, muted: boolean): Effect {
  return { type: "send", name: "mute", payload: { call, muted } };
}

function press(call: string, digit: Digit, name: string): Effect {
  return { type: "send", name: "digits", payload: { call, press: name, digits: digit } };
}

function callOfCard(session: Session): Call | undefined {
  return session.calls.find((call) => call.card !== "" && call.card === session.card?.id && call.state !== "ended");
}

function withFace(session: Session, card: Card, face: Face): Session {
  return { ...session, card: { ...card, face: { ...card.face, ...face } } };
}
