// Who it is in the CRM: what they are, who looks after them, and the way to their page in the portal.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { Button } from "./parts";
import type { Call, Client } from "./protocol";
import { whoOf } from "./screen";
import { phoneTexts as texts } from "./texts";

/** Opens a page of the portal over this one; null outside a portal. */
export const OpenPath = createContext<((path: string) => void) | null>(null);

export function InTheCrm({ call }: { call: Call }) {
  const open = useContext(OpenPath);
  const { client } = call;
  if (!client) return null;
  return (
    <div class="client">
      <p class="hint">{describe(client)}</p>
      {open && (
        <Button
          kind="plain"
          label={texts.openClient}
          name={texts.of(texts.openClient, whoOf(call))}
          does="openClient"
          press={() => open(pathOf(client))}
        />
      )}
    </div>
  );
}

export function pathOf({ kind, id }: Client): string {
  return `/crm/${kind.toLowerCase()}/details/${id}/`;
}

export function describe({ kind, responsible, mine }: Client): string {
  const whose = mine ? texts.yours : responsible && texts.responsible(responsible);
  return [texts.clients[kind], whose].filter(Boolean).join(" · ");
}
