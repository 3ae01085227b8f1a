import { describe, expect, test } from "vitest";
import { MAX_LOSSES } from "../src/settle";
import { aCall, aState, Driven, TAB, types } from "./a_call";

describe("a call rings", () => {
  test("the lead rings and prepares its leg at once, without a microphone", () => {
    const page = new Driven();
    page.connect();
    expect(types(page.hear(aCall()))).toEqual(["startRing", "openLeg"]);
  });

  test("a page without the sound stays silent, and prepares nothing unless it is the lead", () => {
    const page = new Driven();
    page.connect();
    const state = aState({ lead: false, calls: [aCall({ sound: false })] });
    expect(page.on({ type: "stated", state, at: 0 })).toEqual([]);
  });

  test("the phone page never rings", () => {
    const page = new Driven("phone");
    page.connect();
    expect(types(page.hear(aCall()))).not.toContain("startRing");
  });

  test("two calls make one ring", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall(), aCall({ id: "call-2" }));
    page.hear(aCall({ id: "call-2" }));
    expect(types(page.effects).filter((type) => type === "startRing")).toHaveLength(1);
    expect(types(page.hear())).toContain("stopRing");
  });

  test("the ring stops at once when the socket breaks", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    expect(types(page.on({ type: "disconnected" }))).toEqual(["stopRing"]);
  });

  test("the application is opened once, however often the bridge asks", () => {
    const page = new Driven();
    const open = { call: "call-1", card: "", number: "1", name: "", line: "100", width: 480 };
    page.on({ type: "openAsked", open }, { type: "openAsked", open });
    expect(types(page.effects)).toEqual(["openApplication"]);
  });
});

describe("the operator answers", () => {
  test("the warm leg is kept and gets the microphone", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    page.connectLeg();
    expect(types(page.hear(aCall({ state: "joining", voice: TAB })))).toEqual(["stopRing", "capture", "setFlow"]);
  });

  test("a page without a warm leg captures and connects side by side", () => {
    const page = new Driven();
    page.connect();
    expect(types(page.hear(aCall({ state: "joining", voice: TAB })))).toEqual(["capture", "openLeg"]);
  });

  test("answered in this browser: the lead opens its microphone before the bridge has said who shall speak", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    expect(types(page.on({ type: "answerSeen", call: "call-1" }))).toEqual(["capture"]);
    expect(page.leg().flow).toBe("warm");
    expect(types(page.hear(aCall({ state: "joining", voice: TAB })))).toEqual(["stopRing", "setFlow"]);
  });

  test("a click on the phone page lets the lead know before the bridge does", () => {
    const phone = new Driven("phone");
    phone.connect();
    phone.hear(aCall());
    const wish = { type: "wished", wish: "answer", call: "call-1" } as const;
    expect(types(phone.on(wish))).toEqual(["announceAnswer", "send answer"]);
  });

  test("and closes it again when another page shall speak, or when the answer came to nothing", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    page.on({ type: "answerSeen", call: "call-1" });
    expect(types(page.on({ type: "answerLapsed" }))).toEqual(["release"]);
    page.on({ type: "answerSeen", call: "call-1" });
    expect(types(page.hear(aCall({ state: "joining", voice: "another" })))).toContain("release");
  });

  test("an answer that is seen opens no microphone where a question would be asked, nor on a page that does not lead", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    page.on({ type: "measured", presence: { capture: "ask" } });
    expect(types(page.on({ type: "answerSeen", call: "call-1" }))).toEqual([]);
    const other = new Driven();
    other.connect();
    other.on({ type: "stated", state: aState({ lead: false, calls: [aCall()] }), at: 0 });
    expect(types(other.on({ type: "answerSeen", call: "call-1" }))).toEqual([]);
  });

  test("the bridge is told once that the voice is on its way: the leg is connected and has a microphone", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    page.hear(aCall({ state: "joining", voice: TAB }));
    const leg = page.leg().id;
    page.capture();
    expect(types(page.on({ type: "legSpeaks", leg }))).toEqual([]);
    expect(types(page.connectLeg())).toContain("send speaking");
    expect(types(page.on({ type: "legSpeaks", leg }, { type: "legConnected", leg }))).toEqual([]);
  });

  test("answered on another page: no ring, no leg, no microphone here", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    expect(types(page.hear(aCall({ state: "joining", voice: "another" })))).toEqual(["stopRing", "closeLeg"]);
  });

  test("an answer to an offer that was replaced is not used", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    const answer = { call: "call-1", offer: "older", sdp: "v=0" };
    expect(page.on({ type: "mediaAnswered", answer })).toEqual([]);
  });

  test("a refused microphone is reported once, before the leg could end, and asked for when answered anew", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall());
    page.connectLeg();
    page.hear(aCall({ state: "joining", voice: TAB }));
    const failed = { type: "captureFailed", turn: 1, why: "denied" } as const;
    expect(types(page.on(failed, failed))).toEqual(["release", "send voiceFailed"]);
    expect(page.hear(aCall({ state: "joining", voice: TAB }))).toEqual([]);
    expect(types(page.hear(aCall({ notice: "denied" })))).toEqual(["startRing", "setFlow"]);
    expect(types(page.hear(aCall({ state: "joining", voice: TAB })))).toContain("capture");
  });

  test("a permission given later is used without another click", () => {
    const page = new Driven();
    page.connect();
    page.on({ type: "measured", presence: { capture: "no" } });
    page.hear(aCall({ state: "rejoining", voice: TAB }));
    page.on({ type: "captureFailed", turn: 1, why: "denied" });
    const given = types(page.on({ type: "measured", presence: { capture: "yes" } }));
    expect(given).toEqual(["capture", "send presence"]);
  });
});

