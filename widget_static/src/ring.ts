// The tones that a page makes. Browsers refuse sound until somebody has clicked the portal's page, and `resume()` then stays pending
// for ever. So: WebAudio; where it does not start, an <audio> element; where that is refused, again in a moment.
// A tone is one buffer, looped or played to its end: a hidden frame's timers run once a second.

import type { Tone } from "./protocol";

const part = (seconds: number, ...hertz: number[]) => ({ hertz, seconds });

/** Those that the page knows by itself. */
export const rings = {
  ring: { parts: [part(0.4, 400, 450), part(0.2), part(0.4, 400, 450), part(2)], times: 0, volume: 0.12 },
  /** Heard beside a conversation. */
  waiting: { parts: [part(0.2, 425), part(4.8)], times: 0, volume: 0.05 },
} satisfies Record<string, Tone>;

/** Of all samples, Hz: the browser converts them. */
export const RATE = 8_000;
const RESUME_DEADLINE = 300;
const RETRY = 2_000;

type Silence = () => void;

/** One sounding, from start to stop. */
interface Turn {
  on: boolean;
  silence: Silence;
}

export class Player {
  private turn: Turn | null = null;

  /** `ended` is called when a tone that ends by itself has ended, or could not be heard. */
  start(tone: Tone, ended = () => {}): void {
    if (this.turn) return;
    const turn: Turn = { on: true, silence: () => {} };
    this.turn = turn;
    void sound(turn, tone, () => {
      if (!turn.on) return;
      this.stop();
      ended();
    });
  }

  stop(): void {
    if (!this.turn) return;
    this.turn.on = false;
    this.turn.silence();
    this.turn = null;
  }
}

async function sound(turn: Turn, tone: Tone, ended: () => void): Promise<void> {
  while (turn.on) {
    const silence = (await byContext(tone, ended)) ?? (await byElement(tone, ended));
    if (silence) {
      if (turn.on) turn.silence = silence;
      else silence();
      return;
    }
    // What ends by itself says nothing any more when it comes late.
    if (tone.times) return ended();
    await pause(RETRY);
  }
}

async function byContext(tone: Tone, ended: () => void): Promise<Silence | null> {
  const context = new AudioContext();
  // Closing rejects only when it is closed already.
  const close = () => void context.close().catch(() => {});
  await Promise.race([context.resume().catch(() => {}), pause(RESUME_DEADLINE)]);
  if (context.state !== "running") {
    close();
    return null;
  }
  const samples = samplesOf(tone);
  const buffer = context.createBuffer(1, samples.length, RATE);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer, loop: !tone.times });
  source.onended = ended;
  source.connect(context.destination);
  source.start();
  return close;
}

async function byElement(tone: Tone, ended: () => void): Promise<Silence | null> {
  const url = URL.createObjectURL(new Blob([wav(samplesOf(tone))], { type: "audio/wav" }));
  const element = new Audio(url);
  element.loop = !tone.times;
  element.onended = ended;
  const silence = () => {
    element.pause();
    URL.revokeObjectURL(url);
  };
  try {
    await element.play();
    return silence;
  } catch {
    // Not allowed yet: the card and the phone page show the call meanwhile.
    silence();
    return null;
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** What is heard from start to end, or one turn of it, at `RATE`. */
export function samplesOf({ parts, times, volume }: Tone): Float32Array<ArrayBuffer> {
  const lengths = parts.map(({ seconds }) => Math.round(seconds * RATE));
  const turn = lengths.reduce((sum, length) => sum + length, 0);
  const samples = new Float32Array(turn * (times || 1));
  for (let at = 0; at < samples.length; ) {
    for (const [index, { hertz }] of parts.entries()) {
      const length = lengths[index] ?? 0;
      writeTone(samples.subarray(at, at + length), hertz, volume);
      at += length;
    }
  }
  return samples;
}

function writeTone(samples: Float32Array, hertz: readonly number[], volume: number): void {
  const fade = 0.01 * RATE;
  for (let i = 0; i < samples.length; i++) {
    const edge = Math.min(1, i / fade, (samples.length - 1 - i) / fade);
    const turn = (2 * Math.PI * i) / RATE;
    samples[i] = volume * edge * hertz.reduce((sum, each) => sum + Math.sin(each * turn), 0);
  }
}

/** A WAV file, 16 bit mono. */
export function wav(samples: Float32Array): ArrayBuffer {
  const file = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at: number, word: string) => {
    for (let i = 0; i < word.length; i++) file.setUint8(at + i, word.charCodeAt(i));
  };
  text(0, "RIFF");
  file.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true);
  file.setUint16(22, 1, true);
  file.setUint32(24, RATE, true);
  file.setUint32(28, 2 * RATE, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  text(36, "data");
  file.setUint32(40, 2 * samples.length, true);
  for (const [i, sample] of samples.entries()) file.setInt16(44 + 2 * i, Math.round(sample * 32_767), true);
  return file.buffer as ArrayBuffer;
}
