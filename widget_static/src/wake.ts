// A page whose socket to the bridge does not come about listens at the portal's push server: it says when a call waits.
// Loaded only then, as a file of its own: the worker's page must stay small.

export interface Place {
  /** Of the push server, with the channel. */
  socket: string;
  /** What is sent there when somebody shall wake up, and whose pages. */
  command: string;
  user: number;
  /** Seconds until the bridge wants to be asked again. */
  again: number;
}

/** Seconds between attempts to listen, as the portal's own pages keep them; the last one for ever. */
const PAUSES = [15, 45, 45, 45, 600];

export class Sleeper {
  private socket: WebSocket | null = null;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private awake = false;

  /** `session` is the page's session ticket now; `wake` is called whenever a call waits. */
  constructor(
    private readonly session: () => string,
    private readonly wake: () => void,
  ) {}

  async listen(): Promise<void> {
    const place = await this.ask();
    if (this.awake) return;
    if (place && !this.socket) this.open(place);
    const seconds = place ? place.again : (PAUSES[Math.min(this.failures++, PAUSES.length - 1)] ?? 600);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.listen(), seconds * 1_000);
  }

  /** The socket to the bridge is there: nobody has to be woken any more. */
  stop(): void {
    this.awake = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private async ask(): Promise<Place | null> {
    try {
      const response = await fetch("/b24/wake", { method: "POST", body: this.session() });
      return response.ok ? ((await response.json()) as Place) : null;
    } catch {
      return null;
    }
  }

  private open({ socket, command, user }: Place): void {
    const opened = new WebSocket(socket);
    this.socket = opened;
    opened.onopen = () => {
      this.failures = 0;
    };
    opened.onmessage = ({ data }) => {
      if (isFor(String(data), command, user)) this.wake();
    };
    // Asked again with the next turn.
    opened.onclose = () => {
      if (this.socket === opened) this.socket = null;
    };
  }
}

/**
 * Does a message of the push server wake this user? One message is `{…, text: {command, params}}`; older servers put each,
 * perhaps several at once, between marks.
 */
export function isFor(data: string, command: string, user: number): boolean {
  const parts = data.startsWith("#!NGINXNMS!#") ? data.split(/#!NGINXNM[SE]!#/) : [data];
  return parts.some((part) => {
    try {
      const { text } = JSON.parse(part);
      return text.command === command && Number(text.params.user) === user;
    } catch {
      return false;
    }
  });
}

/** Called by the page that has loaded this file. */
export function sleep(session: () => string, wake: () => void): () => void {
  const sleeper = new Sleeper(session, wake);
  void sleeper.listen();
  return () => sleeper.stop();
}
