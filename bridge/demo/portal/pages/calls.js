// The CRM's list of calls, kept fresh by push.
import { clock, element, icon } from "./config.js";

const TONES = { 200: "good", 304: "warn", 603: "bad", 486: "warn", 480: "warn" };

/** Redraws every list of this page. */
export async function refresh() {
  const lists = document.querySelectorAll("[data-calls]");
  if (!lists.length) return;
  const calls = await (await fetch("/sim/calls")).json();
  for (const list of lists) draw(list, calls);
}

function draw(list, calls) {
  const newest = calls.toReversed().slice(0, Number(list.dataset.calls) || calls.length);
  list.replaceChildren(...newest.map(row));
  list.closest(".sheet").classList.toggle("empty", newest.length === 0);
}

function row(call) {
  const line = element("tr");
  line.dataset.callId = call.call_id;
  const direction = element("td", `direction ${call.direction}`);
  direction.append(icon(call.direction === "outgoing" ? "outgoing" : "incoming"), element("span", "", call.direction));
  const who = element("td");
  who.append(element("b", "", call.entity || call.number), element("small", "", call.entity ? call.number : ""));
  const status = element("td");
  const words = call.finished === null ? call.status : `${call.status_code} ${call.status}`;
  status.append(element("span", `tag ${call.finished === null ? "live" : (TONES[call.status_code] ?? "bad")}`, words));
  const started = new Date(call.started).toLocaleTimeString("en-GB");
  line.append(
    direction,
    who,
    element("td", "", call.user_name),
    status,
    element("td", "figures", call.finished === null ? "–" : clock(call.duration)),
    element("td", "figures", started),
  );
  return line;
}
