import { afterEach, describe, expect, test, vi } from "vitest";
import { failureOf } from "../src/permission";
import { type Score, samplesOf, scores, wav } from "../src/ring";
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
  const voice = new Voice((event) => heard.push(event));
  await voice.openLeg("leg", "warm", iceServers);
  voice.closeLeg("leg");
  expect(made).toEqual([{ bundlePolicy: "max-bundle", iceServers }]);
  expect(heard).toEqual([{ type: "legOffered", offer: "leg", sdp: "v=0\r\n" }]);
});

describe("a tone", () => {
  test("is a file that says its own length", () => {
    const samples = samplesOf(scores.ring, 8_000);
    expect(new DataView(wav(samples, 8_000)).getUint32(40, true)).toBe(2 * samples.length);
  });

  test.each(Object.entries(scores))("%s sounds in its cadence and never clips", (_, score) => {
    const samples = samplesOf(score, 8_000);
    const peak = (from: number, to: number) => Math.max(...samples.subarray(from * 8_000, to * 8_000).map(Math.abs));
    const [on, off] = score.cadence;
    expect(peak(0, on)).toBeGreaterThan(0.04);
    expect(peak(0, on)).toBeLessThan(0.5);
    expect(peak(on, on + off)).toBe(0);
  });

  test("call waiting is softer than the ring", () => {
    const loudest = (score: Score) => Math.max(...samplesOf(score, 8_000));
    expect(loudest(scores.waiting)).toBeLessThan(loudest(scores.ring) / 2);
  });
});
