// What the bridge says to the installation page: a line of JSON for each step, one for the whole; or how things stand. Pure.

import { isObject } from "./bx24";

export interface Step {
  name: string;
  ok: boolean;
  text: string;
}

export interface Outcome {
  steps: Step[];
  done: boolean;
}

/** What an administrator may choose; "" leaves it to the configuration. */
export interface Choice {
  line: string;
  line_name: string;
  region: string;
}

/** How a portal stands, before anything is done. */
export interface View {
  state: Step[];
  installed: boolean;
  choice: Choice;
}

/** One step, or null when this is none. */
export function stepOf(said: unknown): Step | null {
  if (!isObject(said) || !isObject(said.step)) return null;
  return toStep(said.step);
}

/** The bridge's report, or null when the answer is none. */
export function outcomeOf(said: unknown): Outcome | null {
  if (!isObject(said) || !Array.isArray(said.steps)) return null;
  return { steps: said.steps.filter(isObject).map(toStep), done: said.done === true };
}

export function viewOf(said: unknown): View | null {
  if (!isObject(said) || !Array.isArray(said.state) || !isObject(said.choice)) return null;
  const { line, line_name, region } = said.choice;
  return {
    state: said.state.filter(isObject).map(toStep),
    installed: said.installed === true,
    choice: { line: text(line), line_name: text(line_name), region: text(region) },
  };
}

/** The sentence of a refusal, "" when there is none. */
export function errorOf(said: unknown): string {
  return isObject(said) ? text(said.error) : "";
}

/** Each line of JSON as soon as it is there; what is none is left out. */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (let ended = false; !ended; ) {
    const { done, value } = await reader.read();
    ended = done;
    rest += done ? `${decoder.decode()}\n` : decoder.decode(value, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const said = parsed(line);
      if (said !== undefined) yield said;
    }
  }
}

function parsed(line: string): unknown {
  try {
    return line.trim() === "" ? undefined : JSON.parse(line);
  } catch {
    return undefined;
  }
}

function toStep(step: Record<string, unknown>): Step {
  return { name: text(step.name), ok: step.ok === true, text: text(step.text) };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
