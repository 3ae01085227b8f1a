import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isFor, type Place, sleep } from "../src/wake";

const PLACE: Place = { socket: "wss://push/sub?CHANNEL_ID=s", command: "bridge.wake", user: 7, again: 90 };
const message = (command: string, user: unknown) => JSON.stringify({ id: 1, text: { command, params: { user } } });

describe("a message of the push server", () => {
  test.each<[string, boolean]>([
    [message("bridge.wake", 7), true],
    [message("bridge.wake", "7"), true],
    [message("bridge.wake", 8), false],
    [message("another", 7), false],
    ["not json", false],
    ["null", false],
    [`#!NGINXNMS!#${message("another", 7)}#!NGINXNME!##!NGINXNMS!#${message("bridge.wake", 7)}#!NGINXNME!#`, true],
  ])("%s wakes: %s", (data, wakes) => {
    expect(isFor(data, "bridge.wake", 7)).toBe(wakes);
  });
});

describe("a page that sleeps", () => {
  const sockets: { url: string; onmessage?: (event: { data: string }) => void; onclose?: () => void; close(): void }[] =
    [];
  const asked = vi.fn();
  const wake = vi.fn();
  let answer: Response | null;

  beforeEach(() => {
    vi.useFakeTimers();
    sockets.length = 0;
    answer = null;
    class Socket {
      close = vi.fn();
      constructor(readonly url: string) {
        sockets.push(this);
      }
    }
    vi.stubGlobal("WebSocket", Socket);
    vi.stubGlobal("fetch", async (_url: string, { body }: { body: string }) => {
      asked(body);
      if (!answer) throw new TypeError("no network");
      return answer.clone();
    });
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
    vi.clearAllMocks();
  });

  test("listens where the bridge says, and wakes for its own user only", async () => {
    answer = Response.json(PLACE);
    sleep(() => "session", wake);
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toHaveBeenCalledWith("session");
    expect(sockets.map(({ url }) => url)).toEqual([PLACE.socket]);
    sockets[0]?.onmessage?.({ data: message("bridge.wake", 8) });
    expect(wake).not.toHaveBeenCalled();
    sockets[0]?.onmessage?.({ data: message("bridge.wake", 7) });
    expect(wake).toHaveBeenCalledOnce();
  });

  test("tells the bridge again and again that it is there, and listens anew when the push server has let go", async () => {
    answer = Response.json(PLACE);
    sleep(() => "session", wake);
    await vi.advanceTimersByTimeAsync(90_000);
    expect(asked).toHaveBeenCalledTimes(2);
    expect(sockets).toHaveLength(1);
    sockets[0]?.onclose?.();
    await vi.advanceTimersByTimeAsync(90_000);
    expect(sockets).toHaveLength(2);
  });

  test("asks more and more rarely where the bridge or the portal has no answer", async () => {
    sleep(() => "session", wake);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(asked).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked).toHaveBeenCalledTimes(2);
    answer = new Response("", { status: 404 });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(asked.mock.calls.length).toBeLessThan(12);
    expect(sockets).toHaveLength(0);
  });

  test("is over when the socket to the bridge is there", async () => {
    answer = Response.json(PLACE);
    const stop = sleep(() => "session", wake);
    await vi.advanceTimersByTimeAsync(0);
    stop();
    expect(sockets[0]?.close).toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(asked).toHaveBeenCalledOnce();
  });
});
