// The installation page: says what will happen, lets the bridge do it, shows each step, tells the portal that it is done.

import { Bx24, isObject } from "./bx24";
import { installTexts as texts } from "./texts";

export interface InstallStep {
  name: string;
  ok: boolean;
  text: string;
}

export interface Outcome {
  steps: InstallStep[];
  done: boolean;
}

/** The bridge's report, or null when the answer is none. */
export function outcomeOf(answer: unknown): Outcome | null {
  if (!isObject(answer) || !Array.isArray(answer.steps)) return null;
  const steps = answer.steps.filter(isObject).map((step) => ({
    name: String(step.name ?? ""),
    ok: step.ok === true,
    text: String(step.text ?? ""),
  }));
  return { steps, done: answer.done === true };
}

async function install(ticket: string): Promise<Outcome | string> {
  let response: Response;
  try {
    response = await fetch("/b24/install", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ticket }),
    });
  } catch {
    return texts.unreachable;
  }
  const answer: unknown = await response.json().catch(() => null);
  const said = isObject(answer) ? (answer.text ?? answer.error) : null;
  return outcomeOf(answer) ?? (typeof said === "string" && said !== "" ? said : texts.unclear);
}

function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function stepLine({ name, ok, text }: InstallStep): HTMLLIElement {
  const mark = element("span", ok ? "light good" : "light bad", ok ? "✓" : "✗");
  mark.ariaHidden = "true";
  const title = `${name.charAt(0).toUpperCase()}${name.slice(1)}: ${ok ? texts.ok : texts.bad}`;
  const words = element("span", "", element("strong", "", title));
  if (text) words.append(element("br", ""), text);
  return element("li", "", mark, words);
}

function start(root: HTMLElement): void {
  const bx24 = Bx24.of(window);
  const button = element("button", "go", texts.install);
  button.type = "button";
  const steps = element("ol", "steps");
  const message = element("p", "message");
  message.setAttribute("role", "status");
  const plan = element("ul", "", ...texts.plan.map((line) => element("li", "", line)));
  const intro = [element("p", "", texts.intro), plan, element("p", "hint", texts.admin)];
  root.append(element("section", "sheet install", element("h1", "", texts.title), ...intro, button, steps, message));

  const show = (outcome: Outcome | string) => {
    const done = typeof outcome !== "string" && outcome.done;
    steps.replaceChildren(...(typeof outcome === "string" ? [] : outcome.steps.map(stepLine)));
    message.className = done ? "message" : "message notice";
    message.textContent = typeof outcome === "string" ? outcome : sentenceOf(done, bx24 !== null);
    button.hidden = done;
    button.disabled = false;
    button.textContent = texts.retry;
    if (done) bx24?.installFinish();
    else button.focus();
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = texts.installing;
    message.className = "message";
    message.textContent = "";
    show(await install(document.body.dataset.ticket ?? ""));
  });
}

function sentenceOf(done: boolean, inPortal: boolean): string {
  if (!done) return texts.incomplete;
  return inPortal ? texts.done : texts.doneOutside;
}

const root = globalThis.document?.getElementById("page");
if (root) start(root);
