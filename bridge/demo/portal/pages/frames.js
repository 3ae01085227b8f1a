// Application frames of this document and the protocol they speak with it.
import { act, portal, toast, withUser } from "./config.js";
import { sliders } from "./sliders.js";

const LAZYLOAD = "/bitrix/components/bitrix/app.layout/lazyload.ajax.php";
const OPENABLE = /^\/(crm\/(deal|lead|contact|company|type)\/|marketplace\/|company\/personal\/user\/\d+\/|workgroups\/group\/\d+\/)/;
const frames = new Map();
let card = { interface: () => ({ command: [], event: [] }), perform: () => false };

/** The call card of this document; slider documents have none. */
export function useCard(controller) {
  card = controller;
}

/** Loads a placement into a container, exactly as often as it is called. */
export async function load(container, placement, options = {}) {
  const body = new URLSearchParams({
    PLACEMENT: placement,
    URI: location.pathname + location.search,
    PLACEMENT_OPTIONS: JSON.stringify(options),
  });
  const response = await fetch(withUser(LAZYLOAD), { method: "POST", body });
  container.insertAdjacentHTML("beforeend", await response.text());
  for (const holder of container.querySelectorAll(".app-frame[data-frame]")) mount(holder);
}

function mount(holder) {
  const frame = { ...JSON.parse(holder.dataset.frame), subscriptions: new Map() };
  frame.iframe = holder.querySelector("iframe");
  delete holder.dataset.frame;
  frames.set(frame.sid, frame);
  const started = performance.now();
  // Never removed: a worker that reloads itself later counts as one slow load more.
  frame.iframe.addEventListener("load", () => measure(frame, performance.now() - started));
  holder.querySelector("form").submit();
}

function measure(frame, milliseconds) {
  if (frame.placement === portal.worker && milliseconds > portal.slowLoadMs) {
    act("setLongLoad", { id: frame.binding, ms: Math.round(milliseconds) });
  }
}

/** An event of the call card, to every subscription of every worker in this document. */
export function emit(event, argument) {
  for (const frame of frames.values()) {
    for (const callback of frame.subscriptions.get(event) ?? []) reply(frame, callback, argument);
  }
}

function reply(frame, callback, value) {
  if (callback && frame.iframe.contentWindow) {
    frame.iframe.contentWindow.postMessage(`${callback}:${value === undefined ? "" : JSON.stringify(value)}`, frame.origin);
  }
}

function parse(data) {
  if (data && typeof data === "object") {
    return { command: data.method, params: data.params ?? {}, callback: data.callback, sid: data.appSid };
  }
  if (typeof data !== "string") return null;
  const parts = data.split(":");
  if (parts.length < 3) return null;
  const json = parts.slice(1, -2).join(":");
  try {
    return { command: parts[0], params: json ? JSON.parse(json) : {}, callback: parts.at(-2), sid: parts.at(-1) };
  } catch {
    return null;
  }
}

addEventListener("message", (event) => {
  const request = parse(event.data);
  const frame = request && frames.get(request.sid);
  if (!frame || event.origin !== frame.origin) return;
  const answer = (value) => reply(frame, request.callback, value);
  const general = COMMANDS[request.command];
  if (general) general(frame, request.params ?? {}, answer, request.callback);
  else if (frame.placement === portal.worker) card.perform(request.command, request.params ?? {}, answer);
});

const COMMANDS = {
  __proto__: null,

  getInitData(frame, _params, answer) {
    answer(frame.init);
    frame.init.FIRST_RUN = false;
  },

  async refreshAuth(frame, _params, answer) {
    const tokens = await act("refreshAuth");
    if (tokens.error) return alert(tokens.error);
    Object.assign(frame.init, tokens);
    answer(tokens);
  },

  getInterface(frame, _params, answer) {
    answer(frame.placement === portal.worker ? card.interface() : { command: [], event: [] });
  },

  placementBindEvent(frame, { event }, _answer, callback) {
    // An unknown name, or one not registered yet, is dropped without a word.
    if (frame.placement !== portal.worker || !card.interface().event.includes(event)) return;
    frame.subscriptions.set(event, [...(frame.subscriptions.get(event) ?? []), callback]);
  },

  openApplication(_frame, params, answer) {
    const path = withUser("/slider/app/1/", {
      IFRAME: "Y",
      IFRAME_TYPE: "SIDE_SLIDER",
      params: JSON.stringify(params),
    });
    sliders.open(path, {
      application: true,
      title: text(params.bx24_title) ?? "Telephone",
      width: number(params.bx24_width),
      leftBoundary: number(params.bx24_leftBoundary),
      label: params.bx24_label,
      closed: () => answer(),
    });
  },

  closeApplication(_frame, _params, answer) {
    if (sliders.top()?.application) sliders.close(answer);
  },

  openPath(_frame, { path }, answer) {
    if (!OPENABLE.test(path ?? "")) return answer({ result: "error", errorCode: "PATH_NOT_AVAILABLE" });
    const [plain, query = ""] = path.split("?");
    const fields = { ...Object.fromEntries(new URLSearchParams(query)), IFRAME: "Y", IFRAME_TYPE: "SIDE_SLIDER" };
    sliders.open(withUser(plain, fields), { closed: () => answer({ result: "close" }) });
  },

  setInstall(frame, { install }, answer) {
    frame.init.INSTALL = Boolean(install);
    answer({ install });
  },

  async setInstallFinish(_frame, _params, answer) {
    await act("installFinish");
    answer();
    const here = new URL(location.href);
    here.searchParams.set("install_finished", "Y");
    location.replace(here);
  },

  setUserOption(frame, { name, value }, answer) {
    frame.init.USER_OPTIONS[name] = value;
    answer(frame.init.USER_OPTIONS);
  },

  setAppOption(frame, { name, value }, answer) {
    if (frame.init.IS_ADMIN) frame.init.APP_OPTIONS[name] = value;
    answer(frame.init.APP_OPTIONS);
  },

  setTitle(frame, { title }, answer) {
    if (frame.placement === portal.worker) return;
    document.title = title;
    sliders.retitle(window, title);
    answer({ title });
  },

  resizeWindow(frame, { width, height }, answer) {
    if (frame.placement === portal.worker) return;
    frame.iframe.style.minHeight = `${Number(height) || 0}px`;
    answer({ width, height });
  },

  async imPhoneTo(_frame, { phone }) {
    const { error } = await act("clickToCall", { phone });
    if (error) toast(error);
  },
};

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : undefined);
const text = (value) => (typeof value === "string" ? value : undefined);
