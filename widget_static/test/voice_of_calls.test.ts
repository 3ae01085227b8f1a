// One microphone and several calls: what each of them carries, and the tones beside them.

import { describe, expect, test } from "vitest";
import type { Call } from "../src/protocol";
import { aCall, aState, aTone, Driven, TAB, types } from "./a_call";

const dialling = aCall({ state: "dialling", direction: "outbound", voice: TAB, sound: false });
const farEndRings: Call = { ...dialling, progress: "ringing", tone: aTone() };
const talking = aCall({ state: "talking", voice: TAB, talkSeconds: 0 });
const held: Call = { ...talking, state: "held", held: true };
const second = aCall({ id: "call-2" });
const secondTalking = aCall({ id: "call-2", state: "talking", voice: TAB, talkSeconds: 0 });

function connected(page: "worker" | "phone" = "worker"): Driven {
  const driven = new Driven(page);
  driven.connect();
  return driven;
}

describe("a call to somebody", () => {
  test("the page that was named captures and offers at once", () => {
    expect(types(connected().hear(dialling))).toEqual(["capture", "openLeg"]);
  });

  test("the lead offers unasked for a click in the portal, and nothing is done twice when it is named", () => {
    const page = connected();
    expect(types(page.hear({ ...dialling, voice: "" }))).toEqual(["capture", "openLeg"]);
    page.connectLeg();
    expect(page.hear(dialling)).toEqual([]);
  });

  test("a page that is not the lead waits", () => {
    const page = connected();
    const state = aState({ lead: false, calls: [{ ...dialling, voice: "" }] });
    expect(page.on({ type: "stated", state, at: 0 })).toEqual([]);
  });

  test("a voice that the bridge lost is offered anew", () => {
    const page = connected();
    page.hear(dialling);
    page.connectLeg();
    expect(types(page.hear({ ...dialling, voice: "" }))).toEqual(["closeLeg", "openLeg"]);
  });

  test("answered while the lead's voice is on its way: that offer is the one that is awaited", () => {
    const page = connected();
    page.hear({ ...dialling, voice: "" });
    expect(page.hear({ ...dialling, state: "rejoining", voice: "" })).toEqual([]);
  });

  test.each<[string, Call[]]>([
    ["early media", [{ ...dialling, progress: "early" }]],
    ["the answer", [{ ...talking, direction: "outbound" }]],
    ["the end", [{ ...dialling, state: "ended", ended: "busy" }]],
    ["the end that was missed", []],
    ["the voice going elsewhere", [{ ...farEndRings, tone: null, voice: "another" }]],
  ])("the ringback tone sounds until %s", (_, after) => {
    const page = connected();
    page.hear(dialling);
    expect(page.hear(farEndRings)).toEqual([{ type: "startTone", tone: aTone() }]);
    expect(page.hear(farEndRings)).toEqual([]);
    expect(types(page.hear(...after))).toContain("stopTone");
  });

  test("the ringback tone does not sound into another conversation", () => {
    const page = connected();
    page.hear(farEndRings);
    page.hear(farEndRings, second);
    const answered: Call = { ...second, state: "joining", voice: TAB };
    expect(types(page.hear(farEndRings, answered))).toContain("stopTone");
  });

  test("the ringback tone sounds on no other page", () => {
    const page = connected();
    expect(page.hear({ ...farEndRings, voice: "another" })).toEqual([]);
  });
});

