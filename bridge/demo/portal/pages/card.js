// The call card: a window with twelve states. Its buttons tell the workers what was clicked and do nothing else.
import { clock, element, icon, portal } from "./config.js";

export const STATES = {
  incoming: ["answer", "skip"],
  transferIncoming: ["answer", "skip"],
  outgoing: ["call"],
  connectingIncoming: ["hangup"],
  connectingOutgoing: ["hangup"],
  connected: ["hold", "mute", "quality", "transfer", "dialpad", "hangup"],
  transferring: ["complete", "cancel"],
  transferFailed: ["cancel"],
  transferConnected: ["hangup"],
  error: ["close"],
  moneyError: ["notifyAdmin", "close"],
  redial: ["redial"],
};
const CALL_LIST = { outgoing: ["call", "next"] };
// Names the portal's code knows but does not list.
const INTERNAL = { externalCard: ["close"], idle: [], sipPhoneError: ["close"] };
const ALL = { ...STATES, ...INTERNAL };
const CLOSABLE = ["outgoing", "error", "moneyError", "redial", "externalCard", "sipPhoneError"];
const FOLDABLE = ["connected", "externalCard"];
const IN_LIST_FOLDABLE = [...FOLDABLE, "outgoing"];

const BUTTONS = {
  answer: ["Answer", "answer", "good", "answerButtonClick"],
  skip: ["Decline", "hangup", "bad", "skipButtonClick"],
  hangup: ["Hang up", "hangup", "bad", "hangupButtonClick"],
  call: ["Call", "answer", "good", "makeCallButtonClick"],
  next: ["Next", "next", "", "nextButtonClick"],
  redial: ["Redial", "answer", "good", "makeCallButtonClick"],
  close: ["Close", "close", "", "closeButtonClick"],
  complete: ["Complete", "transfer", "good", "completeTransferButtonClick"],
  cancel: ["Cancel", "close", "", "cancelTransferButtonClick"],
  notifyAdmin: ["Tell the administrator", "bell", "", "notifyAdminButtonClick"],
  mute: ["Mute", "mute", "", "muteButtonClick"],
  hold: ["Hold", "hold", "", "holdButtonClick"],
  dialpad: ["Keys", "dialpad", "", "dialpadButtonClick"],
  transfer: ["Transfer", "transfer", "", "transferButtonClick"],
  quality: ["Quality", "quality", "", "qualityMeterClick"],
};
export const BUTTON_EVENTS = [...new Set(Object.values(BUTTONS).map((button) => button[3])), "addCommentButtonClick"];
const TITLES = { incoming: "Incoming call", outgoing: "Outgoing call", callback: "Callback" };

export const knownState = (name) => Object.hasOwn(ALL, name);

export class Card {
  folded = false;
  commenting = false;
  #state = "externalCard";
  #muted = false;
  #held = false;
  #title = "";
  #status = "";
  #since = 0;
  #ticking = 0;
  #panel = "";
  #draft = "";
  #do;

