// What PAGE_BACKGROUND_WORKER loads: the hidden page that rings, speaks and drives the call card.
// It must never navigate or reload: the portal would count that as a slow load, and ten of them remove the widget.

import { Bx24 } from "./bx24";
import { CARD_EVENTS, type CardEvent } from "./card";
import { keptCard } from "./memory";
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
      page.dispatch({ type: "measured", presence: { card: true } });
      bindCard(portal);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, CARD_PAUSE));
  }
}

function bindCard(portal: Bx24): void {
  for (const [name, event] of Object.entries(CARD_EVENTS) as [CardEvent, string][]) {
    portal.placementBindEvent(event, (payload) => {
      page.dispatch({ type: "cardSaid", event: name, payload, at: performance.now(), id: crypto.randomUUID() });
    });
  }
  // Brought back by the portal after a reload, before anybody could hear of it.
  const left = keptCard();
  if (left) page.dispatch({ type: "cardLeft", card: left });
}
