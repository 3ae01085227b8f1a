// What the person wishes: clicks on the phone page and on the call card -> messages to the bridge. Pure.

import { cardOf, type Face, transferTarget } from "./card";
import { type Digit, digitOf } from "./keys";
import type { Call, CardShown, FromPage } from "./protocol";
import type { Card, Effect, Event, Session, Step } from "./session";
import { consultationOf } from "./settle";

/** How long a number may take to become a call until it may be dialled again, ms. */
const DIAL_PENDS = 10_000;

type Wish = Extract<
  Event,
  {
    type: "wished" | "muteWished" | "holdWished" | "pressed" | "dialWished" | "transferWished" | "consultWished";
  }
>;
type Dialling = { name: "dial"; payload: FromPage["dial"] } | { name: "consult"; payload: FromPage["consult"] };
type CardSaid = Omit<Extract<Event, { type: "cardSaid" }>, "type">;

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

/** What an event of the call card means. */
export function cardSaid(session: Session, { event, payload, at, id }: CardSaid): Step {
  const { card, last } = session;
  if (event === "initialized") {
    const shown = cardOf(payload);
    return shown ? [withCard(session, shown), [{ type: "send", name: "card", payload: shown }]] : [session, []];
  }
  if (!card) return [session, []];
  if (event === "close") return [{ ...session, card: null }, []];
  const call = session.calls.find((each) => each.card === card.shown.card && each.state !== "ended");
  if (call) return callWished(session, card, call, { event, payload, at, id });
  const past = last?.call.card === card.shown.card ? last.call : undefined;
  if (event === "makeCall" && past) {
    const payload = { dial: id, number: past.number };
    return dial(session, { number: past.number, at }, { name: "dial", payload });
  }
  if (event === "makeCall" && card.refused) {
    return [{ ...session, card: { ...card, refused: "" } }, [{ type: "send", name: "card", payload: card.shown }]];
  }
  if (event === "notifyAdmin" && past) return [session, [send("notifyAdmin", past)]];
  return [session, []];
}

function callWished(session: Session, card: Card, call: Call, said: CardSaid): Step {
  const { event, payload, at, id } = said;
  switch (event) {
    case "answer":
      return answer(session, call.id);
    case "skip":
      return [session, [send("decline", call)]];
    // On to the next of a call list: whoever is called now is not to be waited for.
    case "next":
    case "hangUp":
      return [session, [send("hangUp", call)]];
    case "mute":
      return [withFace(session, card, { muted: payload === true }), [mute(call.id, payload === true)]];
    // `settle` puts the button back until the PBX has confirmed: it must not promise what is not so.
    case "hold":
      return hold(withFace(session, card, { held: payload === true }), call.id, payload === true, at);
    case "dialpad": {
      const digit = digitOf(String(payload));
      return [session, digit ? [press(call.id, digit, id)] : []];
    }
    case "quality":
      return [session, [{ type: "send", name: "rate", payload: { call: call.id, mark: Number(payload) } }]];
    case "comment":
      return [session, [{ type: "send", name: "comment", payload: { call: call.id, text: String(payload) } }]];
    case "transfer": {
      const target = transferTarget(payload);
      return dial(
        session,
        { number: target.number, at },
        { name: "consult", payload: { call: call.id, dial: id, ...target } },
      );
    }
    case "completeTransfer":
      return [session, completed(session, call)];
    case "cancelTransfer":
      return cancelled(session, card, call, at);
    default:
      return [session, []];
  }
}

/** A hidden page that was clicked on will speak itself; a phone page lets the lead know. */
function answer(session: Session, call: string): Step {
  const send: Effect = { type: "send", name: "answer", payload: { call } };
  if (session.page === "worker") return [{ ...session, answering: call }, [send]];
  return [session, [{ type: "announceAnswer", call }, send]];
}

/** With whoever was asked on the line they are put together; else the call goes there without a word. */
function completed(session: Session, call: Call): Effect[] {
  const asked = consultationOf(session, call);
  if (!asked) return [];
  return asked.talkSeconds === null
    ? [send("hangUp", asked), transfer(call.id, asked.number)]
    : [send("complete", asked)];
}

function cancelled(session: Session, card: Card, call: Call, at: number): Step {
  const asked = consultationOf(session, call);
  if (asked) return [session, [send("back", asked)]];
  const seen: Session = { ...session, card: { ...card, seen: true } };
  return call.held ? hold(seen, call.id, false, at) : [seen, []];
}

/** The portal has drawn a card in this document, which replaces the one before. */
export function withCard(session: Session, shown: CardShown): Session {
  return { ...session, card: { shown, face: {}, matched: false, refused: "", seen: false } };
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

function send(name: "decline" | "hangUp" | "complete" | "back" | "notifyAdmin", { id }: Call): Effect {
  return { type: "send", name, payload: { call: id } };
}

function mute(call: string, muted: boolean): Effect {
  return { type: "send", name: "mute", payload: { call, muted } };
}

function press(call: string, digit: Digit, name: string): Effect {
  return { type: "send", name: "digits", payload: { call, press: name, digits: digit } };
}

function withFace(session: Session, card: Card, face: Face): Session {
  return { ...session, card: { ...card, face: { ...card.face, ...face } } };
}
