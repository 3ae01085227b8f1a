// Side sliders: documents that lie over the page. They all belong to the top window, whoever opens them.
import { element, icon } from "./config.js";

const COLOURS = ["aqua", "green", "orange", "brown", "pink", "blue", "grey", "violet"];

class Sliders {
  #open = [];

  open(path, { application = false, title = "", width, leftBoundary, label, closed } = {}) {
    const overlay = element("div", "slider");
    const panel = element("div", "slider-panel");
    const frame = element("iframe", "slider-frame");
    const close = element("button", "slider-close");
    close.append(icon("close"));
    close.title = "Close";
    if (width) panel.style.width = `min(100% - 60px, ${width}px)`;
    if (leftBoundary) panel.style.maxWidth = `calc(100% - ${leftBoundary}px)`;
    frame.src = path;
    frame.title = title;
    panel.append(close, frame);
    if (label && COLOURS.includes(label.bgColor)) panel.append(element("span", `slider-label ${label.bgColor}`, label.text));
    overlay.append(panel);
    const slider = { overlay, frame, application, closed };
    close.addEventListener("click", () => this.#close(slider));
    overlay.addEventListener("click", (event) => event.target === overlay && this.#close(slider));
    document.body.append(overlay);
    this.#open.push(slider);
    void overlay.offsetWidth; // lets the panel glide in
    overlay.classList.add("shown");
  }

  top() {
    return this.#open.at(-1);
  }

  close(after) {
    const slider = this.top();
    if (!slider) return;
    this.#close(slider);
    after?.();
  }

  retitle(view, title) {
    const slider = this.#open.find((one) => one.frame.contentWindow === view);
    if (slider) slider.frame.title = title;
  }

  #close(slider) {
    const at = this.#open.indexOf(slider);
    if (at < 0) return;
    this.#open.splice(at, 1);
    slider.overlay.remove();
    slider.closed?.();
  }
}

const ours = window.top === window;
if (ours) {
  window.SidePanel = new Sliders();
  addEventListener("keydown", (event) => event.key === "Escape" && window.SidePanel.close());
}
export const sliders = ours ? window.SidePanel : window.top.SidePanel;
