// Builds the pages into dist/: hashed scripts and styles, and the three HTML templates that name them.
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, "dist");
// First what the others name: scripts that a page loads later, and only if it needs them.
const assets = {
  "wake.js": "src/wake.ts",
  "worker.js": "src/worker.ts",
  "phone.js": "src/phone.tsx",
  "install.js": "src/install.ts",
  "page.css": "src/page.css",
};
const pages = ["worker.html", "phone.html", "install.html"];
// The portal unregisters a worker that loads slowly; these are promises, not wishes.
const limits = { "worker.js": 22_000, "worker.html": 2 * 1024 };

// The pages speak JSON over WebSocket and reconnect by themselves: polling, WebTransport, binary messages, the library's own
// reconnection and its own reading of addresses would be more than a tenth of the worker's weight.
const slim = {
  "engine.io-client/build/esm/transports/polling-xhr.js": "export const XHR = 0, Request = 0;",
  "engine.io-client/build/esm/transports/index.js": `
    import { WS } from "./websocket.js";
    export const transports = { websocket: WS };`,
  "engine.io-client/build/esm/contrib/parseuri.js": `
    export const parse = (source) => {
      const { protocol, hostname, port, pathname, search } = new URL(source);
      const host = hostname.replace(/[[\\]]/g, "");
      return { source, protocol: protocol.slice(0, -1), host, port, path: pathname, query: search.slice(1) };
    };`,
  "engine.io-parser/build/esm/encodePacket.browser.js": `
    import { PACKET_TYPES } from "./commons.js";
    export const encodePacket = ({ type, data }, _, done) => done(PACKET_TYPES[type] + (data ?? ""));
    export const encodePacketToBinary = 0;`,
  "engine.io-parser/build/esm/decodePacket.browser.js": `
    import { ERROR_PACKET, PACKET_TYPES_REVERSE } from "./commons.js";
    export const decodePacket = (text) => {
      const type = PACKET_TYPES_REVERSE[text[0]];
      return type ? { type, data: text.slice(1) || undefined } : ERROR_PACKET;
    };`,
  "socket.io-client/build/esm/contrib/backo2.js": `
    export function Backoff() {}
    Backoff.prototype.reset = Backoff.prototype.setMin = Backoff.prototype.setMax = Backoff.prototype.setJitter = () => {};`,
  "socket.io-parser/build/esm/is-binary.js": "export const isBinary = () => false, hasBinary = isBinary;",
  "socket.io-parser/build/esm/binary.js": "export const deconstructPacket = 0, reconstructPacket = 0;",
};
const jsonOverWebsocket = {
  name: "json-over-websocket",
  setup({ onLoad }) {
    const files = Object.keys(slim).map((file) => file.replaceAll(/[./]/g, "\\$&"));
    onLoad({ filter: new RegExp(`node_modules/(${files.join("|")})$`) }, ({ path: file }) => ({
      contents: slim[file.split("node_modules/").at(-1)],
      resolveDir: path.dirname(file),
    }));
  },
};

async function bundle(source, urls) {
  const isModule = source === "src/wake.ts";
  const result = await build({
    entryPoints: [path.join(here, source)],
    bundle: true,
    minify: true,
    write: false,
    format: isModule ? "esm" : "iife",
    define: { WAKE_URL: JSON.stringify(urls["wake.js"] ?? "") },
    external: ["/static/*"],
    target: ["es2022", "chrome110", "firefox115", "safari16"],
    legalComments: "none",
    plugins: [jsonOverWebsocket],
  });
  return Buffer.from(result.outputFiles[0].contents);
}

function hashed(name, contents) {
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  const { name: stem, ext } = path.parse(name);
  return `${stem}-${hash}${ext}`;
}

function weigh(name, contents) {
  const gzip = gzipSync(contents, { level: 9 }).length;
  const limit = limits[name];
  console.log(`${name.padEnd(14)} ${String(contents.length).padStart(7)} B  ${String(gzip).padStart(6)} B gzip`);
  if (limit !== undefined && gzip > limit) throw new Error(`${name} is ${gzip} B gzip, allowed are ${limit}`);
}

// Everything is made before the old pages go: a build that fails leaves them as they were.
const files = new Map();
const urls = {};
for (const [name, source] of Object.entries(assets)) {
  const contents = await bundle(source, urls);
  weigh(name, contents);
  const file = hashed(name, contents);
  urls[name] = `/static/${file}`;
  files.set(file, contents);
}
for (const page of pages) {
  let html = await readFile(path.join(here, page), "utf8");
  for (const [name, url] of Object.entries(urls)) html = html.replaceAll(`{{${name}}}`, url);
  weigh(page, Buffer.from(html));
  files.set(page, html);
}
await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
for (const [file, contents] of files) await writeFile(path.join(dist, file), contents);