describe("a call that reached nobody", () => {
  const busy: Call = { ...dialling, state: "ended", ended: "busy", tone: aTone(5) };
  const dialled = () => {
    const page = connected();
    page.hear(dialling);
    return page;
  };

  test("is heard on the page that spoke, before its microphone goes: afterwards a browser may refuse every sound", () => {
    expect(types(dialled().hear(busy))).toEqual(["startTone", "release", "closeLeg"]);
  });

  test("is heard no second time, whatever the bridge says then, and whatever becomes of the socket", () => {
    const page = dialled();
    page.hear(busy);
    expect(page.hear()).toEqual([]);
    expect(page.on({ type: "toneEnded" })).toEqual([]);
    page.on({ type: "disconnected" });
    page.connect();
    expect(types(page.hear())).not.toContain("startTone");
  });

  test.each<[string, Call]>([
    ["one that comes in", second],
    ["one that is dialled", { ...dialling, id: "call-2" }],
  ])("does not disturb the next call, %s", (_, next) => {
    const page = dialled();
    page.hear(busy);
    page.hear();
    expect(types(page.hear(next))).toContain("stopTone");
    expect(types(page.hear())).not.toContain("startTone");
  });

  test("is heard while the call that it asked about is on hold, and the reminder of that one afterwards", () => {
    const page = connected();
    const waits: Call = { ...held, tone: aTone() };
    page.hear(waits, { ...dialling, id: "call-2" });
    expect(types(page.hear(waits, { ...busy, id: "call-2" }))).toEqual(["stopTone", "startTone", "closeLeg"]);
    expect(page.on({ type: "toneEnded" })).toEqual([{ type: "startTone", tone: aTone() }]);
    expect(types(page.hear(talking))).toContain("stopTone");
  });

  test("is not heard on a page that leaves", () => {
    const page = dialled();
    page.hear(busy);
    expect(types(page.on({ type: "left" }))).toContain("stopTone");
  });
});

describe("a second call", () => {
  test("signals softly into a conversation, and rings aloud when that is over", () => {
    const page = new Driven();
    page.talk();
    expect(page.hear(talking, second)).toContainEqual({ type: "startRing", tone: "waiting" });
    const ring = page.hear(second).filter((effect) => effect.type === "startRing" || effect.type === "stopRing");
    expect(ring).toEqual([{ type: "stopRing" }, { type: "startRing", tone: "ring" }]);
  });

  test("is prepared beside the first without touching it", () => {
    const page = new Driven();
    page.talk();
    expect(types(page.hear(talking, second))).toEqual(["startRing", "openLeg"]);
    expect(page.leg("call-2").flow).toBe("warm");
  });

  test("shares the microphone, which is asked for once and released with the last call", () => {
    const page = new Driven();
    page.talk();
    page.hear(talking, second);
    page.connectLeg("call-2");
    expect(types(page.hear(held, { ...second, state: "joining", voice: TAB }))).toEqual([
      "stopRing",
      "setFlow",
      "setFlow",
    ]);
    page.hear(held, secondTalking);
    expect(types(page.hear(held))).toEqual(["closeLeg"]);
    expect(types(page.hear())).toEqual(["release", "closeLeg"]);
  });

  test("once answered has the microphone, also while the PBX still thinks about holding the first", () => {
    const page = new Driven();
    page.talk();
    page.hear(talking, second);
    page.hear(talking, { ...second, state: "joining", voice: TAB });
    expect([page.leg("call-1").flow, page.leg("call-2").flow]).toEqual(["held", "open"]);
  });

  test("that ends gives the microphone back to the first, if that was not held", () => {
    const page = new Driven();
    page.talk();
    page.hear(talking, secondTalking);
    page.hear(talking);
    expect(page.leg().flow).toBe("open");
  });
});

describe("hold", () => {
  test("silences both directions, and what was muted stays muted afterwards", () => {
    const page = new Driven();
    page.talk({ muted: true });
    page.hear({ ...held, muted: true });
    expect(page.leg().flow).toBe("held");
    page.hear({ ...talking, muted: true });
    expect(page.leg().flow).toBe("muted");
  });

  test("in a conference both calls speak and are heard, and the one that was talked on stays in front", () => {
    const page = connected();
    page.hear(held, secondTalking);
    const together = { ...secondTalking, conference: "call-1" };
    page.hear({ ...held, conference: "call-2" }, together);
    expect([page.leg("call-1").flow, page.leg("call-2").flow]).toEqual(["held", "open"]);
    page.hear({ ...talking, conference: "call-2" }, together);
    expect([page.leg("call-1").flow, page.leg("call-2").flow]).toEqual(["open", "open"]);
    expect(page.session.floor).toBe("call-2");
    page.hear({ ...talking, conference: "call-2", muted: true }, { ...together, muted: true });
    expect([page.leg("call-1").flow, page.leg("call-2").flow]).toEqual(["muted", "muted"]);
    page.hear(talking, { ...together, state: "ended", ended: "caller-hung-up" });
    expect([page.leg("call-1").flow, page.session.floor]).toEqual(["open", "call-1"]);
  });

  test("a conference that is split is a call on hold and one that is talked on", () => {
    const page = connected();
    page.hear({ ...talking, conference: "call-2" }, { ...secondTalking, conference: "call-1" });
    expect(page.session.floor).toBe("call-2");
    page.hear(held, secondTalking);
    expect([page.leg("call-1").flow, page.leg("call-2").flow]).toEqual(["held", "open"]);
  });

  test("a held call that rejoins does not speak", () => {
    const page = connected();
    page.hear({ ...held, state: "rejoining", voice: "" });
    expect(page.leg().flow).toBe("held");
  });
});

