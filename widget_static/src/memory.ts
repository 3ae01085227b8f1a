// What all pages of one browser at one portal remember together (localStorage, partitioned by the portal), and what the next
// page of the same tab has to know (sessionStorage).

const BROWSER = "bridge.browser";
const SESSION = "bridge.session";
const CARD = "bridge.card";

/** The browser's id; a new one each time where storage is forbidden. */
export function browserId(): string {
  const known = read(BROWSER);
  if (known) return known;
  const made = crypto.randomUUID();
  write(BROWSER, made);
  return made;
}

/** The newest session ticket, also when another page stored it. */
export function sessionTicket(): string {
  return read(SESSION);
}

export function keepSession(ticket: string): void {
  write(SESSION, ticket);
}

/** Forgets a ticket that the bridge does not accept, unless another page stored a newer one meanwhile. */
export function forgetSession(refused: string): void {
  if (refused !== "" && read(SESSION) === refused) write(SESSION, "");
}

/** The call card that this tab has: it may outlive the page. */
export function keepCard(card: string): void {
  write(CARD, card, "sessionStorage");
}

export function keptCard(): string {
  return read(CARD, "sessionStorage");
}

type Store = "localStorage" | "sessionStorage";

function read(key: string, store: Store = "localStorage"): string {
  try {
    return window[store].getItem(key) ?? "";
  } catch {
    // Storage is blocked for third parties: every page stands for itself then.
    return "";
  }
}

function write(key: string, value: string, store: Store = "localStorage"): void {
  try {
    window[store].setItem(key, value);
  } catch {
    // As above: nothing is remembered.
  }
}