  constructor(call, { emit, close, comment, folded }) {
    this.call = call;
    this.#do = { emit, close, comment };
    this.#title = TITLES[call.direction];
    this.root = element("div", "call-card");
    if (folded) this.#restore(folded);
    document.body.append(this.root);
    this.#draw();
    if (call.crmEntityType) emit("entityChanged", this.#entity());
    emit("initialized", this.#introduction());
  }

  setState(name, quiet) {
    if (name === this.#state) return;
    if (this.#state === "connected") this.stopTimer();
    this.#state = name;
    if (!this.commenting) this.#panel = "";
    if (name === "connected" && !quiet) this.startTimer();
    this.#draw();
  }

  setMuted(muted) {
    this.#muted = muted;
    this.#draw();
  }

  setHeld(held) {
    this.#held = held;
    this.#draw();
  }

  setTitle(title) {
    this.#title = title;
    this.#draw();
  }

  setStatus(text) {
    this.#status = text;
    this.#draw();
  }

  startTimer(since = Date.now()) {
    this.stopTimer();
    this.#since = since;
    this.#ticking = setInterval(() => this.#tick(), 500);
    this.#draw();
  }

  stopTimer() {
    clearInterval(this.#ticking);
    this.#ticking = 0;
  }

  remove() {
    this.stopTimer();
    this.root.remove();
  }

  snapshot() {
    return {
      call: this.call,
      state: this.#state,
      muted: this.#muted,
      held: this.#held,
      title: this.#title,
      status: this.#status,
      since: this.#ticking ? this.#since : 0,
    };
  }

  #restore(left) {
    this.folded = true;
    [this.#state, this.#muted, this.#held, this.#title, this.#status] = [left.state, left.muted, left.held, left.title, left.status];
    if (left.since) this.startTimer(left.since);
  }

  #entity() {
    const { phoneNumber, crmEntityType, crmEntityId } = this.call;
    return { PHONE_NUMBER: phoneNumber || "unknown", CRM_ENTITY_TYPE: crmEntityType, CRM_ENTITY_ID: crmEntityId };
  }

  #introduction() {
    const { callId, phoneNumber, lineNumber, lineName, crmEntityType, crmEntityId, direction } = this.call;
    return {
      CALL_ID: callId,
      ...(phoneNumber ? { PHONE_NUMBER: phoneNumber } : {}),
      LINE_NUMBER: lineNumber,
      LINE_NAME: lineName,
      CRM_ENTITY_TYPE: crmEntityType,
      CRM_ENTITY_ID: crmEntityId,
      CRM_ACTIVITY_ID: "",
      CRM_BINDINGS: crmEntityType ? [{ ENTITY_TYPE: crmEntityType, ENTITY_ID: crmEntityId }] : [],
      CALL_DIRECTION: direction,
      CALL_STATE: "idle",
      CALL_LIST_MODE: this.call.callList,
    };
  }

  // ---- what a click does

  #click(name) {
    const event = BUTTONS[name][3];
    if (name === "mute") {
      this.setMuted(!this.#muted);
      this.#do.emit(event, this.#muted);
    } else if (name === "hold") {
      this.setHeld(!this.#held);
      this.#do.emit(event, this.#held);
    } else if (["dialpad", "transfer", "quality"].includes(name)) {
      this.#show(name);
    } else {
      this.#do.emit(event);
      if (name === "close") this.#do.close();
    }
  }

  #show(panel) {
    this.#panel = this.#panel === panel ? "" : panel;
    this.commenting = this.#panel === "comment";
    this.#draw();
  }

  #fold() {
    this.folded = !this.folded;
    this.#draw();
  }

  #choose(name, argument) {
    this.#do.emit(BUTTONS[name][3], argument);
    if (name !== "dialpad") this.#show(name);
  }

  // ---- how it looks

  #draw() {
    this.root.dataset.state = this.#state;
    this.root.dataset.callId = this.call.callId;
    this.root.classList.toggle("folded", this.folded);
    this.root.replaceChildren(...(this.folded ? this.#small() : this.#large()));
    if (this.commenting) this.root.querySelector("textarea")?.focus();
    this.#tick();
  }

  #large() {
    const status = element("div", "card-status", this.#status);
    const buttons = element("div", `card-buttons ${this.#state === "connected" ? "round" : ""}`);
    buttons.append(...this.#names().map((name) => this.#button(name)));
    return [this.#head(), this.#person(), status, element("div", "card-timer"), this.#panelView(), buttons];
  }

  /** The buttons of the state; in a call list there are more. */
  #names() {
    return (this.call.callList && CALL_LIST[this.#state]) || ALL[this.#state];
  }

  #small() {
    const shown = ALL[this.#state].filter((name) => name === "hangup" || name === "close");
    const who = element("button", "card-unfold", this.call.crmEntityName || this.call.phoneNumber || "Unknown number");
    who.addEventListener("click", () => this.#fold());
    return [who, element("div", "card-timer"), ...shown.map((name) => this.#button(name))];
  }

  #head() {
    const head = element("div", "card-head");
    head.append(element("span", "card-title", this.#title), this.#tool("comment", "Comment", () => this.#show("comment")));
    if ((this.call.callList ? IN_LIST_FOLDABLE : FOLDABLE).includes(this.#state)) head.append(this.#tool("fold", "Fold", () => this.#fold()));
    if (CLOSABLE.includes(this.#state)) head.append(this.#tool("close", "Close", () => this.#click("close")));
    return head;
  }

  #tool(name, label, run) {
    const tool = element("button", "card-tool");
    tool.dataset.tool = name;
    tool.title = label;
    tool.append(icon(name));
    tool.addEventListener("click", run);
    return tool;
  }

  #person() {
    const { crmEntityName, phoneNumber, lineName } = this.call;
    const person = element("div", "card-person");
    const name = crmEntityName || phoneNumber || "Unknown number";
    const initials = crmEntityName ? crmEntityName.split(" ").map((word) => word[0]).slice(0, 2).join("") : "";
    const face = element("span", "card-face", initials);
    if (!initials) face.append(icon("contacts"));
    const text = element("div");
    text.append(element("div", "card-name", name), element("div", "card-number", crmEntityName ? phoneNumber : lineName));
    person.append(face, text);
    return person;
  }

  #button(name) {
    const [label, image, tone] = BUTTONS[name];
    const button = element("button", `card-button ${tone}`);
    button.dataset.button = name;
    button.title = label;
    if ((name === "mute" && this.#muted) || (name === "hold" && this.#held) || name === this.#panel) button.classList.add("on");
    button.append(icon(image), element("span", "", label));
    button.addEventListener("click", () => this.#click(name));
    return button;
  }

  #panelView() {
    const view = element("div", `card-panel ${this.#panel}`);
    const choices = {
      dialpad: () => [..."123456789*0#"].map((key) => [key, key]),
      quality: () => [..."12345"].map((mark) => [mark, mark]),
      transfer: () => portal.people.map(({ id, name }) => [name, this.#target("user", String(id))]),
    };
    if (this.#panel === "comment") view.append(...this.#commentForm());
    if (this.#panel === "transfer") view.append(...this.#transferForm());
    for (const [label, argument] of choices[this.#panel]?.() ?? []) {
      const choice = element("button", "choice", label);
      choice.dataset.choice = label;
      choice.addEventListener("click", () => this.#choose(this.#panel, argument));
      view.append(choice);
    }
    return view;
  }

  /** What the two editions of the documents say that the event carries. */
  #target(type, target) {
    return portal.transferByType ? { type, target } : { phoneNumber: this.call.phoneNumber, target };
  }

  #transferForm() {
    const field = element("input");
    field.type = "tel";
    field.placeholder = "Or a number";
    const go = element("button", "choice", "Transfer");
    go.addEventListener("click", () => this.#choose("transfer", this.#target("pstn", field.value)));
    return [field, go];
  }

  #commentForm() {
    const field = element("textarea");
    field.placeholder = "Comment on this call";
    field.value = this.#draft;
    field.addEventListener("input", () => (this.#draft = field.value));
    const save = element("button", "choice", "Save");
    save.addEventListener("click", () => {
      this.#do.comment(field.value);
      this.#do.emit("addCommentButtonClick", field.value);
      this.#draft = "";
      this.#show("comment");
    });
    return [field, save];
  }

  #tick() {
    const timer = this.root.querySelector(".card-timer");
    timer.textContent = this.#since && this.#state === "connected" ? clock((Date.now() - this.#since) / 1000) : "";
  }
}
