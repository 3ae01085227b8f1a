import { io } from "socket.io-client";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Channel, delay, delayAfterRefusal } from "../src/channel";
import type { Hello } from "../src/protocol";

vi.mock("socket.io-client", () => ({ io: vi.fn() }));
afterEach(() => vi.unstubAllGlobals());

describe("when to come back", () => {
  test("at once in a call; otherwise spread out, so that a restarted bridge is not met by all pages together", () => {
    expect(delay(1, true, 0.9)).toBe(0);
    expect(delay(1, false, 0)).toBe(0);
    expect(delay(1, false, 0.5)).toBe(1_000);
  });

  test("ever more slowly, and never more slowly than every 15 s", () => {
    expect(delay(3, true, 1)).toBeGreaterThan(delay(2, true, 1));
    expect(delay(50, true, 1)).toBe(15_000);
    expect(delay(50, true, 0)).toBe(7_500);
  });

  test("a refusal that passes is asked again soon, one that stays now and then", () => {
    expect(delayAfterRefusal("busy", 1, 0.5)).toBeLessThan(15_001);
    expect(delayAfterRefusal("not-an-operator", 1, 0)).toBe(30_000);
  });
});

describe("the network may be another one", () => {
  /** A channel whose socket acknowledges what `answers` says: an error, or null. */
  function channelOf(id: string | undefined, answers: () => Error | null) {
    const asked: string[] = [];
    const socket = {
      id,
      connected: id !== undefined,
      on: () => {},
      once: () => {},
      connect: vi.fn(),
      disconnect: vi.fn(),
      timeout: () => ({
        emit: (name: string, _: object, acked: (error: Error | null) => void) => {
          asked.push(name);
          acked(answers());
        },
      }),
    };
    vi.mocked(io).mockReturnValue(socket as unknown as ReturnType<typeof io>);
    vi.stubGlobal("addEventListener", () => {});
    const channel = new Channel(
      () => ({}) as Hello,
      () => true,
      () => {},
    );
    return { channel, socket, asked };
  }

  test("a socket that answers stays", () => {
    const { channel, socket, asked } = channelOf("one", () => null);
    channel.probe();
    expect(asked).toEqual(["renew"]);
    expect(socket.disconnect).not.toHaveBeenCalled();
  });

  test("one that does not is given up, unless another one has taken its place meanwhile", () => {
    const dead = channelOf("one", () => new Error("timeout"));
    dead.channel.probe();
    expect(dead.socket.disconnect).toHaveBeenCalledOnce();
    const replaced = channelOf("one", () => {
      replaced.socket.id = "two";
      return new Error("timeout");
    });
    replaced.channel.probe();
    expect(replaced.socket.disconnect).not.toHaveBeenCalled();
  });

  test("without a socket one is made at once", async () => {
    vi.useFakeTimers();
    const { channel, socket, asked } = channelOf(undefined, () => null);
    channel.connect();
    vi.advanceTimersByTime(1);
    channel.probe();
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    expect(socket.connect).toHaveBeenCalledTimes(2);
    expect(asked).toEqual([]);
  });
});
