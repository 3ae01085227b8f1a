// The ring tone. Browsers refuse sound until somebody has clicked the portal's page, and `resume()` then stays pending
// for ever. So: WebAudio; where it does not start, an <audio> element; where that is refused, again in a moment.

const RATE = 8_000;
const CADENCE = [
  { on: true, seconds: 0.4 },
  { on: false, seconds: 0.2 },
  { on: true, seconds: 0.4 },
  { on: false, seconds: 2 },
];
const RESUME_DEADLINE = 300;
const RETRY = 2_000;

type Silence = () => void;

/** One ringing, from start to stop. */
interface Turn {
  on: boolean;
  silence: Silence;
}

export class RingTone {
  private turn: Turn | null = null;

  start(): void {
    if (this.turn) return;
    this.turn = { on: true, silence: () => {} };
    void sound(this.turn);
  }

  stop(): void {
    if (!this.turn) return;
    this.turn.on = false;
    this.turn.silence();
    this.turn = null;
  }
}

async function sound(turn: Turn): Promise<void> {
  while (turn.on) {
    const silence = (await byContext()) ?? (await byElement());
    if (silence) {
      if (turn.on) turn.silence = silence;
      else silence();
      return;
    }
    await pause(RETRY);
  }
}

async function byContext(): Promise<Silence | null> {
  const context = new AudioContext();
  // Closing rejects only when it is closed already.
  const close = () => void context.close().catch(() => {});
  await Promise.race([context.resume().catch(() => {}), pause(RESUME_DEADLINE)]);
  if (context.state !== "running") {
    close();
    return null;
  }
  const samples = ringSamples(context.sampleRate);
  const buffer = context.createBuffer(1, samples.length, context.sampleRate);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer, loop: true });
  source.connect(context.destination);
  source.start();
  return close;
}

async function byElement(): Promise<Silence | null> {
  const url = URL.createObjectURL(new Blob([wav(ringSamples(RATE), RATE)], { type: "audio/wav" }));
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

/** One turn of the cadence: 400 and 450 Hz. */
export function ringSamples(rate: number): Float32Array<ArrayBuffer> {
  const total = CADENCE.reduce((sum, part) => sum + part.seconds, 0);
  const samples = new Float32Array(Math.round(total * rate));
  let at = 0;
  for (const { on, seconds } of CADENCE) {
    const length = Math.round(seconds * rate);
    if (on) writeTone(samples.subarray(at, at + length), rate);
    at += length;
  }
  return samples;
}

function writeTone(samples: Float32Array, rate: number): void {
  const fade = 0.01 * rate;
  for (let i = 0; i < samples.length; i++) {
    const edge = Math.min(1, i / fade, (samples.length - 1 - i) / fade);
    const turn = (2 * Math.PI * i) / rate;
    samples[i] = 0.12 * edge * (Math.sin(400 * turn) + Math.sin(450 * turn));
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
