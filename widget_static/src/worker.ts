// What PAGE_BACKGROUND_WORKER loads: the hidden page that rings, speaks and drives the call card.
// It must never navigate or reload: the portal would count that as a slow load, and ten of them remove the widget.

import { Bx24, isObject } from "./bx24";
import { CARD_EVENTS, type CardClick } from "./card";
import { Page } from "./page";

/** The portal offers the card's events when its telephone has started, some time after the page; in sliders never. */
const CARD_ATTEMPTS = 20;
const CARD_PAUSE = 1_000;

const bx24 = Bx24.of(window);
const page = new Page("worker", bx24);
void page.start();
if (bx24) void findCard(bx24);

async function findCard(portal: Bx24): Promise<void> {
  for (let attempt = 0; attempt < CARD_ATTEMPTS; attempt++) {
    const { event } = await portal.getInterface();
    if (event.includes(CARD_EVENTS.initialized)) {
      bindCard(portal);
      page.dispatch({ type: "measured", presence: { card: true } });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, CARD_PAUSE));
  }
}

function bindCard(portal: Bx24): void {
  const { initialized, dialpad, ...clicks } = CARD_EVENTS;
  portal.placementBindEvent(initialized, (payload) => {
    const card = isObject(payload) && typeof payload.CALL_ID === "string" ? payload.CALL_ID : "";
    if (card) page.dispatch({ type: "cardInitialized", card });
  });
  portal.placementBindEvent(dialpad, (payload) =>
    page.dispatch({ type: "cardPressed", digit: String(payload), press: crypto.randomUUID() }),
  );
  for (const [click, event] of Object.entries(clicks) as [CardClick, string][]) {
    portal.placementBindEvent(event, (payload) =>
      page.dispatch({ type: "cardClicked", click, on: payload === true, at: performance.now() }),
    );
  }
}
