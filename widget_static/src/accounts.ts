// What the settings page says to the bridge and hears from it: who has which account at the PBX.

import { isObject } from "./bx24";
import { settingsTexts as texts } from "./texts";

export interface Account {
  user: number | null;
  name: string;
  extension: string;
  trunk: string;
  sipUser: string;
  /** It stands in the configuration file and can't be changed here. */
  fixed: boolean;
  /** At the PBX; `shared` where it is reached through the trunk and not registered by itself. */
  state: string;
  why: string;
  online: boolean;
}

export interface Person {
  id: number;
  name: string;
  extension: string;
}

export interface Listing {
  accounts: Account[];
  /** Who has an extension in Bitrix24 and no account. */
  without: Person[];
  trunks: string[];
  peopleKnown: boolean;
}

export interface Line {
  line: number;
  change: "added" | "changed" | "unchanged" | "refused";
  text: string;
}

export interface NewAccount {
  extension: string;
  sip_user: string;
  password: string;
  trunk: string;
}

/** Why the bridge did not do it, for a person. */
export class RefusedError extends Error {}

export class Accounts {
  private constructor(private ticket: string) {}

  /** For an administrator; null for everybody else, and when the bridge can't tell. */
  static async open(pageTicket: string): Promise<Accounts | null> {
    const accounts = new Accounts(pageTicket);
    try {
      await accounts.ask("open");
      return accounts;
    } catch {
      return null;
    }
  }

  /** The newest: it opens the pages beside this one, too. */
  get pass(): string {
    return this.ticket;
  }

  async list(): Promise<Listing> {
    // The bridge's own answer to its own page: its shape is held by the tests of both.
    return (await this.ask("list")) as unknown as Listing;
  }

  async add(account: NewAccount): Promise<Line> {
    const [line] = linesOf(await this.ask("add", { ...account }));
    if (!line) throw new RefusedError(texts.unclear);
    return line;
  }

  /** `dry` only says what would become of each line. */
  async take(text: string, dry: boolean): Promise<Line[]> {
    return linesOf(await this.ask("import", { text, dry }));
  }

  async remove(account: Account): Promise<void> {
    await this.ask("remove", { trunk: account.trunk, sip_user: account.sipUser });
  }

  private async ask(wish: string, message: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    let answer: unknown;
    try {
      const response = await fetch("/b24/settings", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...message, do: wish, ticket: this.ticket }),
      });
      answer = await response.json();
    } catch {
      throw new RefusedError(texts.unreachable);
    }
    if (!isObject(answer) || (typeof answer.error !== "string" && typeof answer.ticket !== "string"))
      throw new RefusedError(texts.unclear);
    if (typeof answer.error === "string") throw new RefusedError(answer.error);
    this.ticket = String(answer.ticket);
    return answer;
  }
}

export function linesOf(answer: Record<string, unknown>): Line[] {
  return Array.isArray(answer.lines) ? (answer.lines.filter(isObject) as unknown as Line[]) : [];
}

export type Health = "good" | "bad" | "waiting";

/** How an account stands at its PBX: colour and words. */
export function healthOf({ state, why, user }: Account): { health: Health; text: string } {
  if (user === null) return { health: "waiting", text: texts.nobody };
  switch (state) {
    case "registered":
      return { health: "good", text: texts.registered };
    case "shared":
      return { health: "good", text: texts.shared };
    case "refused":
    case "failing":
      return { health: "bad", text: texts.notRegistered(why) };
    case "":
      return { health: "waiting", text: texts.unregistered };
    default:
      return { health: "waiting", text: texts.registering };
  }
}

/** How many lines of each kind, in words. */
export function summaryOf(lines: readonly Line[]): string {
  const kinds = ["added", "changed", "unchanged", "refused"] as const;
  const counts = kinds.map((kind) => [kind, lines.filter((line) => line.change === kind).length] as const);
  const said = counts.filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${texts.changes[kind]}`);
  return said.join(", ") || texts.empty;
}
