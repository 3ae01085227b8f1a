import { describe, expect, test } from "vitest";
import { failureOf } from "../src/permission";
import { ringSamples, wav } from "../src/ring";
import { withoutCandidates } from "../src/voice";

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

test("the ring tone is a file that says its own length, and never clips", () => {
  const samples = ringSamples(8_000);
  expect(new DataView(wav(samples, 8_000)).getUint32(40, true)).toBe(2 * samples.length);
  expect(Math.max(...samples.map(Math.abs))).toBeLessThan(0.5);
});