describe("talking", () => {
  test("mute follows the bridge's word, once per change", () => {
    const page = new Driven();
    page.talk();
    expect(page.hear(aCall({ state: "talking", voice: TAB, muted: true }))).toEqual([
      { type: "setFlow", leg: page.leg().id, flow: "muted" },
    ]);
    expect(page.hear(aCall({ state: "talking", voice: TAB, muted: true }))).toEqual([]);
  });

  test("a microphone opened for a muted call is muted from its first sample", () => {
    const page = new Driven();
    page.connect();
    const effects = page.hear(aCall({ state: "rejoining", voice: TAB, muted: true }));
    expect(effects).toContainEqual({ type: "openLeg", leg: page.leg().id, flow: "muted", iceServers: [] });
  });

  test("a leg is made with the TURN servers that the bridge told last", () => {
    const page = new Driven();
    page.connect();
    const known = (credential: string) => [{ urls: ["turns:turn.example.com"], username: "2:x", credential }];
    const state = (credential: string) => aState({ calls: [aCall()], iceServers: known(credential) });
    const [, first] = page.on({ type: "stated", state: state("old"), at: 0 });
    expect(first).toMatchObject({ type: "openLeg", iceServers: known("old") });
    expect(page.on({ type: "stated", state: state("new"), at: 1 }), "the leg that is there stays").toEqual([]);
    const [, second] = page.on({ type: "legLost", leg: page.leg().id });
    expect(second).toMatchObject({ type: "openLeg", iceServers: known("new") });
  });

  test("the end stops the microphone and closes the leg", () => {
    const page = new Driven();
    page.talk();
    expect(types(page.hear(aCall({ state: "ended", ended: "caller-hung-up" })))).toEqual(["release", "closeLeg"]);
  });

  test("the voice moves to another page: this one lets go", () => {
    const page = new Driven();
    page.talk();
    expect(types(page.hear(aCall({ state: "talking", voice: "another" })))).toEqual(["release", "closeLeg"]);
  });

  test("a leg that breaks is replaced a few times, then the page says that it can't speak", () => {
    const page = new Driven();
    page.talk();
    const lose = () => types(page.on({ type: "legLost", leg: page.leg().id }));
    for (let i = 0; i < MAX_LOSSES; i++) expect(lose()).toEqual(["closeLeg", "openLeg"]);
    expect(lose()).toEqual(["closeLeg", "send voiceFailed", "release"]);
    expect(page.session.legs).toEqual([]);
  });

  test("a microphone that is unplugged is looked for again", () => {
    const page = new Driven();
    page.talk();
    expect(types(page.on({ type: "captureEnded", turn: 1 }))).toEqual(["release", "capture"]);
  });
});

