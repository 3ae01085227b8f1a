// The phone controller of a plain page: one call card, one card per browser (more if pushes race), the worker's commands.
import { act, portal } from "./config.js";
import { BUTTON_EVENTS, Card, STATES, knownState } from "./card.js";
import { emit } from "./frames.js";

const PREFIX = "BackgroundCallCard::";
const LOCK = "viExternalCard";
const LOCK_MS = 5000;
const RACE_MS = 100;
const FOLDED = "viFoldedCard";
const FOLDED_MS = 15_000;
const UNDEFINED_CARD = [{ result: "error", errorCode: "Call card is undefined" }];
const EVENTS = ["initialized", "entityChanged", ...BUTTON_EVENTS].filter(
  (name) => name !== "qualityMeterClick" || portal.qualityEvent,
);

let card = null;
let registered = portal.registersLate === 0;
let locking = 0;

export const controller = {
  interface: () =>
    registered ? { command: Object.keys(COMMANDS), event: EVENTS.map((name) => PREFIX + name) } : { command: [], event: [] },

  perform(name, params, answer) {
    if (registered && Object.hasOwn(COMMANDS, name)) COMMANDS[name](params, answer);
  },
};

const withCard = (run, answers = true) => (params, answer) => {
  if (!card) return answer(UNDEFINED_CARD);
  run(params);
  if (answers) answer([]);
};

const COMMANDS = {
  CallCardGetListUiStates: (_params, answer) => answer(Object.keys(STATES)),
  CallCardSetUiState(params, answer) {
    if (!card) return answer(UNDEFINED_CARD);
    if (!knownState(params.uiState)) return answer([{ result: "error", errorCode: "Invalid ui state" }]);
    card.setState(params.uiState, Boolean(params.disableAutoStartTimer));
    answer([]);
  },
  CallCardSetMute: withCard(({ muted }) => card.setMuted(Boolean(muted))),
  CallCardSetHold: withCard(({ held }) => card.setHeld(Boolean(held))),
  CallCardSetCardTitle: withCard(({ title }) => card.setTitle(String(title ?? ""))),
  CallCardSetStatusText: withCard(({ statusText }) => card.setStatus(String(statusText ?? ""))),
  // In a browser these two never call back; only the desktop application does.
  CallCardStartTimer: withCard(() => card.startTimer(), false),
  CallCardStopTimer: withCard(() => card.stopTimer(), false),
  CallCardClose: withCard(() => close()),
};

/** A pushed command of the portal. */
export function pushed(command, params) {
  if (command === "showExternalCall") show(params);
  if (command === "hideExternalCall" && card?.call.callId === params.callId) {
    const mine = card;
    if (card.commenting) setTimeout(() => card === mine && close(), portal.commentMs);
    else close();
  }
}

function show(call, folded = null) {
  if (portal.desktopApp || card || locked("viInitedCall") || locked(LOCK)) return;
  card = new Card(call, {
    emit: (name, argument) => emit(PREFIX + name, argument),
    close,
    comment: (text) => act("saveComment", { callId: call.callId, comment: text }),
    folded,
  });
  // Pages that get the push within this time all draw a card.
  setTimeout(lock, RACE_MS);
}

function close() {
  card?.remove();
  card = null;
  clearInterval(locking);
  localStorage.removeItem(LOCK);
  localStorage.removeItem(FOLDED);
}

function lock() {
  if (!card) return;
  const hold = () => localStorage.setItem(LOCK, String(Date.now()));
  hold();
  clearInterval(locking);
  locking = setInterval(hold, LOCK_MS);
}

const locked = (key) => Date.now() - Number(localStorage.getItem(key) ?? 0) < LOCK_MS;

/** Registers the card with the workers and brings back a card that was folded when the page was left. */
export async function start() {
  if (!registered) setTimeout(() => (registered = true), portal.registersLate * 1000);
  addEventListener("beforeunload", (event) => {
    if (card && !card.folded && portal.prompt) event.preventDefault();
  });
  addEventListener("pagehide", () => {
    if (card?.folded) {
      localStorage.setItem(FOLDED, JSON.stringify({ at: Date.now(), ...card.snapshot() }));
      localStorage.removeItem(LOCK);
    }
  });
  const left = JSON.parse(localStorage.getItem(FOLDED) ?? "null");
  localStorage.removeItem(FOLDED);
  if (left && Date.now() - left.at < FOLDED_MS && (await act("callExists", { callId: left.call.callId })).exists) {
    show(left.call, left);
  }
}
