// A page of the portal comes to life.
import { refresh } from "./calls.js";
import { act, portal, toast, withUser } from "./config.js";
import "./control.js";
import { load, useCard } from "./frames.js";
import * as phone from "./phone.js";

const RECONNECT_MS = 1000;

function listen() {
  const socket = new WebSocket(location.origin.replace("http", "ws") + withUser("/bitrix/push/"));
  socket.addEventListener("open", refresh);
  socket.addEventListener("message", (event) => {
    const { command, params } = JSON.parse(event.data);
    if (command === "ledgerChanged") refresh();
    else if (command === "notify") toast(params.text);
    else phone.pushed(command, params);
  });
  socket.addEventListener("close", () => setTimeout(listen, RECONNECT_MS));
}

async function callMe(button) {
  button.disabled = true;
  const response = await fetch(withUser("/sim/call-me"), { method: "POST" });
  if (!response.ok) toast(await response.text());
  setTimeout(() => (button.disabled = false), 1500);
}

async function dial(number) {
  const { error } = await act("clickToCall", { phone: number });
  if (error) toast(error);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-call-me], [data-phone]");
  if (button?.dataset.phone) {
    event.preventDefault();
    dial(button.dataset.phone);
  } else if (button) callMe(button);
});

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-callback]");
  if (!form) return;
  event.preventDefault();
  const { error } = await act("callbackForm", Object.fromEntries(new FormData(form)));
  toast(error ?? "Sent to the telephone.");
});

if (portal.user) {
  if (!portal.slider) {
    useCard(phone.controller);
    phone.start();
    listen();
  }
  const app = document.querySelector("[data-app]");
  if (app) load(app, "DEFAULT", JSON.parse(app.dataset.app));
  if (portal.loadWorker) load(document.getElementById(`intranet-placement-${portal.worker}`), portal.worker);
}
