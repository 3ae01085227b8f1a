import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dialable } from "../src/dial";
import { Driven } from "./a_call";

describe("a number as people write it", () => {
  test.each([
    ["+49 (30) 123", "+4930123"],
    ["+49 (0)30 / 901-820", "+4930901820"],
    ["(030) 90 18 20", "030901820"],
    ["tel:+1-202-555-0175", "+12025550175"],
    ["020 7946 0000", "02079460000"],
    ["+44 20\u00a07946\u20110000", "+442079460000"],
    ["\u202a+49 30 123\u202c", "+4930123"],
    ["+４９３０", "+4930"],
    ["*21*100#", "*21*100#"],
  ])("“%s” is dialled as %s", (text, number) => {
    expect(dialable(text)).toBe(number);
  });

  test.each(["", "   ", "+", "Ada", "0800 FLOWERS", "12+3", "++49", "1".repeat(33), "a@b.example"])(
    "“%s” is none",
    (text) => {
      expect(dialable(text)).toBeNull();
    },
  );

  test("whatever is typed, what is dialled is what the bridge accepts, and dialling it again changes nothing", () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[+0-9*# ()/.-]*$/));
    fc.assert(
      fc.property(text, (typed) => {
        const number = dialable(typed);
        if (number === null) return;
        expect(number).toMatch(/^\+?[0-9*#]{1,32}$/);
        expect(dialable(number)).toBe(number);
      }),
    );
  });
});

describe("dialling", () => {
  const wish = (dial: string, at: number) => ({ type: "dialWished", number: "123", dial, at }) as const;

  test("a double click makes one call", () => {
    const page = new Driven("phone");
    page.connect();
    const sent = { type: "send", name: "dial", payload: { dial: "one", number: "123" } };
    expect(page.on(wish("one", 0), wish("two", 200))).toEqual([sent]);
  });

  test("after a refusal it may be tried again at once, and the number is kept", () => {
    const page = new Driven("phone");
    page.on(wish("one", 0), { type: "complained", text: "No.", card: "" });
    expect(page.session.dialled).toBe("123");
    expect(page.on(wish("two", 200))).toHaveLength(1);
  });
});
