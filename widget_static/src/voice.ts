// Carries out what the session decided about sound: the peer connection, the microphone, the caller's voice, the ring.

import { failureOf, isDelegated } from "./permission";
import { RingTone } from "./ring";
import type { Event } from "./session";

/** A prompt may stay open for ever; the caller would wait as long. */
const CAPTURE_DEADLINE = 20_000;
const CONNECT_DEADLINE = 8_000;
const MICROPHONE = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } };

interface Leg {
  offer: string;
  pc: RTCPeerConnection;
  sender: RTCRtpSender;
  deadline: ReturnType<typeof setTimeout>;
}

export class Voice {
  readonly ring = new RingTone();
  private readonly speaker = document.createElement("audio");
  private leg: Leg | null = null;
  private track: MediaStreamTrack | null = null;
  private muted = false;
  /** Counts captures, so that a late one is recognised. */
  private turn = 0;

  constructor(private readonly report: (event: Event) => void) {}

  /** Makes a peer connection and reports its offer. No candidates: the bridge finds the page by its checks. */
  async openLeg(offer: string): Promise<void> {
    this.closeLeg();
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    const { sender } = pc.addTransceiver("audio", { direction: "sendrecv" });
    const lost = () => this.leg?.pc === pc && this.report({ type: "legLost", offer });
    this.leg = { offer, pc, sender, deadline: setTimeout(lost, CONNECT_DEADLINE) };
    pc.ontrack = ({ track }) => {
      this.speaker.srcObject = new MediaStream([track]);
      this.play();
    };
    pc.onconnectionstatechange = () => this.follow(pc, offer);
    try {
      if (this.track) await sender.replaceTrack(this.track);
      await pc.setLocalDescription();
      this.report({ type: "legOffered", offer, sdp: withoutCandidates(pc.localDescription?.sdp ?? "") });
    } catch {
      // Closed meanwhile, or this browser can't: either way this leg will not be.
      lost();
    }
  }

  async acceptAnswer(offer: string, sdp: string): Promise<void> {
    if (this.leg?.offer !== offer) return;
    try {
      await this.leg.pc.setRemoteDescription({ type: "answer", sdp });
    } catch {
      // Closed meanwhile, or the answer does not fit: a new leg is the remedy for both.
      this.report({ type: "legLost", offer });
    }
  }

  closeLeg(): void {
    if (!this.leg) return;
    clearTimeout(this.leg.deadline);
    this.leg.pc.close();
    this.leg = null;
    this.speaker.srcObject = null;
  }

  async capture(call: string, muted: boolean): Promise<void> {
    this.release();
    this.muted = muted;
    const turn = this.turn;
    try {
      const track = await openMicrophone(() => turn === this.turn);
      if (!track) return;
      this.take(track, call);
      await this.leg?.sender.replaceTrack(track);
      this.play();
      this.report({ type: "captured", call });
    } catch (error) {
      if (turn === this.turn) this.report({ type: "captureFailed", call, why: failureOf(error, isDelegated()) });
    }
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    if (this.track) this.track.enabled = !muted;
  }

  release(): void {
    this.turn += 1;
    this.track?.stop();
    this.track = null;
  }

  private take(track: MediaStreamTrack, call: string): void {
    this.track = track;
    track.enabled = !this.muted;
    // Fires when the device goes away, not when we stop it.
    track.onended = () => this.track === track && this.report({ type: "captureEnded", call });
  }

  /** A page may play without a gesture only while it captures, so this is repeated after the capture began. */
  private play(): void {
    if (!this.speaker.srcObject || !this.track) return;
    this.speaker.play().catch(() => {
      // Replaced by a newer stream; that one is played by its own call.
    });
  }

  private follow(pc: RTCPeerConnection, offer: string): void {
    if (this.leg?.pc !== pc) return;
    if (pc.connectionState === "connected") {
      clearTimeout(this.leg.deadline);
      this.report({ type: "legConnected", offer });
    }
    if (pc.connectionState === "failed" || pc.connectionState === "closed") this.report({ type: "legLost", offer });
  }
}

/** The microphone's track; null, and the device closed again, when nobody wants it any more. */
async function openMicrophone(isWanted: () => boolean): Promise<MediaStreamTrack | null> {
  let late = false;
  const asked = navigator.mediaDevices.getUserMedia(MICROPHONE).then((stream) => {
    const [track] = stream.getAudioTracks();
    if (track && !late && isWanted()) return track;
    for (const each of stream.getTracks()) each.stop();
    return null;
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new DOMException("the question about the microphone was not answered", "TimeoutError"));
    }, CAPTURE_DEADLINE);
  });
  try {
    return await Promise.race([asked, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Chromium's candidates are mDNS names without a microphone permission, and resolving them costs the bridge a second. */
export function withoutCandidates(sdp: string): string {
  return sdp
    .split("\r\n")
    .filter((line) => !line.startsWith("a=candidate:") && line !== "a=end-of-candidates")
    .join("\r\n");
}
