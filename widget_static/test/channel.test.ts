import { describe, expect, test } from "vitest";
import { delay, delayAfterRefusal } from "../src/channel";

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