describe("a new offer", () => {
  test("is made on the running connection", () => {
    const page = new Driven();
    page.talk();
    const { id } = page.leg();
    const [effect] = page.on({ type: "reofferAsked", wish: { call: "call-1", anew: false } });
    expect(effect).toEqual({ type: "reoffer", leg: id, offer: page.leg().offer });
    page.connectLeg();
    expect(types(page.effects).filter((type) => type === "openLeg" || type === "closeLeg")).toEqual(["openLeg"]);
    expect(page.effects.at(-1)).toEqual({ type: "acceptAnswer", leg: id, sdp: "v=0" });
  });

  test("waits until the present one is answered", () => {
    const page = connected();
    page.hear(dialling);
    expect(page.on({ type: "reofferAsked", wish: { call: "call-1", anew: false } })).toEqual([]);
    expect(types(page.connectLeg())).toEqual(["send offer", "acceptAnswer", "reoffer"]);
  });

  test("that got lost with the socket is replaced by a new leg", () => {
    const page = new Driven();
    page.talk();
    page.on({ type: "reofferAsked", wish: { call: "call-1", anew: false } }, { type: "disconnected" });
    page.connect();
    expect(types(page.hear(talking))).toEqual(["closeLeg", "openLeg"]);
  });

  test("on another connection replaces the leg that is lost at the other end", () => {
    const page = connected();
    page.hear(aCall({}));
    page.connectLeg();
    expect(types(page.on({ type: "reofferAsked", wish: { call: "call-1", anew: true } }))).toEqual([
      "closeLeg",
      "openLeg",
    ]);
  });

  test("for a call without a leg is nothing", () => {
    expect(connected().on({ type: "reofferAsked", wish: { call: "call-1", anew: false } })).toEqual([]);
  });
});

describe("the phone page", () => {
  test("speaks when the bridge names it", () => {
    expect(types(connected("phone").hear(talking))).toEqual(["capture", "openLeg"]);
  });

  test("never rings, not even softly", () => {
    const page = connected("phone");
    expect(types(page.hear(talking, second))).not.toContain("startRing");
  });
});

describe("taking over", () => {
  test("the new page captures and offers, the old one lets go", () => {
    expect(types(connected().hear(talking))).toEqual(["capture", "openLeg"]);
    const old = new Driven();
    old.talk();
    expect(types(old.hear({ ...talking, voice: "another", elsewhere: true }))).toEqual(["release", "closeLeg"]);
  });
});

describe("no microphone", () => {
  test("is told for every call that this page should speak", () => {
    const page = connected();
    page.hear(held, secondTalking);
    const told = page.on({ type: "captureFailed", turn: page.session.captures, why: "no-device" });
    expect(types(told).filter((type) => type === "send voiceFailed")).toHaveLength(2);
  });

  test("is tried again when the socket is back, as the bridge may not have heard of it", () => {
    const page = connected();
    page.hear(talking);
    page.on({ type: "disconnected" }, { type: "captureFailed", turn: 1, why: "timeout" });
    expect(types([...page.connect(), ...page.hear(talking)])).toContain("capture");
  });

  test("too late, for a capture that is not wanted any more, changes nothing", () => {
    const page = connected();
    page.hear(dialling);
    page.hear();
    page.hear(dialling);
    expect(page.on({ type: "captureFailed", turn: 1, why: "timeout" })).toEqual([]);
  });
});
