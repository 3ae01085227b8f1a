// What the server told this page, and how the page asks the server for more.
export const portal = JSON.parse(document.getElementById("portal-config").textContent);

export function withUser(path, fields = {}) {
  const query = new URLSearchParams({ ...portal.keep, ...fields }).toString();
  return query ? `${path}?${query}` : path;
}

export async function act(action, fields = {}) {
  const body = new URLSearchParams({ action, ...fields });
  const response = await fetch(withUser("/bitrix/services/main/ajax.php"), { method: "POST", body });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

export function toast(text) {
  const note = document.createElement("div");
  note.className = "toast";
  note.textContent = text;
  document.body.append(note);
  setTimeout(() => note.remove(), 6000);
}

export function element(tag, classes = "", text = "") {
  const made = document.createElement(tag);
  made.className = classes;
  if (text) made.textContent = text;
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  use.setAttribute("href", `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${parts.join(":")}` : parts.join(":");
}
