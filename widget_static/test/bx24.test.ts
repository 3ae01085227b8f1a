import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Bx24, decode, encode, type Frame, identify } from "../src/bx24";

const SID = "588b8a98e848778a4ffb38fbcf70f2b9";
const ORIGIN = "https://acme.bitrix24.com";

/** A portal's page on the other side of postMessage. */
class Portal implements Frame {
  readonly heard: { message: unknown; origin: string }[] = [];
  private listener: (event: { origin: string; data: unknown }) => void = () => {};
  readonly parent = {
    postMessage: (message: unknown, origin: string) => void this.heard.push({ message, origin }),
  };

  constructor(readonly name = `acme.bitrix24.com|1|${SID}`) {}

  addEventListener(_type: "message", listener: (event: { origin: string; data: unknown }) => void): void {
    this.listener = listener;
  }

  say(data: unknown, origin = ORIGIN): void {
    this.listener({ data, origin });
  }

  /** The callback id of the newest request, read as the portal does: the last part but one. */
  get callback(): string {
    return String(this.heard.at(-1)?.message).split(":").at(-2) ?? "";
  }
}

function connect(portal: Portal): Bx24 {
  const client = Bx24.of(portal);
  if (!client) throw new Error("no client");
  return client;
}

describe("who am I", () => {
  test.each([
    [`acme.bitrix24.com|1|${SID}`, ORIGIN],
    [`acme.bitrix24.com:443|1|${SID}`, ORIGIN],
    [`portal.localhost:8080|0|${SID}`, "http://portal.localhost:8080"],
    [`portal.localhost:80|0|${SID}`, "http://portal.localhost"],
  ])("%s", (name, origin) => {
    expect(identify(name)).toEqual({ origin, sid: SID });
  });

  test.each(["", "acme.bitrix24.com", "acme.bitrix24.com|1|", "|1|sid", "a b|1|sid", "acme.bitrix24.com|2|sid"])(
    "“%s” is no frame of a portal",
    (name) => {
      expect(Bx24.of(new Portal(name))).toBeNull();
    },
  );
});

describe("on the wire", () => {
  test("a request with parameters has four parts, of which the JSON may hold colons", () => {
    const message = encode("placementBindEvent", { event: "BackgroundCallCard::initialized" }, "k3", SID);
    expect(message).toBe(`placementBindEvent:{"event":"BackgroundCallCard::initialized"}:k3:${SID}`);
  });

  test("a request without parameters has three parts", () => {
    expect(encode("getInitData", null, "k3", SID)).toBe(`getInitData:k3:${SID}`);
  });

  test("a command with a colon in its name travels as an object", () => {
    const message = encode("a:b", { x: 1 }, "k3", SID);
    expect(message).toEqual({ method: "a:b", params: { x: 1 }, callback: "k3", appSid: SID, requestId: "k3" });
  });

  test.each<[unknown, unknown]>([
    ['k3:{"time":"12:30"}', { callback: "k3", payload: { time: "12:30" } }],
    ["k3:", { callback: "k3", payload: null }],
    ["k3", { callback: "k3", payload: null }],
    ["k3:true", { callback: "k3", payload: true }],
    ["k3:{broken", null],
    ["Hello, world: 1", null],
    [{ any: "object" }, null],
  ])("reply %j", (data, reply) => {
    expect(decode(data)).toEqual(reply);
  });
});

describe("the client", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("speaks to the portal's origin only", () => {
    const portal = new Portal();
    connect(portal).openApplication({ call: "call-1" });
    expect(portal.heard[0]?.origin).toBe(ORIGIN);
  });

  test("hears nobody but the portal", async () => {
    const portal = new Portal();
    const answer = connect(portal).getInterface();
    portal.say(`${portal.callback}:{"event":["forged"]}`, "https://evil.example");
    portal.say(`${portal.callback}:{"event":["BackgroundCallCard::initialized"],"command":["CallCardClose"]}`);
    const offered = { event: ["BackgroundCallCard::initialized"], command: ["CallCardClose"] };
    await expect(answer).resolves.toEqual(offered);
  });

  test("a command that the portal never answers ends by its deadline", async () => {
    const answer = connect(new Portal()).call("CallCardStartTimer", {}, 900);
    await vi.advanceTimersByTimeAsync(900);
    await expect(answer).resolves.toBeNull();
  });

  test("an event is heard each time it happens", () => {
    const portal = new Portal();
    const heard: unknown[] = [];
    connect(portal).placementBindEvent("BackgroundCallCard::muteButtonClick", (payload) => heard.push(payload));
    portal.say(`${portal.callback}:true`);
    portal.say(`${portal.callback}:false`);
    expect(heard).toEqual([true, false]);
  });

  test("an odd answer to getInterface is an empty interface", async () => {
    const portal = new Portal();
    const answer = connect(portal).getInterface();
    portal.say(`${portal.callback}:[1]`);
    await expect(answer).resolves.toEqual({ command: [], event: [] });
  });
});