describe("rejoin", () => {
  test("a new page offers and captures at once when the bridge waits for the lead", () => {
    const page = new Driven();
    page.connect();
    const effects = types(page.hear(aCall({ state: "rejoining", voice: "", sound: false })));
    expect(effects).toEqual(["capture", "openLeg"]);
  });

  test("the bridge names this page the voice afterwards: nothing is done twice", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall({ state: "rejoining" }));
    page.connectLeg();
    expect(page.hear(aCall({ state: "rejoining", voice: TAB }))).toEqual([]);
    expect(page.hear(aCall({ state: "talking", voice: TAB }))).toEqual([]);
  });

  test("another operator's call is not taken over", () => {
    const page = new Driven();
    page.connect();
    expect(page.hear(aCall({ state: "rejoining", elsewhere: true }))).toEqual([]);
  });

  test("the bridge hears nothing of this page: it makes a new leg and keeps the microphone", () => {
    const page = new Driven();
    page.talk();
    expect(types(page.hear(aCall({ state: "rejoining", voice: "" })))).toEqual(["closeLeg", "openLeg"]);
  });

  test("the new leg did not arrive either: another one", () => {
    const page = new Driven();
    page.talk();
    page.hear(aCall({ state: "rejoining", voice: "" }), aCall({ state: "rejoining", voice: TAB }));
    page.hear(aCall({ state: "rejoining", voice: TAB }));
    expect(types(page.hear(aCall({ state: "rejoining", voice: "" })))).toEqual(["closeLeg", "openLeg"]);
  });

  test("a short break of the socket that the bridge did not notice leaves the voice alone", () => {
    const page = new Driven();
    page.talk();
    page.on({ type: "disconnected" });
    page.connect();
    expect(page.hear(aCall({ state: "talking", voice: TAB }))).toEqual([]);
  });

  test("an offer made before the socket broke is made again", () => {
    const page = new Driven();
    page.connect();
    page.hear(aCall({ state: "joining", voice: TAB }));
    page.on({ type: "disconnected" });
    page.connect();
    const first = page.leg().offer;
    expect(types(page.hear(aCall({ state: "joining", voice: TAB })))).toEqual(["closeLeg", "openLeg"]);
    expect(page.leg().offer).not.toBe(first);
  });

  test("without a socket and without a leg the microphone is not kept open", () => {
    const page = new Driven();
    page.talk();
    page.on({ type: "disconnected" });
    expect(types(page.on({ type: "legLost", leg: page.leg().id }))).toEqual(["closeLeg", "release"]);
  });
});

describe("the page itself", () => {
  test("presence is told when it changes, and not when the Hello said it", () => {
    const page = new Driven();
    expect(page.connect()).toEqual([]);
    const hidden = { visible: false, capture: "yes", card: false } as const;
    const told = { type: "send", name: "presence", payload: hidden };
    expect(page.on({ type: "measured", presence: { visible: false } })).toEqual([told]);
    expect(page.on({ type: "measured", presence: { visible: false } })).toEqual([]);
  });

  test("what changed while the socket was away is told when it is back", () => {
    const page = new Driven();
    const told = page.session.presence;
    page.on({ type: "measured", presence: { visible: false } });
    expect(types(page.on({ type: "connected", told }))).toEqual(["send presence"]);
  });

  test("leaving the page stops every sound and the microphone", () => {
    const page = new Driven();
    page.talk();
    expect(types(page.on({ type: "left" }))).toEqual(["release", "closeLeg"]);
  });
});
