// The switches of the simulator's control page.
import { toast } from "./config.js";

async function set(values) {
  const response = await fetch("/sim/faults", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(values),
  });
  toast(response.ok ? "Set. Pages take it when they are loaded." : await response.text());
}

function valueOf(field) {
  if (field.type === "checkbox") return field.checked;
  if (field.type === "number") return Number(field.value);
  return field.tagName === "TEXTAREA" ? JSON.parse(field.value || "[]") : field.value;
}

document.addEventListener("change", (event) => {
  const field = event.target.closest("[data-fault]");
  if (!field) return;
  try {
    set({ [field.dataset.fault]: valueOf(field) });
  } catch (error) {
    toast(String(error));
  }
});

document.addEventListener("click", async (event) => {
  if (!event.target.closest("[data-clear]")) return;
  await set({});
  location.reload();
});
