import { afterEach, describe, expect, it, vi } from "vitest";
import { type Account, Accounts, healthOf, linesOf, RefusedError, summaryOf } from "../src/accounts";

const anna: Account = {
  user: 1,
  name: "Anna",
  extension: "101",
  trunk: "office",
  sipUser: "1001",
  fixed: false,
  state: "registered",
  why: "",
  online: true,
};

/** Answers of the bridge, one after the other; the bodies that were sent. */
function bridge(...answers: unknown[]): Record<string, unknown>[] {
  const heard: Record<string, unknown>[] = [];
  vi.stubGlobal("fetch", async (_url: string, { body }: { body: string }) => {
    heard.push(JSON.parse(body));
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("unplugged");
    return { json: async () => answer };
  });
  return heard;
}

afterEach(() => vi.unstubAllGlobals());

describe("the way to the settings", () => {
  it("is open to administrators, and every answer renews the ticket", async () => {
    const heard = bridge({ ticket: "t1" }, { ticket: "t2", lines: [] }, { ticket: "t3" });
    const accounts = await Accounts.open("page");
    await accounts?.take("a,b", true);
    await accounts?.remove(anna);
    expect(heard).toEqual([
      { do: "open", ticket: "page" },
      { do: "import", ticket: "t1", text: "a,b", dry: true },
      { do: "remove", ticket: "t2", trunk: "office", sip_user: "1001" },
    ]);
  });

  it("is closed to others, and while the bridge is silent", async () => {
    bridge({ error: "Only an administrator may." });
    expect(await Accounts.open("page")).toBeNull();
    bridge();
    expect(await Accounts.open("page")).toBeNull();
  });

  it("tells a refusal in the bridge's words, and silence and nonsense in ours", async () => {
    bridge({ ticket: "t" }, { error: "There is no such account any more." }, "?");
    const accounts = await Accounts.open("page");
    await expect(accounts?.remove(anna)).rejects.toThrow("no such account");
    await expect(accounts?.remove(anna)).rejects.toThrow("makes no sense");
    await expect(accounts?.remove(anna)).rejects.toThrow(RefusedError);
  });
});

describe("how an account stands", () => {
  it("is said in words", () => {
    expect(healthOf(anna)).toEqual({ health: "good", text: "Registered" });
    expect(healthOf({ ...anna, state: "refused", why: "403 Forbidden" })).toEqual({
      health: "bad",
      text: "Not registered: 403 Forbidden",
    });
    expect(healthOf({ ...anna, state: "shared" })).toEqual({ health: "good", text: "Reached through the trunk" });
    expect(healthOf({ ...anna, state: "registering" }).health).toBe("waiting");
    expect(healthOf({ ...anna, user: null }).text).toContain("Nobody");
    expect(healthOf({ ...anna, state: "" }).text).toBe("Not registered");
  });
});

describe("a report", () => {
  it("is summed up", () => {
    const line = (change: "added" | "refused") => ({ line: 2, change, text: "" });
    expect(summaryOf([line("added"), line("refused"), line("added")])).toBe("2 added, 1 refused");
    expect(summaryOf([])).toBe("nothing in it");
    expect(linesOf({ lines: [line("added"), 7] })).toEqual([line("added")]);
  });
});
