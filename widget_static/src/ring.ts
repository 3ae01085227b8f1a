// The tones that a page makes. Browsers refuse sound until somebody has clicked the portal's page, and `resume()` then stays pending
// for ever. So: WebAudio; where it does not start, an <audio> element; where that is refused, again in a moment.
// A cadence is one looped buffer: a hidden frame's timers run once a second.

export interface Score {
  hertz: readonly number[];
  /** Of each of the sounds, 0 to 1. */
  volume: number;
  /** Seconds of sound, of silence, of sound, …; repeated for ever. */
  cadence: readonly number[];
}

export const scores = {
  ring: { hertz: [400, 450], volume: 0.12, cadence: [0.4, 0.2, 0.4, 2] },
  /** Heard beside a conversation. */
  waiting: { hertz: [425], volume: 0.05, cadence: [0.2, 4.8] },
  /** What the one who calls hears while it rings at the other end. */
  ringback: { hertz: [425], volume: 0.1, cadence: [1, 4] },
} as const satisfies Record<string, Score>;

const RATE = 8_000;
const RESUME_DEADLINE = 300;
const RETRY = 2_000;

type Silence = () => void;

/** One sounding, from start to stop. */
interface Turn {
  on: boolean;
  silence: Silence;
}

export class Tone {
  private turn: Turn | null = null;

  start(score: Score): void {
    if (this.turn) return;
    this.turn = { on: true, silence: () => {} };
    void sound(this.turn, score);
  }

  stop(): void {
    if (!this.turn) return;
    this.turn.on = false;
    this.turn.silence();
    this.turn = null;
  }
}

async function sound(turn: Turn, score: Score): Promise<void> {
  while (turn.on) {
    const silence = (await byContext(score)) ?? (await byElement(score));
    if (silence) {
      if (turn.on) turn.silence = silence;
      else silence();
      return;
    }
    await pause(RETRY);
  }
}

async function byContext(score: Score): Promise<Silence | null> {
  const context = new AudioContext();
  // Closing rejects only when it is closed already.
  const close = () => void context.close().catch(() => {});
  await Promise.race([context.resume().catch(() => {}), pause(RESUME_DEADLINE)]);
  if (context.state !== "running") {
    close();
    return null;
  }
  const samples = samplesOf(score, context.sampleRate);
  const buffer = context.createBuffer(1, samples.length, context.sampleRate);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer, loop: true });
  source.connect(context.destination);
  source.start();
  return close;
}

async function byElement(score: Score): Promise<Silence | null> {
  const url = URL.createObjectURL(new Blob([wav(samplesOf(score, RATE), RATE)], { type: "audio/wav" }));
  const element = new Audio(url);
  element.loop = true;
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

/** One turn of the cadence. */
export function samplesOf({ hertz, volume, cadence }: Score, rate: number): Float32Array<ArrayBuffer> {
  const lengths = cadence.map((seconds) => Math.round(seconds * rate));
  const samples = new Float32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const [part, length] of lengths.entries()) {
    if (part % 2 === 0) writeTone(samples.subarray(at, at + length), rate, hertz, volume);
    at += length;
  }
  return samples;
}

function writeTone(samples: Float32Array, rate: number, hertz: readonly number[], volume: number): void {
  const fade = 0.01 * rate;
  for (let i = 0; i < samples.length; i++) {
    const edge = Math.min(1, i / fade, (samples.length - 1 - i) / fade);
    const turn = (2 * Math.PI * i) / rate;
    samples[i] = volume * edge * hertz.reduce((sum, each) => sum + Math.sin(each * turn), 0);
  }
}

/** A WAV file, 16 bit mono. */
export function wav(samples: Float32Array, rate: number): ArrayBuffer {
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
  file.setUint32(24, rate, true);
  file.setUint32(28, 2 * rate, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  text(36, "data");
  file.setUint32(40, 2 * samples.length, true);
  for (const [i, sample] of samples.entries()) file.setInt16(44 + 2 * i, Math.round(sample * 32_767), true);
  return file.buffer as ArrayBuffer;
}
