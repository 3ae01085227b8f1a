// The administrators' page: says what the installation will do and how things stand, lets the bridge do it, shows each step,
// and tells the portal when it is done.

import { Bx24 } from "./bx24";
import { type Choice, errorOf, linesOf, type Outcome, outcomeOf, type Step, stepOf, type View, viewOf } from "./report";
import { installTexts as texts } from "./texts";

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

function stepLine({ name, ok, text }: Step): HTMLLIElement {
  const mark = element("span", ok ? "light good" : "light bad", ok ? "✓" : "✗");
  mark.ariaHidden = "true";
  const title = `${texts.steps[name] ?? name}: ${ok ? texts.ok : texts.bad}`;
  const words = element("span", "", element("strong", "", title));
  if (text) words.append(element("br", ""), text);
  return element("li", "", mark, words);
}

/** A list of steps that is read out as it grows. */
function stepList(label: string): HTMLOListElement {
  const list = element("ol", "steps");
  list.setAttribute("role", "list");
  list.ariaLabel = label;
  list.ariaLive = "polite";
  return list;
}

class Field {
  readonly label: HTMLLabelElement;
  private readonly input = element("input", "");

  constructor(label: string, hint: string, settings: Partial<HTMLInputElement>) {
    Object.assign(this.input, settings);
    this.label = element("label", "field", element("span", "", label), this.input, element("small", "hint", hint));
  }

  get value(): string {
    return this.input.value;
  }

  set value(value: string) {
    this.input.value = value;
  }
}

class InstallPage {
  private readonly state = stepList(texts.stateLabel);
  private readonly title = element("h1", "", texts.title);
  private readonly plan: HTMLElement[];
  private readonly steps = stepList(texts.stepsLabel);
  private readonly message = element("p", "message");
  private readonly button = element("button", "go", texts.install);
  private readonly form = element("form", "");
  private readonly fields = {
    line: new Field(texts.line, texts.lineHint, { type: "tel", autocomplete: "off", maxLength: 40 }),
    line_name: new Field(texts.lineName, texts.lineNameHint, { type: "text", autocomplete: "off", maxLength: 100 }),
    region: new Field(texts.region, texts.regionHint, { type: "text", autocomplete: "off", maxLength: 2 }),
  };

  constructor(
    root: HTMLElement,
    private readonly bx24: Bx24 | null,
    private readonly ticket: string,
  ) {
    this.button.type = "submit";
    this.message.setAttribute("role", "status");
    const plan = element("ul", "", ...texts.plan.map((line) => element("li", "", line)));
    this.plan = [element("p", "", texts.intro), plan, element("p", "hint", texts.admin)];
    const labels = Object.values(this.fields).map(({ label }) => label);
    this.form.append(...labels, this.steps, this.message, this.button);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.install();
    });
    root.append(element("section", "sheet install", this.title, ...this.plan, this.state, this.form));
  }

  /** Shows how things stand, and what was chosen before. */
  async look(): Promise<void> {
    const said = await this.ask({ do: "look" }, async (response) => response.json());
    if (typeof said === "string") return this.say(said, true);
    const view = viewOf(said);
    if (view) this.show(view);
    else this.say(errorOf(said) || texts.unclear, true);
  }

  private show({ state, installed, choice }: View): void {
    this.title.textContent = installed ? texts.titleInstalled : texts.title;
    for (const part of this.plan) part.hidden = installed;
    this.state.replaceChildren(...(installed ? state.map(stepLine) : []));
    this.button.textContent = installed ? texts.again : texts.install;
    for (const [name, field] of Object.entries(this.fields)) field.value = choice[name as keyof Choice];
  }

  private async install(): Promise<void> {
    this.button.disabled = true;
    this.button.textContent = texts.installing;
    this.steps.replaceChildren();
    this.say("", false);
    const { line, line_name, region } = this.fields;
    const choice: Choice = { line: line.value, line_name: line_name.value, region: region.value };
    const outcome = await this.ask({ choice }, (response) => this.follow(response));
    await this.finish(outcome);
  }

  /** Adds each step to the list when it is told; the report, or the sentence of a refusal. */
  private async follow(response: Response): Promise<Outcome | string> {
    let outcome: Outcome | string = texts.unclear;
    if (!response.body) return outcome;
    for await (const said of linesOf(response.body)) {
      const step = stepOf(said);
      if (step) this.steps.append(stepLine(step));
      outcome = outcomeOf(said) ?? (errorOf(said) || outcome);
    }
    return outcome;
  }

  private async finish(outcome: Outcome | string): Promise<void> {
    const done = typeof outcome !== "string" && outcome.done;
    this.button.disabled = false;
    this.button.textContent = texts.retry;
    if (!done) {
      this.say(typeof outcome === "string" ? outcome : texts.incomplete, true);
      this.button.focus();
      return;
    }
    const init = await this.bx24?.getInitData();
    if (this.bx24 && init?.INSTALL !== false) {
      this.button.hidden = true;
      this.say(texts.done, false);
      this.bx24.installFinish();
      return;
    }
    this.say(this.bx24 ? texts.doneAgain : texts.doneOutside, false);
    await this.look();
  }

  private async ask<Answer>(
    what: object,
    read: (response: Response) => Promise<Answer | string>,
  ): Promise<Answer | string> {
    try {
      const response = await fetch("/b24/install", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ticket: this.ticket, ...what }),
      });
      return await read(response);
    } catch {
      return texts.unreachable;
    }
  }

  private say(text: string, trouble: boolean): void {
    this.message.className = trouble ? "message notice" : "message";
    this.message.textContent = text;
  }
}

const root = globalThis.document?.getElementById("page");
if (root) void new InstallPage(root, Bx24.of(window), document.body.dataset.ticket ?? "").look();
