// Carries out what the session decided about the voice: peer connections, the microphone, what is heard of the others.
// One capture serves all legs; each sends a clone of it, so that one can be silent while another speaks.

import type { Flow } from "./legs";
import { failureOf, isDelegated } from "./permission";
import type { Event } from "./session";

/** A prompt may stay open for ever; the caller would wait as long. */
const CAPTURE_DEADLINE = 20_000;
const CONNECT_DEADLINE = 8_000;
const MICROPHONE = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } };

type Report = (event: Event) => void;

export class Voice {
  private readonly legs = new Map<string, VoiceLeg>();
  private source: MediaStreamTrack | null = null;
  /** The capture that is wanted, 0 when none is. */
  private turn = 0;

  /** `quiet` is called when nothing comes from the bridge any more. */
  constructor(
    private readonly report: Report,
    private readonly quiet: () => void,
  ) {}

  async openLeg(id: string, flow: Flow, iceServers: RTCIceServer[]): Promise<void> {
    const leg = new VoiceLeg(id, iceServers, this.report, this.quiet);
    this.legs.set(id, leg);
    void leg.let(flow, this.source);
    await leg.offer(id);
  }

  /** Another offer on the running connection. */
  async reoffer(id: string, offer: string): Promise<void> {
    await this.legs.get(id)?.offer(offer);
  }

  async acceptAnswer(id: string, sdp: string): Promise<void> {
    await this.legs.get(id)?.accept(sdp);
  }

  setFlow(id: string, flow: Flow): void {
    void this.legs.get(id)?.let(flow, this.source);
  }

  closeLeg(id: string): void {
    this.legs.get(id)?.close();
    this.legs.delete(id);
  }

  async capture(turn: number): Promise<void> {
    this.turn = turn;
    try {
      const track = await openMicrophone(() => turn === this.turn);
      if (!track) return;
      this.source = track;
      // Fires when the device goes away, not when we stop it.
      track.onended = () => this.source === track && this.report({ type: "captureEnded", turn });
      await Promise.all([...this.legs.values()].map((leg) => leg.let(leg.flow, track)));
      this.report({ type: "captured", turn });
    } catch (error) {
      if (turn === this.turn) this.report({ type: "captureFailed", turn, why: failureOf(error, isDelegated()) });
    }
  }

  release(): void {
    this.turn = 0;
    this.source?.stop();
    this.source = null;
    for (const leg of this.legs.values()) leg.forgetSource();
  }
}

/** One peer connection and its loudspeaker. */
class VoiceLeg {
  flow: Flow = "warm";
  private readonly pc: RTCPeerConnection;
  private readonly sender: RTCRtpSender;
  private readonly speaker = document.createElement("audio");
  private source: MediaStreamTrack | null = null;
  private clone: MediaStreamTrack | null = null;
  private isClosed = false;
  private deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly id: string,
    iceServers: RTCIceServer[],
    private readonly report: Report,
    private readonly quiet: () => void,
  ) {
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers });
    this.sender = this.pc.addTransceiver("audio", { direction: "sendrecv" }).sender;
    this.pc.ontrack = ({ track }) => {
      this.speaker.srcObject = new MediaStream([track]);
      this.hear();
    };
    this.pc.onconnectionstatechange = () => this.follow();
  }

  /** Reports an offer, without candidates: the bridge finds the page by its checks. */
  async offer(name: string): Promise<void> {
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => this.lose(), CONNECT_DEADLINE);
    try {
      await this.pc.setLocalDescription();
      const sdp = withoutCandidates(this.pc.localDescription?.sdp ?? "");
      if (!this.isClosed) this.report({ type: "legOffered", offer: name, sdp });
    } catch {
      // Closed meanwhile, or this browser can't: either way this leg will not be.
      this.lose();
    }
  }

  async accept(sdp: string): Promise<void> {
    try {
      await this.pc.setRemoteDescription({ type: "answer", sdp });
      this.follow();
    } catch {
      // Closed meanwhile, or the answer does not fit: a new leg is the remedy for both.
      this.lose();
    }
  }

  /** Speaks and hears as the flow says, once there is a microphone to speak with. */
  async let(flow: Flow, source: MediaStreamTrack | null): Promise<void> {
    this.flow = flow;
    const wanted = flow === "warm" ? null : source;
    const isOther = wanted !== this.source;
    if (isOther) {
      this.clone?.stop();
      this.source = wanted;
      this.clone = wanted?.clone() ?? null;
    }
    // Before the sender has it, so that not one sample of a muted microphone leaves.
    if (this.clone) this.clone.enabled = flow === "open";
    this.hear();
    if (!isOther) return;
    try {
      await this.sender.replaceTrack(this.clone);
      if (this.clone && !this.isClosed) this.report({ type: "legSpeaks", leg: this.id });
    } catch {
      // Closed meanwhile: nobody is there to send to.
    }
  }

  forgetSource(): void {
    void this.let(this.flow, null);
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.deadline);
    this.clone?.stop();
    this.pc.close();
    this.speaker.srcObject = null;
  }

  /** A page may play without a gesture only while it captures, so this is repeated when the capture has begun. */
  private hear(): void {
    const isSilent = this.flow === "held" || this.flow === "warm";
    if (isSilent) this.speaker.pause();
    if (isSilent || !this.speaker.srcObject || !this.clone) return;
    this.speaker.play().catch(() => {
      // Paused or replaced in the meantime, which is what was wanted last.
    });
  }

  private follow(): void {
    if (this.isClosed) return;
    const { connectionState, signalingState } = this.pc;
    if (connectionState === "connected") {
      if (signalingState === "stable") clearTimeout(this.deadline);
      this.report({ type: "legConnected", leg: this.id });
    }
    if (connectionState === "disconnected") this.quiet();
    if (connectionState === "failed" || connectionState === "closed") this.lose();
  }

  private lose(): void {
    if (!this.isClosed) this.report({ type: "legLost", leg: this.id });
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
