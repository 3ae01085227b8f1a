import { describe as about, expect, it } from "vitest";
import { describe, pathOf } from "../src/client";
import type { Client } from "../src/protocol";

const weber: Client = { kind: "CONTACT", id: 12, responsible: "Boris Lang", mine: false };

about("a client of the CRM", () => {
  it("is opened by the path that the portal lets an application open", () => {
    expect(pathOf(weber)).toBe("/crm/contact/details/12/");
    expect(pathOf({ ...weber, kind: "COMPANY", id: 7 })).toBe("/crm/company/details/7/");
  });

  it("is described by what it is and who looks after it", () => {
    expect(describe(weber)).toBe("Contact · Looked after by Boris Lang");
    expect(describe({ ...weber, mine: true })).toBe("Contact · Your client");
    expect(describe({ ...weber, kind: "LEAD", responsible: "" })).toBe("Lead");
  });
});
