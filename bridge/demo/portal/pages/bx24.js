// The library that pages of other applications load from api.bitrix24.com: its public face, written anew over the frame protocol.
// Not for the bridge's own pages, which bring their own client.
window.BX24 = (() => {
  const [domain, secure, sid] = window.name.split("|");
  if (!domain || !sid) throw new Error("Unable to initialize Bitrix24 JS library!");
  const portal = `${secure === "1" ? "https" : "http"}://${domain.replace(/:(80|443)$/, "")}`;
  const callbacks = new Map();
  const afterInit = [];
  let data = null;
  let auth = null;

  addEventListener("message", ({ origin, data: text }) => {
    if (origin !== portal || typeof text !== "string") return;
    const colon = text.indexOf(":");
    const json = text.slice(colon + 1);
    // Never forgotten: one id is answered again and again, that is how events arrive. Nothing arrives as an empty list.
    callbacks.get(text.slice(0, colon))?.(json === "" ? [] : JSON.parse(json));
  });

  function post(command, params, callback) {
    let id = "";
    if (callback) {
      id = Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) => (byte % 36).toString(36)).join("");
      callbacks.set(id, callback);
    }
    parent.postMessage(`${command}:${params ? JSON.stringify(params) : ""}:${id}:${sid}`, portal);
  }

  const keep = (tokens) => {
    const { AUTH_ID, AUTH_EXPIRES, REFRESH_ID } = tokens;
    auth = { access_token: AUTH_ID, refresh_token: REFRESH_ID, expires_in: Date.now() + AUTH_EXPIRES * 1000 };
  };

  function init(callback) {
    if (data) return callback?.();
    afterInit.push(callback);
    if (afterInit.length > 1) return;
    post("getInitData", null, (told) => {
      data = told;
      keep(told);
      for (const each of afterInit.splice(0)) each?.();
    });
  }

  const getAuth = () =>
    auth && auth.expires_in > Date.now() ? { ...auth, domain, member_id: data.MEMBER_ID } : false;

  const refreshAuth = (callback) =>
    post("refreshAuth", {}, (tokens) => {
      keep(tokens);
      callback?.(getAuth());
    });

  // As PHP reads it: {a: {b: [1]}} is a[b][0]=1.
  function form(value, name, fields = new URLSearchParams()) {
    if (value !== null && typeof value === "object") {
      for (const [key, item] of Object.entries(value)) form(item, name ? `${name}[${key}]` : key, fields);
    } else fields.set(name, value ?? "");
    return fields;
  }

  async function callMethod(method, params, callback) {
    const token = getAuth();
    if (!token) return refreshAuth(() => callMethod(method, params, callback));
    const response = await fetch(`${portal}${data.PATH}/${method}.json`, {
      method: "POST",
      body: form({ ...params, auth: token.access_token }),
    });
    const answer = await response.json();
    if (answer.error === "expired_token") return refreshAuth(() => callMethod(method, params, callback));
    callback?.({
      data: () => answer.result,
      error: () => answer.error && { status: response.status, ex: answer },
      total: () => answer.total,
      more: () => answer.next !== undefined,
    });
  }

  const settings = (options = {}) => Object.fromEntries(Object.entries(options).map(([key, value]) => [`bx24_${key}`, value]));

  return {
    init,
    ready: (callback) => (document.readyState === "loading" ? addEventListener("DOMContentLoaded", callback) : callback()),
    install: (callback) => init(() => data.INSTALL && callback()),
    installFinish: () => init(() => data.INSTALL && post("setInstallFinish", {})),
    getAuth,
    refreshAuth,
    callMethod,
    isAdmin: () => data.IS_ADMIN,
    getLang: () => data.LANG,
    getDomain: () => domain,
    placement: {
      info: () => ({ placement: data.PLACEMENT, options: data.PLACEMENT_OPTIONS }),
      getInterface: (callback) => post("getInterface", null, callback),
      call: (command, params, callback) => post(command, params, callback),
      bindEvent: (event, callback) => post("placementBindEvent", { event }, callback),
    },
    userOption: {
      get: (name) => data.USER_OPTIONS[name],
      set: (name, value, callback) => post("setUserOption", { name, value }, (all) => callback?.((data.USER_OPTIONS = all))),
    },
    appOption: {
      get: (name) => data.APP_OPTIONS[name],
      set: (name, value, callback) => post("setAppOption", { name, value }, (all) => callback?.((data.APP_OPTIONS = all))),
    },
    openApplication: (params, closed, options) => post("openApplication", { ...params, ...settings(options) }, closed),
    closeApplication: (callback) => post("closeApplication", null, callback),
    openPath: (path, callback) => post("openPath", { path }, callback),
    setTitle: (title, callback) => post("setTitle", { title }, callback),
    resizeWindow: (width, height, callback) => post("resizeWindow", { width, height }, callback),
    im: { phoneTo: (phone) => post("imPhoneTo", { phone }) },
  };
})();
