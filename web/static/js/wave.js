// How loud a sound is over its time, as bars. It is read when it comes into view: until then, and where it cannot be read,
// the page shows an icon in its place.

const BARS = 50, STEP = 5, HEIGHT = 60, LEAST = 4;
const MAX_BYTES = 4_000_000;
const SAMPLES = 400;
/** Looked at for one bar: enough to see its loudness. */
const RATE = 16_000;
const SVG = "http://www.w3.org/2000/svg";
let before = Promise.resolve();

/** `src`: a sound of this server. Another one is not read: the page may not ask it. */
class Wave extends HTMLElement {
  connectedCallback() {
    const source = this.getAttribute("src") ?? "";
    if (!source.startsWith("/")) return;
    this.seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      this.seen?.disconnect();
      before = before.then(() => this.draw(source)).catch(() => {});
    });
    this.seen.observe(this);
  }

  disconnectedCallback() {
    this.seen?.disconnect();
  }

  /** @param {string} source */
  async draw(source) {
    const answer = this.isConnected ? await fetch(source) : null;
    if (!answer?.ok || Number(answer.headers.get("content-length") ?? 0) > MAX_BYTES) return answer?.body?.cancel();
    const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await answer.arrayBuffer());
    this.replaceChildren(drawing(loudness(sound.getChannelData(0))));
  }
}

/** How loud each part is, of the loudest. @param {Float32Array} samples */
export function loudness(samples) {
  const length = samples.length / BARS, step = Math.max(1, Math.floor(length / SAMPLES));
  const parts = Array.from({length: BARS}, (_, bar) => {
    let peak = 0;
    for (let at = Math.floor(bar * length); at < (bar + 1) * length; at += step) peak = Math.max(peak, Math.abs(samples[at]));
    return peak;
  });
  const loudest = Math.max(...parts);
  return parts.map((part) => loudest ? part / loudest : 0);
}

/** @param {number[]} parts */
function drawing(parts) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "wave");
  svg.setAttribute("viewBox", `0 0 ${BARS * STEP} ${HEIGHT}`);
  svg.setAttribute("aria-hidden", "true");
  for (const [place, part] of parts.entries()) {
    const bar = document.createElementNS(SVG, "rect"), height = Math.max(LEAST, Math.round(part * HEIGHT));
    for (const [name, value] of Object.entries({x: place * STEP, y: (HEIGHT - height) / 2, width: 3, height, rx: 1.5, fill: "currentColor"})) bar.setAttribute(name, String(value));
    svg.append(bar);
  }
  return svg;
}

customElements.define("yout-wave", Wave);
