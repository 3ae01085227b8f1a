import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { failureOf } from "../src/permission";
import type { Tone } from "../src/protocol";
import { Player, RATE, rings, samplesOf, wav } from "../src/ring";
import type { Event } from "../src/session";
import { Voice, withoutCandidates } from "../src/voice";

afterEach(() => vi.unstubAllGlobals());

describe("why there is no microphone", () => {
  test.each([
    ["NotAllowedError", true, "denied"],
    ["NotAllowedError", null, "denied"],
    ["NotAllowedError", false, "not-delegated"],
    ["NotFoundError", true, "no-device"],
    ["TimeoutError", true, "timeout"],
    ["NotReadableError", true, "other"],
  ] as const)("%s, delegated: %s → %s", (name, delegated, why) => {
    expect(failureOf(new DOMException("", name), delegated)).toBe(why);
  });
});

test("an offer leaves without candidates and otherwise as the browser wrote it", () => {
  const lines = [
    "v=0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=ice-ufrag:x",
    "a=candidate:1 1 udp 1 a.local 9 typ host",
    "a=end-of-candidates",
    "",
  ];
  expect(withoutCandidates(lines.join("\r\n"))).toBe("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:x\r\n");
});

test("a leg knows its TURN servers, and its offer does not wait for them", async () => {
  const made: unknown[] = [];
  /** Its gathering never ends. */
  class Gathering {
    localDescription: unknown = null;
    constructor(configuration: unknown) {
      made.push(configuration);
    }
    addTransceiver() {
      return { sender: {} };
    }
    async setLocalDescription() {
      this.localDescription = { sdp: "v=0\r\n" };
    }
    close() {}
  }
  vi.stubGlobal("RTCPeerConnection", Gathering);
  vi.stubGlobal("document", { createElement: () => ({ pause: () => {} }) });
  const iceServers = [{ urls: ["turns:turn.example.com"], username: "2:x", credential: "y" }];
  const heard: Event[] = [];
  const voice = new Voice(
    (event) => heard.push(event),
    () => {},
  );
  await voice.openLeg("leg", "warm", iceServers);
  voice.closeLeg("leg");
  expect(made).toEqual([{ bundlePolicy: "max-bundle", iceServers }]);
  expect(heard).toEqual([{ type: "legOffered", offer: "leg", sdp: "v=0\r\n" }]);
});

test("a leg that hears nothing of the bridge any more says so: its socket may be as dead", async () => {
  let leg: { connectionState: string; onconnectionstatechange(): void } | undefined;
  class Silent {
    connectionState = "connected";
    onconnectionstatechange() {}
    constructor() {
      leg = this;
    }
    addTransceiver() {
      return { sender: {} };
    }
    async setLocalDescription() {}
    close() {}
  }
  vi.stubGlobal("RTCPeerConnection", Silent);
  vi.stubGlobal("document", { createElement: () => ({ pause: () => {} }) });
  const quiet = vi.fn();
  const voice = new Voice(() => {}, quiet);
  await voice.openLeg("leg", "warm", []);
  leg?.onconnectionstatechange();
  expect(quiet).not.toHaveBeenCalled();
  if (leg) leg.connectionState = "disconnected";
  leg?.onconnectionstatechange();
  expect(quiet).toHaveBeenCalledOnce();
  voice.closeLeg("leg");
});

describe("a tone", () => {
  const peak = (samples: Float32Array, from: number, to: number) =>
    Math.max(...samples.subarray(Math.round(from * RATE), Math.round(to * RATE)).map(Math.abs));

  test("is a file that says its own length", () => {
    const samples = samplesOf(rings.ring);
    expect(new DataView(wav(samples)).getUint32(40, true)).toBe(2 * samples.length);
  });

  test.each(Object.entries(rings))("%s sounds in its cadence and never clips", (_, tone) => {
    const samples = samplesOf(tone);
    const [on, off] = tone.parts.map(({ seconds }) => seconds) as [number, number];
    expect(peak(samples, 0, on)).toBeGreaterThan(0.04);
    expect(peak(samples, 0, on)).toBeLessThan(0.5);
    expect(peak(samples, on, on + off)).toBe(0);
  });

  test("call waiting is softer than the ring", () => {
    const loudest = (tone: Tone) => Math.max(...samplesOf(tone));
    expect(loudest(rings.waiting)).toBeLessThan(loudest(rings.ring) / 2);
  });

  test("is as long as its parts together, as often as it is to be heard, and one turn of it if that is for ever", () => {
    const part = fc.record({ hertz: fc.subarray([400, 425, 620]), seconds: fc.constantFrom(0.1, 0.033, 0.05) });
    const tone = fc.record({
      parts: fc.array(part, { minLength: 1, maxLength: 4 }),
      times: fc.nat(5),
      volume: fc.constant(0.1),
    });
    fc.assert(
      fc.property(tone, (each) => {
        const samples = samplesOf(each);
        const turn = samples.length / (each.times || 1);
        expect(turn).toBe(each.parts.reduce((sum, { seconds }) => sum + Math.round(seconds * RATE), 0));
        expect(samples.slice(0, turn).join()).toBe(samples.slice(-turn).join());
        expect(Math.max(0, ...samples.map(Math.abs))).toBeLessThanOrEqual(0.3);
        if (each.parts[0]?.hertz.length) expect(peak(samples, 0.01, 0.03)).toBeGreaterThan(0.08);
      }),
      { numRuns: 30 },
    );
  });
});

describe("a tone that ends by itself", () => {
  const tone: Tone = { parts: [{ hertz: [425], seconds: 0.1 }], times: 3, volume: 0.1 };

  /** Browsers that let no page sound. */
  function forbid() {
    vi.stubGlobal(
      "AudioContext",
      class {
        state = "suspended";
        resume = () => Promise.reject(new Error("not allowed"));
        close = async () => {};
      },
    );
    vi.stubGlobal(
      "Audio",
      class {
        play = () => Promise.reject(new Error("not allowed"));
        pause() {}
      },
    );
  }

  test("is over at once where the browser lets nobody hear it: late it would say nothing any more", async () => {
    forbid();
    const player = new Player();
    await new Promise<void>((resolve) => player.start(tone, resolve));
  });

  test("says nothing of its end once it was stopped", async () => {
    forbid();
    const player = new Player();
    let ends = 0;
    player.start(tone, () => ends++);
    player.stop();
    await new Promise<void>((resolve) => player.start(tone, resolve));
    expect(ends).toBe(0);
  });
});
