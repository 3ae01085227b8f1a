// Our own client of the frame protocol between Bitrix24 and an application's page (postMessage).
//
// Request:  command ":" JSON ":" callback ":" APP_SID    (three parts when there is no JSON)
//           or, for commands with a colon in their name, an object.
// Reply:    callback ":" JSON-or-nothing, any number of times: that is how events arrive.

export interface Identity {
  /** Origin of the portal's page, the only one that is heard and told anything. */
  origin: string;
  sid: string;
}

export interface Reply {
  callback: string;
  payload: unknown;
}

/** What of a window the client needs. */
export interface Frame {
  name: string;
  parent: { postMessage(message: unknown, origin: string): void };
  addEventListener(type: "message", listener: (event: { origin: string; data: unknown }) => void): void;
}

export interface Interface {
  command: string[];
  event: string[];
}

export type Params = Record<string, unknown>;

const REPLY_DEADLINE = 5_000;

/** The frame's identity from its `window.name`: host, 1 for https, APP_SID. */
export function identify(name: string): Identity | null {
  const [domain, secure, sid] = name.split("|");
  if (!domain || !sid || (secure !== "0" && secure !== "1")) return null;
  try {
    const host = domain.replace(/:(80|443)$/, "");
    return { origin: new URL(`${secure === "1" ? "https" : "http"}://${host}`).origin, sid };
  } catch {
    return null;
  }
}

export function encode(command: string, params: Params | null, callback: string, sid: string): unknown {
  if (command.includes(":"))
    return { method: command, params: params ?? {}, callback, appSid: sid, requestId: callback };
  const parts = params === null ? [command, callback, sid] : [command, JSON.stringify(params), callback, sid];
  return parts.join(":");
}

/** The reply in a message, or null when it is none. */
export function decode(data: unknown): Reply | null {
  if (typeof data !== "string") return null;
  const colon = data.indexOf(":");
  const callback = colon < 0 ? data : data.slice(0, colon);
  const json = colon < 0 ? "" : data.slice(colon + 1);
  if (!/^[0-9a-z]+$/.test(callback)) return null;
  try {
    return { callback, payload: json === "" ? null : JSON.parse(json) };
  } catch {
    return null;
  }
}

export class Bx24 {
  private readonly listeners = new Map<string, (payload: unknown) => void>();
  private count = 0;

  private constructor(
    private readonly frame: Frame,
    private readonly identity: Identity,
  ) {
    frame.addEventListener("message", (event) => this.hear(event));
  }

  /** The client, or null when this page does not stand in a portal's frame. */
  static of(frame: Frame): Bx24 | null {
    const identity = identify(frame.name);
    return identity && new Bx24(frame, identity);
  }

  /** One command and its first reply; null when none comes in time, for some commands never answer. */
  call(command: string, params: Params | null = null, deadline = REPLY_DEADLINE): Promise<unknown> {
    return new Promise((resolve) => {
      const settle = (payload: unknown) => {
        clearTimeout(timer);
        this.listeners.delete(callback);
        resolve(payload);
      };
      const callback = this.listen(settle);
      const timer = setTimeout(() => settle(null), deadline);
      this.post(command, params, callback);
    });
  }

  async getInitData(): Promise<Params | null> {
    const data = await this.call("getInitData");
    return isObject(data) ? data : null;
  }

  async getInterface(): Promise<Interface> {
    const data = await this.call("getInterface");
    const names = (value: unknown) => (Array.isArray(value) ? value.filter((name) => typeof name === "string") : []);
    return isObject(data) ? { command: names(data.command), event: names(data.event) } : { command: [], event: [] };
  }

  /** Hears an event for the life of the page: there is no unsubscribing, and binding twice delivers twice. */
  placementBindEvent(event: string, listener: (payload: unknown) => void): void {
    this.post("placementBindEvent", { event }, this.listen(listener));
  }

  /** Opens the application in a slider; the portal replies when it is closed, which nobody waits for. */
  openApplication(params: Params): void {
    void this.call("openApplication", params);
  }

  /** Opens a page of the portal in a slider over this one. */
  openPath(path: string): void {
    void this.call("openPath", { path });
  }

  closeApplication(): void {
    void this.call("closeApplication");
  }

  /** Tells the portal that the installation is complete; the portal then loads the application anew. */
  installFinish(): void {
    void this.call("setInstallFinish", {});
  }

  private listen(listener: (payload: unknown) => void): string {
    this.count += 1;
    const callback = `c${this.count.toString(36).padStart(31, "0")}`;
    this.listeners.set(callback, listener);
    return callback;
  }

  private post(command: string, params: Params | null, callback: string): void {
    this.frame.parent.postMessage(encode(command, params, callback, this.identity.sid), this.identity.origin);
  }

  private hear(event: { origin: string; data: unknown }): void {
    if (event.origin !== this.identity.origin) return;
    const reply = decode(event.data);
    if (reply) this.listeners.get(reply.callback)?.(reply.payload);
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
